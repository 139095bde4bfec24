import { expect } from 'chai'
import type { Direction, Gate } from '../../lib/session/context.js'
import { TestAuthority } from '../support/authority.js'
import { memoryRules } from '../support/memory-federation.js'
import type { WirePeer } from '../support/wire-peer.js'
import { FOOTER, header, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

const PAIR = "from='a@peer.example' to='b@here.example'"

describe('addressing of incoming stanzas (RFC 6120 §8.1, §4.9.3)', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: ['here.example', 'also.example'], ...options })
  }

  async function proven(): Promise<WirePeer> {
    serve()
    return await server.authenticated()
  }

  /** The bounce that goes to the peer over our own way to it: over the connection that is made for it. */
  async function bounced(host: WireHost): Promise<string> {
    const peer = await host.accepting()
    return await peer.hears("type='error'", '</error>')
  }

  it('RFC 6120 §8.1: stanzas of a proven pair are routed, in order', async () => {
    const peer = await proven()
    for (const id of ['1', '2', '3'])
      await peer.say(`<message ${PAIR} id='${id}'><body>hello</body></message>`, 'byte by byte')
    await server.fence(peer)
    expect(server.received.map(({ id }) => id)).to.deep.equal(['1', '2', '3'])
  })

  const defects: readonly (readonly [condition: string, name: string, stanza: string])[] = [
    ['improper-addressing', "no 'to'", "<message from='a@peer.example'/>"],
    ['improper-addressing', "no 'from'", "<message to='b@here.example'/>"],
    ['improper-addressing', "empty 'to'", "<message from='a@peer.example' to=''/>"],
    ['improper-addressing', "empty 'from'", "<message from='' to='b@here.example'/>"],
    ['improper-addressing', "malformed 'to'", "<message from='a@peer.example' to='b@@here.example'/>"],
    ['improper-addressing', "malformed 'from'", "<presence from='a b@peer.example' to='b@here.example'/>"],
    ['invalid-from', 'another domain', "<message from='a@other.example' to='b@here.example'/>"],
    ['invalid-from', 'a sub-domain', "<message from='a@sub.peer.example' to='b@here.example'/>"],
    ['invalid-from', 'a super-domain', "<message from='example' to='b@here.example'/>"],
    ['invalid-from', 'a domain that ends alike', "<message from='a@notpeer.example' to='b@here.example'/>"],
    ['invalid-from', 'ours', "<message from='b@here.example' to='b@here.example'/>"],
    [
      'invalid-from',
      'another of ours',
      "<iq type='get' id='1' from='also.example' to='here.example'><q xmlns='u'/></iq>",
    ],
    ['host-unknown', 'to a domain not served', "<message from='a@peer.example' to='b@elsewhere.example'/>"],
    ['host-unknown', 'to a sub-domain of ours', "<message from='a@peer.example' to='b@sub.here.example'/>"],
    ['host-unknown', 'foreign to foreign: itself', "<message from='a@peer.example' to='b@peer.example'/>"],
    ['unsupported-stanza-type', 'an unknown name in jabber:server', `<foo ${PAIR}/>`],
    [
      'unsupported-stanza-type',
      'db:result whose prefix is bound to jabber:server',
      "<db:result xmlns:db='jabber:server' from='x.example' to='here.example' type='valid'/>",
    ],
    [
      'unsupported-stanza-type',
      'stream:features whose prefix is bound to jabber:server',
      "<stream:features xmlns:stream='jabber:server'/>",
    ],
    ['unsupported-stanza-type', 'an unknown element of dialback', "<db:foo from='x.example' to='here.example'/>"],
    [
      'unsupported-stanza-type',
      'compression',
      "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
    ],
    ['invalid-namespace', 'a stanza in jabber:client', `<message xmlns='jabber:client' ${PAIR}/>`],
    ['invalid-xml', 'features from the initiating side', '<stream:features/>'],
    ['invalid-xml', 'features under another prefix', "<s:features xmlns:s='http://etherx.jabber.org/streams'/>"],
    ['invalid-xml', 'an unknown element of the stream namespace', '<stream:foo/>'],
    ['invalid-xml', 'proceed from the initiating side', "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
    ['invalid-xml', 'a second root', header()],
    ['invalid-xml', 'text at root level', 'hello'],
  ]

  for (const [condition, name, stanza] of defects) {
    it(`${condition}: ${name}`, async () => {
      const peer = await proven()
      await peer.say(`${stanza}<message ${PAIR} id='behind'/>`, 'byte by byte')
      await peer.fails(condition)
      expect(server.received).to.deep.equal([])
      expect(server.network.dialed.size).to.equal(0)
    })
  }

  it('RFC 6120 §4.4: nothing behind the footer is read, and the footer is answered', async () => {
    const peer = await proven()
    await peer.say(`${FOOTER}<message ${PAIR}/>`)
    expect(await peer.closed()).to.equal(FOOTER)
    expect(server.received).to.deep.equal([])
  })

  it('RFC 6120 §4.9.1.1: a stream error is not answered by one, and nothing behind it is read', async () => {
    const peer = await proven()
    await peer.say(
      `<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error><message ${PAIR}/>`,
    )
    expect(await peer.closed()).to.equal(FOOTER)
    expect(server.received).to.deep.equal([])
  })

  it('RFC 6120 §4.8.5: a look-alike in a namespace that is not ours to know is ignored, never taken for the real one', async () => {
    const peer = await proven()
    await peer.say("<db:result xmlns:db='urn:x' from='other.example' to='here.example' type='valid'/>")
    await peer.say("<stream:error xmlns:stream='urn:x'/><auth xmlns='urn:x' mechanism='EXTERNAL'>=</auth>")
    await peer.say(`<message xmlns='urn:x' ${PAIR}/><x:message xmlns:x='urn:y' ${PAIR}/>`)
    await server.fence(peer)
    expect(server.received).to.deep.equal([])
    await peer.say(`<message ${PAIR} id='real'/>`)
    expect((await server.next()).id).to.equal('real')
  })

  it('a prefixed stanza name in jabber:server is a stanza', async () => {
    const peer = await proven()
    await peer.say(`<s:message xmlns:s='jabber:server' ${PAIR} id='p'><s:body>x</s:body></s:message>`)
    const stanza = await server.next()
    expect(stanza.id).to.equal('p')
    expect(stanza.textOf('body')).to.equal('x')
  })

  it('unknown elements are ignored up to 100, then policy-violation', async () => {
    const peer = await proven()
    await peer.say("<x xmlns='urn:x'/>".repeat(100))
    await server.fence(peer)
    await peer.say("<x xmlns='urn:x'/>")
    await peer.fails('policy-violation')
  })

  it('an ill-encoded unknown element is not-well-formed', async () => {
    const peer = await proven()
    await peer.say(Buffer.concat([Buffer.from("<x xmlns='urn:x'>"), Buffer.of(0xff), Buffer.from('</x>')]))
    await peer.fails('not-well-formed')
  })

  it('a proven sender to a domain of ours it has not been proven for: stanza error not-authorized, the stream is kept', async () => {
    const peer = await proven()
    const host = new WireHost(server)
    await peer.say("<message from='a@peer.example' to='b@also.example' id='early'><body>x</body></message>")
    const bounce = await bounced(host)
    expect(bounce)
      .to.include("from='b@also.example' to='a@peer.example' id='early' type='error'")
      .and.include('<not-authorized ')
    await peer.say(`<message ${PAIR} id='fine'/>`)
    expect((await server.next()).id).to.equal('fine')
  })

  it('ten of those look like an accident, the eleventh is policy-violation', async () => {
    const peer = await proven()
    const stanza = "<message from='a@peer.example' to='b@also.example' type='error'/>"
    await peer.say(stanza.repeat(10))
    await server.fence(peer)
    await peer.say(stanza)
    await peer.fails('policy-violation')
    expect(server.received).to.deep.equal([])
    expect(server.network.dialed.size, 'no error answers an error').to.equal(0)
  })

  it('item-not-found for a domain that was removed while the pair was live; the stream is kept', async () => {
    const peer = await proven()
    const host = new WireHost(server)
    await peer.say("<db:result from='peer.example' to='also.example'>k</db:result>")
    await peer.hears("type='valid'")
    server.domains.delete('also.example')
    server.gone.add('also.example')
    await peer.say("<iq type='get' from='a@peer.example' to='also.example' id='q'><x xmlns='u'/></iq>")
    expect(await bounced(host)).to.include('<item-not-found ')
    await server.fence(peer)
  })

  it('a pair that policy no longer allows is withdrawn with not-allowed; the last one ends the stream', async () => {
    const blocked = new Set<string>()
    const gate = (local: string, _remote: string, direction: Direction): Gate =>
      direction === 'incoming' && blocked.has(local)
        ? { refused: { kind: 'policy', detail: 'blocked' } }
        : { rules: memoryRules }
    serve({ gate })
    const host = new WireHost(server)
    const peer = await server.authenticated()
    await peer.say("<db:result from='peer.example' to='also.example'>k</db:result>")
    await peer.hears("type='valid'")
    blocked.add('also.example')
    await peer.say("<message from='a@peer.example' to='b@also.example' id='no'/>")
    expect(await bounced(host)).to.include('<not-allowed ')
    await peer.say(`<message ${PAIR} id='yes'/>`)
    expect((await server.next()).id).to.equal('yes')
    blocked.add('here.example')
    await peer.say(`<message ${PAIR} type='error'/>`)
    await peer.fails('policy-violation')
    expect(server.received).to.deep.equal([])
  })

  for (const [name, stanza] of [
    ['an iq get without child', `<iq ${PAIR} id='q' type='get'/>`],
    ['an iq set with two children', `<iq ${PAIR} id='q' type='set'><a xmlns='u'/><b xmlns='u'/></iq>`],
    ['an iq of unknown type', `<iq ${PAIR} id='q' type='foo'><a xmlns='u'/></iq>`],
    ['an iq without type', `<iq ${PAIR} id='q'><a xmlns='u'/></iq>`],
    ['an iq without id', `<iq ${PAIR} type='get'><a xmlns='u'/></iq>`],
    ['presence of unknown type', `<presence ${PAIR} id='q' type='foo'/>`],
  ] as const) {
    it(`RFC 6120 §8.2.3: ${name} is answered with bad-request; the stream is kept`, async () => {
      const peer = await proven()
      const host = new WireHost(server)
      await peer.say(stanza)
      expect(await bounced(host))
        .to.include("from='b@here.example' to='a@peer.example'")
        .and.include('<bad-request ')
      await server.fence(peer)
      expect(server.received).to.deep.equal([])
    })
  }

  it('RFC 6120 §8.3.1: defects of errors and results are answered with nothing', async () => {
    const peer = await proven()
    await peer.say(`<iq ${PAIR} type='result'/><iq ${PAIR} type='error'/><presence ${PAIR} type='error'/>`)
    await server.fence(peer)
    expect(server.network.dialed.size).to.equal(0)
  })

  it('RFC 7622 §3.2: addresses in another spelling are those of the pair', async () => {
    const peer = await proven()
    await peer.say("<message from='A@PEER.example./x' to='b@Here.EXAMPLE' id='s'/>")
    const { from, to } = await server.next()
    expect(`${from} ${to}`).to.equal('a@peer.example/x b@here.example')
  })
})
