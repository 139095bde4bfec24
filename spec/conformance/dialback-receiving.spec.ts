import { expect } from 'chai'
import type { Direction, Gate } from '../../lib/session/context.js'
import { StreamEnd } from '../../lib/stream/end-reason.js'
import { TestAuthority } from '../support/authority.js'
import { MemoryNetwork, memoryRules } from '../support/memory-federation.js'
import type { WirePeer } from '../support/wire-peer.js'
import { header, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

const KEY = 'a1b2c3'
const request = (from: string, to = 'here.example', key = KEY): string =>
  `<db:result from='${from}' to='${to}'>${key}</db:result>`
const answer = (from: string, type: string, to = 'here.example'): string =>
  `<db:result xmlns:db='jabber:server:dialback' from='${to}' to='${from}' type='${type}'`
const refusal = (from: string, condition: string, to = 'here.example'): string =>
  `${answer(from, 'error', to)}><error type='cancel'><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>`

/** Where DNS has no address for anybody. */
class NoAddresses extends MemoryNetwork {
  override connect(): never {
    throw new StreamEnd('dns', 'no-address')
  }
}

describe('dialback, receiving role (XEP-0220 §2.1)', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: ['here.example', 'also.example'], ...options })
  }

  const proofs = (): string[] => server.proven.map(({ pair, proof, direction }) => `${direction} ${pair} ${proof}`)

  async function question(asked: WirePeer): Promise<{ readonly id: string; readonly text: string }> {
    const text = await asked.hears('<db:verify ', '</db:verify>')
    return { id: / id='([^']*)'/.exec(text)![1]!, text }
  }

  async function plain(): Promise<WirePeer> {
    const peer = server.peer()
    await peer.say(header())
    await peer.hears('</stream:features>')
    return peer
  }

  for (const [name, rules, secured] of [
    ['dialback is switched off', { dialback: false }, true],
    ['TLS is required and missing', {}, false],
  ] as const) {
    it(`XEP-0220 §2.4: ${name}: policy-violation, the stream is kept`, async () => {
      serve({ rules })
      const peer = secured ? await server.secured({}, null) : await plain()
      await peer.say(request('peer.example'))
      await peer.hears(refusal('peer.example', 'policy-violation'))
      await server.fence(peer)
      expect(server.network.dialed.size).to.equal(0)
    })
  }

  for (const [name, element] of [
    ["no 'from'", `<db:result to='here.example'>k</db:result>`],
    ["no 'to'", `<db:result from='peer.example'>k</db:result>`],
    ["malformed 'from'", request('a b')],
    ["'from' with a localpart", request('user@peer.example')],
    ["malformed 'to'", request('peer.example', 'x@y')],
    ["empty 'from'", request('')],
  ] as const) {
    it(`improper-addressing: ${name}`, async () => {
      serve()
      const peer = await server.secured({}, null)
      await peer.say(element)
      await peer.fails('improper-addressing')
    })
  }

  for (const [name, key] of [
    ['no', ''],
    ['a long', 'a'.repeat(513)],
    ['a non-ASCII', 'ä'],
    ['a two-line', 'a&#10;b'],
  ] as const) {
    it(`bad-request: ${name} key`, async () => {
      serve()
      const peer = await server.secured({}, null)
      await peer.say(request('peer.example', 'here.example', key))
      await peer.hears(refusal('peer.example', 'bad-request'))
      await server.fence(peer)
    })
  }

  it('XEP-0220 §2.4: item-not-found for a domain not served', async () => {
    serve()
    const peer = await server.secured({}, null)
    await peer.say(request('peer.example', 'elsewhere.example'))
    await peer.hears(refusal('peer.example', 'item-not-found', 'elsewhere.example'))
    await server.fence(peer)
  })

  for (const from of ['here.example', 'also.example', 'HERE.example.']) {
    it(`invalid-from: our own name ${from}`, async () => {
      serve()
      const peer = await server.secured({}, null)
      await peer.say(request(from))
      await peer.fails('invalid-from')
    })
  }

  it('policy-violation from the gate, and nobody is dialed', async () => {
    const gate = (_local: string, remote: string): Gate =>
      remote === 'blocked.example' ? { refused: { kind: 'policy', detail: 'blocked' } } : { rules: memoryRules }
    serve({ gate })
    const peer = await server.secured({}, null)
    await peer.say(request('blocked.example'))
    await peer.hears(refusal('blocked.example', 'policy-violation'))
    expect(server.network.dialed.size).to.equal(0)
  })

  it('a certificate that verifies for the asserted name proves it, and nobody is dialed', async () => {
    serve()
    const peer = await server.secured()
    await peer.say(request('peer.example'), 'byte by byte')
    await peer.hears(answer('peer.example', 'valid'))
    expect(proofs()).to.deep.equal(['incoming here.example → peer.example certificate'])
    expect(server.network.dialed.size).to.equal(0)
  })

  it('a pair proven already is valid again, and nothing changes', async () => {
    serve()
    const peer = await server.authenticated()
    await peer.say(request('peer.example'))
    await peer.hears(answer('peer.example', 'valid'))
    expect(proofs()).to.deep.equal(['incoming here.example → peer.example external'])
  })

  it('strict: a certificate for another name does not fall through to dialback', async () => {
    serve()
    const peer = await server.secured()
    await peer.say(request('other.example'))
    await peer.hears(refusal('other.example', 'not-authorized'))
    expect(server.network.dialed.size).to.equal(0)
  })

  it('lax: a certificate for another name does, and says nothing about the asserted one', async () => {
    serve({ rules: { strict: false } })
    const host = new WireHost(server, 'other.example')
    const peer = await server.secured()
    await peer.say(request('other.example'))
    await question(await host.secured())
    expect(proofs()).to.deep.equal([])
  })

  it('XEP-0220 §2.2: the authoritative server is asked with both names, the key and the id of this stream', async () => {
    serve()
    const host = new WireHost(server)
    const peer = await server.secured({}, null)
    const id = [...peer.heard.matchAll(/<stream:stream [^>]* id='([^']*)'/g)].at(-1)![1]
    await peer.say(request('PEER.example.', 'Here.example', `\n  ${KEY} `))
    const asked = await host.secured()
    const { text } = await question(asked)
    expect(text).to.include(`from='here.example' to='peer.example' id='${id}'>${KEY}</db:verify>`)
    await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
    await peer.hears(answer('peer.example', 'valid'))
    expect(proofs()).to.deep.equal(['incoming here.example → peer.example dialback'])
    await peer.say("<message from='a@peer.example' to='b@here.example' id='m'/>")
    expect((await server.next()).id).to.equal('m')
  })

  it('the pair is proven before it is said to be: a stanza in the same segment as nothing else is taken', async () => {
    serve()
    const peer = await server.secured()
    await peer.say(`${request('peer.example')}<message from='a@peer.example' to='b@here.example' id='eager'/>`)
    expect((await server.next()).id).to.equal('eager')
  })

  it('XEP-0220 §2.1.1: invalid for the only pair: said, and the stream closed', async () => {
    serve()
    const host = new WireHost(server)
    const peer = await server.secured({}, null)
    await peer.say(request('peer.example'))
    const asked = await host.secured()
    const { id } = await question(asked)
    await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='invalid'/>`)
    await peer.hears(answer('peer.example', 'invalid'))
    expect(await peer.closed()).to.equal('/></stream:stream>')
    expect(proofs()).to.deep.equal([])
  })

  it('invalid with other pairs proven: error forbidden, the stream is kept', async () => {
    serve({ rules: { strict: false } })
    const host = new WireHost(server, 'other.example')
    const peer = await server.authenticated()
    await peer.say(request('other.example'))
    const asked = await host.secured()
    const { id } = await question(asked)
    await asked.say(`<db:verify from='other.example' to='here.example' id='${id}' type='invalid'/>`)
    await peer.hears(refusal('other.example', 'forbidden'))
    await peer.say("<message from='a@peer.example' to='b@here.example' id='m'/>")
    expect((await server.next()).id).to.equal('m')
  })

  it('stanzas of proven pairs flow on while an answer is awaited', async () => {
    serve({ rules: { strict: false } })
    const host = new WireHost(server, 'other.example')
    const peer = await server.authenticated()
    await peer.say(request('other.example'))
    await question(await host.secured())
    await peer.say("<message from='a@peer.example' to='b@here.example' id='m'/>")
    expect((await server.next()).id).to.equal('m')
    await peer.say("<message from='a@other.example' to='b@here.example' id='n'/>")
    await peer.fails('invalid-from')
  })

  it('the same request again shares the running verification', async () => {
    serve()
    const host = new WireHost(server)
    const peer = await server.secured({}, null)
    await peer.say(request('peer.example').repeat(3))
    const asked = await host.secured()
    const { id } = await question(asked)
    await server.fence(peer)
    await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
    await peer.hears(answer('peer.example', 'valid'))
    await server.fence(peer)
    expect(asked.unread).to.not.include('verify')
    expect(server.network.dialed.get('peer.example')).to.equal(1)
    expect(peer.heard.split("type='valid'").length - 1).to.equal(1)
  })

  it('requests of several streams for one domain share one connection', async () => {
    serve()
    const host = new WireHost(server)
    const one = await server.secured({}, null)
    const other = await server.secured({}, null)
    await one.say(request('peer.example'))
    await other.say(request('peer.example'))
    await server.fence(other)
    const asked = await host.secured()
    const ids = [(await question(asked)).id, (await question(asked)).id]
    expect(new Set(ids).size).to.equal(2)
    expect(server.network.dialed.get('peer.example')).to.equal(1)
    for (const id of ids) await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
    await one.hears(answer('peer.example', 'valid'))
    await other.hears(answer('peer.example', 'valid'))
  })

  it('16 requests may be pending on one stream, the next is resource-constraint', async () => {
    serve()
    const hosts = Array.from({ length: 17 }, (_, i) => new WireHost(server, `p${i}.example`))
    const peer = await server.secured({ from: null }, null)
    for (let i = 0; i < 17; i++) await peer.say(request(`p${i}.example`))
    await peer.hears(refusal('p16.example', 'resource-constraint'))
    await server.fence(peer)
    expect(peer.heard.split('<db:result').length - 1).to.equal(1)
    expect(hosts[16]!.untaken).to.equal(0)
  })

  const outcomes: readonly (readonly [condition: string, name: string, play: (host: WireHost) => Promise<void>])[] = [
    [
      'remote-server-not-found',
      'item-not-found from the authoritative server',
      async host => {
        const asked = await host.secured()
        const { id } = await question(asked)
        await asked.say(
          `<db:verify from='peer.example' to='here.example' id='${id}' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>`,
        )
      },
    ],
    [
      'remote-server-not-found',
      'stream error host-unknown',
      async host => {
        const asked = await host.connection()
        await asked.hears('<stream:stream ', '>')
        await asked.say(
          `${header({ to: null, id: 'i' })}<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`,
        )
        await asked.hears('</stream:stream>')
        asked.hangUp()
      },
    ],
    [
      'remote-connection-failed',
      'a certificate that our rules refuse',
      async host => {
        await host.encrypted('expired')
      },
    ],
    [
      'remote-connection-failed',
      'no TLS offered',
      async host => {
        const asked = await host.connection()
        await asked.hears('<stream:stream ', '>')
        await asked.say(`${header({ to: null, id: 'i' })}<stream:features/>`)
      },
    ],
    [
      'remote-server-timeout',
      'the connection cut while waiting',
      async host => {
        const asked = await host.secured()
        await question(asked)
        asked.hangUp()
      },
    ],
    [
      'remote-server-timeout',
      'no answer within read.timeout',
      async host => {
        await question(await host.secured())
        server.clock.advance(9999)
        await turns()
        expect(proofs()).to.deep.equal([])
        server.clock.advance(1)
      },
    ],
  ]
  for (const [condition, name, play] of outcomes) {
    it(`XEP-0220 §2.4: ${condition}: ${name}; the stream is kept`, async () => {
      serve()
      const host = new WireHost(server)
      const peer = await server.secured({}, null)
      await peer.say(request('peer.example'))
      await play(host)
      await peer.hears(refusal('peer.example', condition))
      expect(proofs()).to.deep.equal([])
      await server.fence(peer)
    })
  }

  it('remote-connection-failed: nobody answers at the address; remote-server-not-found: no address', async () => {
    serve()
    const peer = await server.secured({}, null)
    await peer.say(request('peer.example'))
    await peer.hears(refusal('peer.example', 'remote-connection-failed'))
    await server.stop()
    serve({ network: new NoAddresses() })
    const other = await server.secured({}, null)
    await other.say(request('peer.example'))
    await other.hears(refusal('peer.example', 'remote-server-not-found'))
  })

  it('the rules for the asserted domain hold for the verification: what may not be dialed is not', async () => {
    const gate = (_local: string, _remote: string, direction: Direction): Gate =>
      direction === 'outgoing' ? { refused: { kind: 'policy', detail: 'blocked' } } : { rules: memoryRules }
    serve({ gate })
    const peer = await server.secured({}, null)
    await peer.say(request('peer.example'))
    await peer.hears(refusal('peer.example', 'remote-connection-failed'))
    expect(server.network.dialed.size).to.equal(0)
  })

  it('a live stream of ours to the asserted domain is asked; no other is opened', async () => {
    serve()
    const host = new WireHost(server)
    server.send('b@here.example', 'a@peer.example', 'hello')
    const live = await host.accepting()
    await live.hears('hello')
    const peer = await server.secured({ to: 'also.example' }, null)
    await peer.say(request('peer.example', 'also.example'))
    const { id, text } = await question(live)
    expect(text).to.include("from='also.example' to='peer.example'")
    await live.say(`<db:verify from='peer.example' to='also.example' id='${id}' type='valid'/>`)
    await peer.hears(answer('peer.example', 'valid', 'also.example'))
    expect(server.network.dialed.get('peer.example')).to.equal(1)
  })

  it('XEP-0220 §2.6.2: a stream opened to verify is kept 10 s for the pair that is usually wanted next', async () => {
    serve()
    const host = new WireHost(server)
    const peer = await server.secured({}, null)
    await peer.say(request('peer.example'))
    const asked = await host.secured()
    const { id } = await question(asked)
    await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
    await peer.hears(answer('peer.example', 'valid'))
    server.clock.advance(9000)
    server.send('b@here.example', 'a@peer.example', 'hello')
    await asked.hears("<db:result xmlns:db='jabber:server:dialback' from='here.example' to='peer.example'>")
    await asked.say("<db:result from='peer.example' to='here.example' type='valid'/>")
    await asked.hears('hello')
    server.clock.advance(60_000)
    await turns()
    expect(asked.isOver).to.equal(false)
    expect(server.network.dialed.get('peer.example')).to.equal(1)
  })

  it('an unused one is closed after 10 s', async () => {
    serve()
    const host = new WireHost(server)
    const peer = await server.secured({}, null)
    await peer.say(request('peer.example'))
    const asked = await host.secured()
    const { id } = await question(asked)
    await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
    await peer.hears(answer('peer.example', 'valid'))
    server.clock.advance(10_000)
    await asked.closed()
  })
})
