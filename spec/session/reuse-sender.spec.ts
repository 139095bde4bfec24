import { expect } from 'chai'
import type { Gate } from '../../lib/session/context.js'
import { TestAuthority } from '../support/authority.js'
import { memoryRules } from '../support/memory-federation.js'
import { scriptedKey } from '../support/scripted-party.js'
import {
  auth,
  FOOTER,
  features,
  header,
  OFFERS,
  reply,
  turns,
  WireHost,
  type WirePeer,
  WireServer,
  type WireServerOptions,
} from '../support/wire-peer.js'

const HERE = 'here.example'
const ALSO = 'also.example'
const THERE = 'peer.example'

describe('one stream for several domains of ours (XEP-0220 §2.5)', () => {
  const authority = new TestAuthority()
  let server: WireServer
  let host: WireHost

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: [HERE, ALSO], secret: 'our secret', ...options })
    host = new WireHost(server)
  }

  function send(local: string, id: string): void {
    server.send(`a@${local}`, `b@${THERE}`, id)
  }

  async function carries(peer: WirePeer, id: string): Promise<void> {
    await peer.hears(` id='${id}'`, '</message>')
  }

  function answer(type: string, local = ALSO, remote = THERE, inner = ''): string {
    return `<db:result from='${remote}' to='${local}' type='${type}'>${inner}</db:result>`
  }

  const ERROR = answer(
    'error',
    ALSO,
    THERE,
    '<error type="cancel"><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>',
  )

  /** A stream on which here.example has been proven, and a stanza of it. */
  async function established(): Promise<WirePeer> {
    send(HERE, 'first')
    const peer = await host.accepting()
    await carries(peer, 'first')
    return peer
  }

  /** The same, after the question for also.example. */
  async function asked(): Promise<WirePeer> {
    const peer = await established()
    send(ALSO, 'second')
    await peer.hears(` from='${ALSO}' to='${THERE}'>`, '</db:result>')
    return peer
  }

  const routes = (): string[] => server.table.rows().map(({ target, via }) => `${target} ${via}`)

  /** What the pair's last attempt said of live streams. */
  function notes(): Record<string, unknown>[] {
    const trace = server.outgoing.session(ALSO, THERE)?.attempts.at(-1)?.trace
    return (trace?.steps ?? []).filter(({ step }) => step === 'reuse').map(({ facts }) => ({ ...facts }))
  }

  it('§2.1: is asked for with a key of its own, and carries both once it has been granted', async () => {
    serve()
    const peer = await established()
    send(ALSO, 'second')
    const request = await peer.hears(` from='${ALSO}' to='${THERE}'>`, '</db:result>')
    expect(request).to.include(`>${scriptedKey('our secret', THERE, ALSO, 'their-id')}<`)
    await peer.say(answer('valid'))
    await carries(peer, 'second')
    send(HERE, 'third')
    send(ALSO, 'fourth')
    await carries(peer, 'third')
    await carries(peer, 'fourth')
    expect(routes()).to.deep.equal([
      `${HERE} → ${THERE} S2SO-00001 (dialback)`,
      `${ALSO} → ${THERE} S2SO-00001 (dialback)`,
    ])
    expect(notes()).to.deep.equal([{ stream: 'S2SO-00001', kind: 'sender', result: 'valid' }])
    expect(server.network.dialed.get(THERE)).to.equal(1)
  })

  it('§2.3.1: is asked for on a stream proven by SASL EXTERNAL too, when only its last header speaks of dialback', async () => {
    serve()
    send(HERE, 'first')
    const peer = await host.secured(OFFERS.external)
    await peer.hears(auth('').slice(0, 5), '</auth>')
    await peer.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    await peer.hears('<stream:stream ', '>')
    await peer.say(`${header({ to: null, from: THERE, id: 'after-sasl' })}<stream:features/>`)
    await carries(peer, 'first')
    send(ALSO, 'second')
    const request = await peer.hears(` from='${ALSO}' to='${THERE}'>`, '</db:result>')
    expect(request).to.include(scriptedKey('our secret', THERE, ALSO, 'after-sasl'))
    await peer.say(answer('valid'))
    await carries(peer, 'second')
    expect(server.proven.map(({ pair, proof }) => `${pair.local} ${proof}`)).to.deep.equal([
      `${HERE} external`,
      `${ALSO} dialback`,
    ])
  })

  it('§2.3: is not asked for where nothing speaks of dialback', async () => {
    serve()
    send(HERE, 'first')
    const peer = await host.secured(OFFERS.external)
    await peer.hears('</auth>')
    await peer.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    await peer.hears('<stream:stream ', '>')
    await peer.say(`${header({ to: null, from: THERE, id: 'i', 'xmlns:db': null })}<stream:features/>`)
    await carries(peer, 'first')
    send(ALSO, 'second')
    await carries(await host.accepting(), 'second')
    expect(peer.unread).to.equal('')
    expect(notes()[0]?.refused).to.match(/does not offer dialback/)
  })

  it('RFC 6120 §10.1: other pairs are served while it is waited for', async () => {
    serve()
    const peer = await asked()
    send(HERE, 'third')
    await carries(peer, 'third')
    await peer.say(answer('valid'))
    await carries(peer, 'second')
  })

  it('§2.4: an error leads to a connection of its own; the stream lives on and is not asked again', async () => {
    serve()
    const peer = await asked()
    await peer.say(ERROR)
    const other = await host.accepting()
    await carries(other, 'second')
    send(HERE, 'third')
    await carries(peer, 'third')
    await other.say(FOOTER)
    await other.closed()
    await turns()
    send(ALSO, 'fourth')
    await carries(await host.accepting(), 'fourth')
    expect(peer.unread).to.equal('')
    expect(notes()).to.deep.equal([{ stream: 'S2SO-00001', kind: 'sender', refused: 'it was asked before' }])
    expect(server.received).to.deep.equal([])
  })

  it('§2.4: no answer does so too, after a while; one that comes late grants nothing and harms nothing', async () => {
    serve()
    const peer = await asked()
    server.clock.advance(9999)
    await turns()
    expect(server.network.dialed.get(THERE)).to.equal(1)
    server.clock.advance(1)
    const other = await host.secured()
    await other.hears('<db:result ', '</db:result>')
    await peer.say(answer('valid'))
    await turns()
    expect(routes()).to.deep.equal([`${HERE} → ${THERE} S2SO-00001 (dialback)`])
    await other.say(answer('valid'))
    await carries(other, 'second')
    send(HERE, 'third')
    await carries(peer, 'third')
  })

  const ends: readonly (readonly [how: string, act: (peer: WirePeer) => Promise<void> | void])[] = [
    ['invalid', async peer => peer.say(answer('invalid'))],
    ['invalid and the end of the stream', async peer => peer.say(answer('invalid') + FOOTER)],
    ['the end of the stream', async peer => peer.say(FOOTER)],
    ['the end of the connection', peer => peer.hangUp()],
    ['valid and the end of the stream', async peer => peer.say(answer('valid') + FOOTER)],
  ]
  for (const [how, act] of ends) {
    it(`§2.1.1: ${how} leads to a connection of its own, and the other pair finds a new one when it needs it`, async () => {
      serve()
      const peer = await asked()
      await act(peer)
      await turns()
      server.clock.advance(5000)
      const other = await host.accepting()
      await carries(other, 'second')
      expect(routes()).to.deep.equal([`${ALSO} → ${THERE} S2SO-00002 (dialback)`])
      send(HERE, 'third')
      await other.hears(` from='${HERE}' to='${THERE}'>`)
      await other.say(answer('valid', HERE))
      await carries(other, 'third')
      expect(server.received).to.deep.equal([])
    })
  }

  for (const [what, said] of [
    ['another of our domains', answer('valid', HERE)],
    ['another remote domain', answer('valid', ALSO, 'good.example')],
  ] as const) {
    it(`CVE-2012-3525: valid for ${what} grants nothing and ends the stream: invalid-from`, async () => {
      serve()
      const peer = await asked()
      await peer.say(said)
      await peer.fails('invalid-from')
      const other = await host.accepting()
      await carries(other, 'second')
      expect(routes()).to.deep.equal([`${ALSO} → ${THERE} S2SO-00002 (dialback)`])
    })
  }

  it('RFC 6120 §4.4: the end of the stream withdraws all its routes in one step', async () => {
    serve()
    const peer = await asked()
    await peer.say(answer('valid'))
    await carries(peer, 'second')
    const seen: number[] = []
    const stream = server.outgoing.session(ALSO, THERE)!.stream!
    void stream.finished.then(() => seen.push(server.table.rows().length))
    expect(server.table.rows().length).to.equal(2)
    peer.hangUp()
    await turns()
    expect(seen).to.deep.equal([0])
    expect([HERE, ALSO].map(local => server.outgoing.session(local, THERE)?.state)).to.deep.equal(['idle', 'idle'])
  })

  it('100 pairs are the most on one stream', async () => {
    const domains = Array.from({ length: 101 }, (_, i) => `d${i}.example`)
    serve({ domains })
    send(domains[0]!, 'm0')
    const peer = await host.accepting()
    await carries(peer, 'm0')
    for (let i = 1; i < 100; i++) {
      send(domains[i]!, `m${i}`)
      await peer.hears(` from='${domains[i]}'`, '</db:result>')
      await peer.say(answer('valid', domains[i]))
      await carries(peer, `m${i}`)
    }
    send(domains[100]!, 'm100')
    await carries(await host.accepting(), 'm100')
    expect(peer.unread).to.equal('')
    expect(server.network.dialed.get(THERE)).to.equal(2)
  })

  describe('policy', () => {
    const usual: Gate = { rules: memoryRules }

    /** One server for whose second domain another gate holds, which may change. */
    function serveWith(gate: () => Gate): void {
      serve({ gate: (local, _remote, direction) => (local === ALSO && direction === 'outgoing' ? gate() : usual) })
    }

    it('OF-1188: a pair that is refused is not asked for', async () => {
      serveWith(() => ({ refused: { kind: 'policy', detail: 'blocked' } }))
      const peer = await established()
      send(ALSO, 'second')
      const bounce = await server.next()
      expect(bounce.element.getChild('error')?.getChildElements()[0]?.name).to.equal('not-allowed')
      await turns()
      expect(peer.unread).to.equal('')
    })

    const unwilling: readonly (readonly [string, Gate])[] = [
      ['proven by a certificate only', { rules: memoryRules, proof: 'external' }],
      ['kept from dialback', { rules: { ...memoryRules, dialback: false } }],
    ]
    for (const [what, gate] of unwilling) {
      it(`OF-1188: a pair to be ${what} is not asked for`, async () => {
        serveWith(() => gate)
        const peer = await established()
        send(ALSO, 'second')
        const other = await host.secured(OFFERS.external, OFFERS.dialback)
        await other.hears('<auth ')
        expect(peer.unread).to.equal('')
      })
    }

    for (const [what, tls] of [
      ['may go without TLS, when the peer offers it', 'optional'],
      ['must have TLS', 'required'],
    ] as const) {
      it(`RFC 7590 §3.1: a pair that ${what}, is not asked for in plain text`, async () => {
        serve({ gate: local => ({ rules: { ...memoryRules, tls: local === HERE ? 'disabled' : tls } }) })
        send(HERE, 'first')
        const plain = await host.connection()
        await plain.hears('<stream:stream ', '>')
        await plain.say(reply() + features(OFFERS.starttls, OFFERS.dialback))
        await plain.hears('<db:result ', '</db:result>')
        await plain.say(answer('valid', HERE))
        await carries(plain, 'first')
        send(ALSO, 'second')
        await carries(await host.accepting(), 'second')
        expect(plain.unread).to.equal('')
      })
    }

    it('RFC 7590 §3.1: where both do without TLS, it is asked for in plain text', async () => {
      serve({ rules: { tls: 'optional' } })
      send(HERE, 'first')
      const plain = await host.connection()
      await plain.hears('<stream:stream ', '>')
      await plain.say(reply() + features(OFFERS.dialback))
      await plain.hears('<db:result ', '</db:result>')
      await plain.say(answer('valid', HERE))
      await carries(plain, 'first')
      send(ALSO, 'second')
      await plain.hears(` from='${ALSO}' to='${THERE}'>`, '</db:result>')
      await plain.say(answer('valid'))
      await carries(plain, 'second')
    })

    it('OF-1188: a pair refused while it is asked for is not used, and the others stay', async () => {
      let gate: Gate = usual
      serveWith(() => gate)
      const peer = await asked()
      gate = { refused: { kind: 'policy', detail: 'blocked' } }
      await peer.say(answer('valid'))
      expect((await server.next()).id).to.equal('second')
      send(HERE, 'third')
      await carries(peer, 'third')
      expect(routes()).to.deep.equal([`${HERE} → ${THERE} S2SO-00001 (dialback)`])
    })

    it('OF-1188: a pair refused later is taken off the stream, which ends with its last pair', async () => {
      let gate: Gate = usual
      serveWith(() => gate)
      const peer = await asked()
      await peer.say(answer('valid'))
      await carries(peer, 'second')
      gate = { refused: { kind: 'policy', detail: 'blocked' } }
      server.outgoing.reconsider()
      expect(routes()).to.deep.equal([`${HERE} → ${THERE} S2SO-00001 (dialback)`])
      send(HERE, 'third')
      await carries(peer, 'third')
      server.domains.delete(HERE)
      server.outgoing.reconsider()
      await peer.hears(FOOTER)
      expect(routes()).to.deep.equal([])
    })
  })
})
