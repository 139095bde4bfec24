import { expect } from 'chai'
import type { Gate, RemoteCertificate } from '../../lib/session/context.js'
import type { LeadsTo } from '../../lib/session/dns-evidence.js'
import { TestAuthority } from '../support/authority.js'
import { memoryRules } from '../support/memory-federation.js'
import {
  FOOTER,
  features,
  header,
  OFFERS,
  reply,
  STARTTLS,
  turns,
  WireHost,
  type WirePeer,
  WireServer,
  type WireServerOptions,
} from '../support/wire-peer.js'

const HERE = 'here.example'
const ALSO = 'also.example'
/** The domain that a stream leads to, and one below it. */
const ABOVE = 'dyn.example'
const BELOW = 'evil.dyn.example'
/** Where every stream of a memory network is connected to. */
const PLACE: Where = { address: '192.0.2.1', port: 5269 }

interface Where {
  readonly address: string
  readonly port: number
  readonly signed?: boolean
}

describe('one stream for several domains of a peer (XEP-0220 §2.6)', () => {
  const authority = new TestAuthority()
  let server: WireServer
  let hosts: Map<string, WireHost>
  /** Where DNS says that a domain is. */
  let dns: Map<string, Where>
  const asked: string[] = []

  afterEach(() => server.stop())

  const leadsTo: LeadsTo = async ({ domain, address, port }) => {
    asked.push(domain)
    const place = dns.get(domain)
    if (place === undefined) return { place: 'nowhere' }
    if (place.address === address && place.port === port) return { place: 'there' }
    return { place: place.signed === true ? 'signed elsewhere' : 'elsewhere' }
  }

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: [HERE, ALSO], leadsTo, ...options })
    hosts = new Map([ABOVE, BELOW, `also.${ABOVE}`].map(domain => [domain, new WireHost(server, domain)]))
    dns = new Map()
    asked.length = 0
  }

  function shown(...domains: readonly string[]): { readonly cert: string; readonly key: string } {
    const names = { dns: domains, srv: [], xmpp: [] }
    return authority.credentials(authority.makeLeaf(domains[0]!, { names }), authority.intermediate)
  }

  function send(remote: string, id: string, local = HERE): void {
    server.send(`a@${local}`, `b@${remote}`, id)
  }

  async function carries(peer: WirePeer, id: string): Promise<void> {
    await peer.hears(` id='${id}'`, '</message>')
  }

  async function requested(peer: WirePeer, remote: string, local = HERE): Promise<void> {
    await peer.hears(`<db:result `, ` from='${local}' to='${remote}'>`, '</db:result>')
  }

  function answer(type: string, remote: string, local = HERE, inner = ''): string {
    return `<db:result from='${remote}' to='${local}' type='${type}'>${inner}</db:result>`
  }

  /** A stream to a domain whose server shows a certificate for these names; a stanza has gone over it. */
  async function established(
    remote: string,
    names: readonly string[],
    offer: string = OFFERS.dialback,
  ): Promise<WirePeer> {
    send(remote, 'first')
    const peer = await hosts.get(remote)!.encrypted(shown(...names))
    await peer.hears('<stream:stream ', '>')
    await peer.say(reply({ from: remote }) + features(offer))
    await requested(peer, remote)
    await peer.say(answer('valid', remote))
    await carries(peer, 'first')
    return peer
  }

  /** The domains have proven themselves to us, each on the stream of its number. */
  async function incoming(...streams: readonly (readonly string[])[]): Promise<void> {
    for (const domains of streams) {
      const peer = server.peer()
      const from = domains[0]!
      await peer.say(header({ from }))
      await peer.hears('</stream:features>')
      await peer.say(STARTTLS)
      await peer.hears('<proceed ', '/>')
      await peer.secure(shown(...domains))
      await peer.say(header({ from }))
      await peer.hears('</stream:features>')
      for (const domain of domains) {
        await peer.say(`<db:result from='${domain}' to='${HERE}'>key</db:result>`)
        await peer.hears(`to='${domain}' type='valid'`)
      }
    }
  }

  const routes = (): string[] => server.table.rows().map(({ target, via }) => `${target} ${via}`)

  /** What the last attempt for a domain said of live streams. */
  function notes(remote: string): string[] {
    const trace = server.outgoing.session(HERE, remote)?.attempts.at(-1)?.trace
    const facts = (trace?.steps ?? []).filter(({ step }) => step === 'reuse').map(one => one.facts)
    return facts.flatMap(({ kind, refused, evidence, result }) => [`${kind}: ${refused ?? evidence ?? result}`])
  }

  const NOTHING_SHOWS = 'target: nothing shows that its peer speaks for the domain'
  const NO_ERRORS = 'target: the peer does not promise dialback errors on it'
  const bare = "<dialback xmlns='urn:xmpp:features:dialback'/>"

  interface Case {
    readonly title: string
    readonly strict: boolean
    readonly over: string
    readonly wanted: string
    readonly names: readonly string[]
    readonly offer?: string
    readonly place?: Where
    readonly proven?: readonly (readonly string[])[]
    readonly note: string
  }

  const below = { over: BELOW, wanted: ABOVE }
  const above = { over: ABOVE, wanted: BELOW }
  const both = [ABOVE, BELOW]

  const refusedCases: readonly Case[] = [
    { title: 'attack 12: strict, without evidence', strict: true, ...below, names: [BELOW], note: NOTHING_SHOWS },
    { title: 'attack 12: lax, without evidence', strict: false, ...below, names: [BELOW], note: NOTHING_SHOWS },
    {
      title: 'strict, a certificate for the domain above alone',
      strict: true,
      ...above,
      names: [ABOVE],
      note: NOTHING_SHOWS,
    },
    { title: 'strict, DNS alone', strict: true, ...below, names: [BELOW], place: PLACE, note: NOTHING_SHOWS },
    {
      title: 'strict, an incoming stream alone',
      strict: true,
      ...below,
      names: [BELOW],
      proven: [both],
      note: NOTHING_SHOWS,
    },
    {
      title: 'lax, DNS that leads to another port',
      strict: false,
      ...below,
      names: [BELOW],
      place: { ...PLACE, port: 5270 },
      note: NOTHING_SHOWS,
    },
    {
      title: 'lax, DNS that leads to another address',
      strict: false,
      ...below,
      names: [BELOW],
      place: { ...PLACE, address: '192.0.2.9' },
      note: NOTHING_SHOWS,
    },
    {
      title: 'lax, both proven, but on streams of their own',
      strict: false,
      ...below,
      names: [BELOW],
      proven: [[ABOVE], [BELOW]],
      note: NOTHING_SHOWS,
    },
    {
      title: 'RFC 7673 §3: a certificate for both, but signed DNS that leads to another place',
      strict: true,
      ...above,
      names: both,
      place: { ...PLACE, port: 5270, signed: true },
      note: NOTHING_SHOWS,
    },
    { title: 'XEP-0220 §2.4: no promise of errors', strict: true, ...below, names: both, offer: bare, note: NO_ERRORS },
  ]
  for (const { title, strict, over, wanted, names, offer, place, proven, note } of refusedCases) {
    it(`${title}: ${wanted} is not asked for on the stream to ${over}`, async () => {
      serve({ rules: { strict } })
      if (place !== undefined) dns.set(wanted, place)
      await incoming(...(proven ?? []))
      const peer = await established(over, names, offer)
      send(wanted, 'second')
      await carries(await hosts.get(wanted)!.accepting(), 'second')
      expect(peer.unread).to.equal('')
      expect(notes(wanted)).to.deep.equal([note])
    })
  }

  const grantedCases: readonly Case[] = [
    { title: 'strict, its certificate', strict: true, ...below, names: both, note: 'certificate' },
    { title: 'strict, its certificate', strict: true, ...above, names: both, note: 'certificate' },
    {
      title: 'strict, its certificate, whatever unsigned DNS says',
      strict: true,
      ...above,
      names: both,
      place: { ...PLACE, port: 5270 },
      note: 'certificate',
    },
    { title: 'strict, a wildcard', strict: true, ...above, names: [ABOVE, `*.${ABOVE}`], note: 'certificate' },
    { title: 'lax, its certificate', strict: false, ...below, names: both, note: 'certificate' },
    { title: 'lax, XEP-0220 §2.6.2: DNS', strict: false, ...below, names: [BELOW], place: PLACE, note: 'dns' },
    {
      title: 'lax, one incoming stream',
      strict: false,
      ...above,
      names: [ABOVE],
      proven: [both],
      note: 'incoming stream',
    },
  ]
  for (const { title, strict, over, wanted, names, place, proven, note } of grantedCases) {
    it(`${title} speaks for it: ${wanted} goes over the stream to ${over}, by a route of its own`, async () => {
      serve({ rules: { strict } })
      if (place !== undefined) dns.set(wanted, place)
      await incoming(...(proven ?? []))
      const peer = await established(over, names)
      send(wanted, 'second')
      await requested(peer, wanted)
      send(over, 'third')
      await carries(peer, 'third')
      await peer.say(answer('valid', wanted))
      await carries(peer, 'second')
      expect(notes(wanted)).to.deep.equal([`target: ${note}`, 'target: valid'])
      expect(asked).to.deep.equal([wanted])
      expect(routes()).to.deep.equal([
        `${HERE} → ${over} S2SO-00001 (dialback)`,
        `${HERE} → ${wanted} S2SO-00001 (dialback)`,
      ])
      expect(server.network.dialed.get(wanted)).to.equal(undefined)
      peer.hangUp()
      await turns()
      expect(routes()).to.deep.equal([])
    })
  }

  it('a domain beside the one it leads to is no matter for a stream, whatever its certificate says', async () => {
    serve()
    const peer = await established(BELOW, [BELOW, `also.${ABOVE}`])
    send(`also.${ABOVE}`, 'second')
    await carries(await hosts.get(`also.${ABOVE}`)!.accepting(), 'second')
    expect(peer.unread).to.equal('')
    expect(notes(`also.${ABOVE}`)).to.deep.equal([])
  })

  it('XEP-0220 §2.5: another domain of ours may be the one that asks', async () => {
    serve()
    const peer = await established(ABOVE, both)
    send(BELOW, 'second', ALSO)
    await requested(peer, BELOW, ALSO)
    await peer.say(answer('valid', BELOW, ALSO))
    await carries(peer, 'second')
    expect(routes().at(-1)).to.equal(`${ALSO} → ${BELOW} S2SO-00001 (dialback)`)
  })

  it('the nearest stream is asked, and only one', async () => {
    serve()
    const far = await established(ABOVE, both)
    send(BELOW, 'other', ALSO)
    await requested(far, BELOW, ALSO)
    await far.say(answer('error', BELOW, ALSO, '<error type="cancel"/>'))
    const near = await hosts.get(BELOW)!.accepting()
    await carries(near, 'other')
    send(BELOW, 'second')
    await requested(near, BELOW)
    await near.say(answer('error', BELOW, HERE, '<error type="cancel"/>'))
    await carries(await hosts.get(BELOW)!.accepting(), 'second')
    expect(far.unread).to.equal('')
  })

  it('attack 1: consent that was not asked for grants nothing and ends the stream: invalid-from', async () => {
    serve({ rules: { strict: false } })
    const peer = await established(BELOW, [BELOW])
    await peer.say(answer('valid', ABOVE))
    await peer.fails('invalid-from')
    expect(server.proven.map(({ pair }) => pair.remote)).to.deep.equal([BELOW])
  })

  for (const [how, act] of [
    ['an error', (peer: WirePeer) => peer.say(answer('error', BELOW, HERE, '<error type="cancel"/>'))],
    ['silence', async () => server.clock.advance(10_000)],
  ] as const) {
    it(`XEP-0220 §2.4: after ${how} the domain gets a connection of its own, and the stream lives on`, async () => {
      serve()
      const peer = await established(ABOVE, both)
      send(BELOW, 'second')
      await requested(peer, BELOW)
      await act(peer)
      const own = await hosts.get(BELOW)!.accepting()
      await carries(own, 'second')
      send(ABOVE, 'third')
      await carries(peer, 'third')
      expect(routes()).to.deep.equal([
        `${HERE} → ${ABOVE} S2SO-00001 (dialback)`,
        `${HERE} → ${BELOW} S2SO-00002 (dialback)`,
      ])
    })
  }

  it('a DNS answer that does not come in time is no evidence, and the attempt goes on', async () => {
    let aborted = false
    serve({
      rules: { strict: false },
      leadsTo: ({ signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            aborted = true
            reject(signal.reason)
          }),
        ),
    })
    const peer = await established(BELOW, [BELOW])
    send(ABOVE, 'second')
    await turns()
    server.clock.advance(10_000)
    await carries(await hosts.get(ABOVE)!.accepting(), 'second')
    expect([aborted, peer.unread]).to.deep.equal([true, ''])
  })

  it('RFC 6120 §13.7.2: strictness that comes later takes the domain off a stream that cannot be verified for it', async () => {
    const rules = { ...memoryRules, strict: false }
    let gate: Gate = { rules }
    serve({ gate: (_local, remote) => (remote === ABOVE ? gate : { rules }) })
    dns.set(ABOVE, PLACE)
    const peer = await established(BELOW, [BELOW])
    send(ABOVE, 'second')
    await requested(peer, ABOVE)
    await peer.say(answer('valid', ABOVE))
    await carries(peer, 'second')
    gate = { rules: memoryRules }
    server.outgoing.reconsider()
    expect(routes()).to.deep.equal([`${HERE} → ${BELOW} S2SO-00001 (dialback)`])
    send(BELOW, 'third')
    await carries(peer, 'third')
    send(ABOVE, 'fourth')
    await carries(await hosts.get(ABOVE)!.accepting(), 'fourth')
    expect(peer.heard).to.not.include(FOOTER)
  })

  describe('proofs other than the certificate itself, where DNS leads to the stream', () => {
    /** A server for which a statement of the wanted domain settles what the certificate for the other one is worth. */
    function serveBy(strict: boolean, statement: { readonly verified: boolean; readonly final: boolean }): void {
      serve({ rules: { strict } })
      dns.set(ABOVE, PLACE)
      const { judge } = server.context
      Object.assign(server.context, {
        judgeRemote: async ({ chain, domain }: RemoteCertificate) => {
          const verdict = { ...judge(chain, domain), final: false }
          return domain === ABOVE ? { ...verdict, ...statement } : verdict
        },
      })
    }

    it('RFC 7711 §3: vouch for it, and keep doing so', async () => {
      serveBy(true, { verified: true, final: false })
      const peer = await established(BELOW, [BELOW])
      send(ABOVE, 'second')
      await requested(peer, ABOVE)
      await peer.say(answer('valid', ABOVE))
      await carries(peer, 'second')
      server.outgoing.reconsider()
      expect(routes().length).to.equal(2)
    })

    it('RFC 6698 §4.1: a signed statement against it is final, also when lax', async () => {
      serveBy(false, { verified: false, final: true })
      const peer = await established(BELOW, [BELOW])
      send(ABOVE, 'second')
      await hosts.get(ABOVE)!.encrypted()
      expect(peer.unread).to.equal('')
    })
  })

  it('strict, in plain text: nothing shows that the peer speaks for another domain, whatever DNS says', async () => {
    serve({ rules: { tls: 'optional' } })
    dns.set(BELOW, PLACE)
    send(ABOVE, 'first')
    const plain = await hosts.get(ABOVE)!.connection()
    await plain.hears('<stream:stream ', '>')
    await plain.say(reply({ from: ABOVE }) + features(OFFERS.dialback))
    await requested(plain, ABOVE)
    await plain.say(answer('valid', ABOVE))
    await carries(plain, 'first')
    send(BELOW, 'second')
    await carries(await hosts.get(BELOW)!.accepting(), 'second')
    expect(plain.unread).to.equal('')
    expect(notes(BELOW)).to.deep.equal([NOTHING_SHOWS])
  })

  it('OF-1188: a blocked domain is not reached over the stream of another', async () => {
    serve({
      gate: (_local, remote) =>
        remote === BELOW ? { refused: { kind: 'policy', detail: 'blocked' } } : { rules: memoryRules },
    })
    const peer = await established(ABOVE, both)
    send(BELOW, 'second')
    expect((await server.next()).id).to.equal('second')
    await turns()
    expect(peer.unread).to.equal('')
  })
})
