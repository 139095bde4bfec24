import { expect } from 'chai'
import { dialbackKey } from '../../lib/negotiation/dialback/key.js'
import type { Gate } from '../../lib/session/context.js'
import { TestAuthority } from '../support/authority.js'
import { memoryRules } from '../support/memory-federation.js'
import { header, WireServer, type WireServerOptions } from '../support/wire-peer.js'

describe('dialback, authoritative role (XEP-0220 §2.2)', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: ['here.example', 'also.example'], ...options })
  }

  const proofs = (): string[] => server.proven.map(({ pair, proof, direction }) => `${direction} ${pair} ${proof}`)

  const ask = (attributes: string, key = 'k'): string => `<db:verify ${attributes}>${key}</db:verify>`
  const NAMES = "from='peer.example' to='here.example'"
  const told = (condition: string): string => `<${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`

  for (const [name, element, condition] of [
    ['no id', ask(NAMES), 'bad-request'],
    ['an empty id', ask(`${NAMES} id=''`), 'bad-request'],
    ['an id of 256 characters', ask(`${NAMES} id='${'i'.repeat(256)}'`), 'bad-request'],
    ['no key', ask(`${NAMES} id='i'`, ''), 'bad-request'],
    ["no 'from'", ask("to='here.example' id='i'"), 'bad-request'],
    ["no 'to'", ask("from='peer.example' id='i'"), 'bad-request'],
    ["malformed 'from'", ask("from='a b' to='here.example' id='i'"), 'bad-request'],
    ["malformed 'to'", ask("from='peer.example' to='x@y' id='i'"), 'bad-request'],
    ['a domain not served', ask("from='peer.example' to='elsewhere.example' id='i'"), 'item-not-found'],
  ] as const) {
    it(`${condition}: ${name}; the stream is kept`, async () => {
      serve()
      const peer = await server.secured({}, null)
      await peer.say(element)
      await peer.hears('<db:verify ', "type='error'", told(condition), '</db:verify>')
      await server.fence(peer)
    })
  }

  it('an id of 255 characters is answered', async () => {
    serve()
    const peer = await server.secured({}, null)
    await peer.say(ask(`${NAMES} id='${'i'.repeat(255)}'`))
    await peer.hears("type='invalid'")
  })

  for (const [name, rules, secured] of [
    ['dialback is switched off', { dialback: false }, true],
    ['TLS is required and missing', {}, false],
  ] as const) {
    it(`policy-violation: ${name}`, async () => {
      serve({ rules })
      const peer = secured ? await server.secured({}, null) : server.peer()
      if (!secured) await peer.say(header())
      await peer.say(ask(`${NAMES} id='i'`))
      await peer.hears("type='error'", told('policy-violation'))
    })
  }

  it('policy-violation: the gate refuses who asks', async () => {
    const gate = (_local: string, remote: string): Gate =>
      remote === 'blocked.example' ? { refused: { kind: 'policy', detail: 'blocked' } } : { rules: memoryRules }
    serve({ gate })
    const peer = await server.secured({}, null)
    await peer.say(ask("from='blocked.example' to='here.example' id='i'"))
    await peer.hears("type='error'", told('policy-violation'))
  })

  it('the answer proves nothing about anybody', async () => {
    serve({ secret: 's' })
    const peer = await server.secured({}, null)
    await peer.say(
      ask(
        `${NAMES} id='i'`,
        dialbackKey('s', { receiving: 'peer.example', originating: 'here.example', streamId: 'i' }),
      ),
    )
    await peer.hears("type='valid'")
    expect(proofs()).to.deep.equal([])
    await peer.say("<message from='a@peer.example' to='b@here.example'/>")
    await peer.fails('not-authorized')
  })

  it('an id is echoed as it came, escaped', async () => {
    serve()
    const peer = await server.secured({}, null)
    await peer.say(ask(`${NAMES} id='&lt;&apos;&amp;&quot;&gt;'`))
    expect(await peer.hears("type='invalid'")).to.match(/ id='&lt;(&apos;|&#39;)&amp;("|&quot;)(>|&gt;)'/)
  })

  it('a stream used only for this is closed in order when its time is over', async () => {
    serve()
    const peer = await server.secured({}, null)
    await peer.say(ask(`${NAMES} id='i'`))
    await peer.hears("type='invalid'", '/>')
    server.clock.advance(10_000)
    expect(await peer.closed()).to.equal('</stream:stream>')
  })
})
