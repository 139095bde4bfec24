import { expect } from 'chai'
import { dialbackKey } from '../../lib/negotiation/dialback/key.js'
import { TestAuthority } from '../support/authority.js'
import type { WirePeer } from '../support/wire-peer.js'
import {
  base64,
  FOOTER,
  features,
  OFFERS,
  reply,
  turns,
  WireHost,
  WireServer,
  type WireServerOptions,
} from '../support/wire-peer.js'

const SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
const TLS = 'urn:ietf:params:xml:ns:xmpp-tls'
const streamError = (condition: string): string =>
  `<stream:error><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`
const VALID = "<db:result from='peer.example' to='here.example' type='valid'/>"

describe('the initiating side', () => {
  const authority = new TestAuthority()
  let server: WireServer
  let host: WireHost

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
    host = new WireHost(server)
  }

  const send = (body: string): void => server.send('b@here.example', 'a@peer.example', body)
  const outcome = (): string | undefined =>
    server.outgoing.session('here.example', 'peer.example')?.attempts.at(-1)?.outcome

  /** A first message, and the connection that is made for it. */
  async function dialed(options: WireServerOptions = {}): Promise<WirePeer> {
    serve(options)
    send('hello')
    return await host.connection()
  }

  /** The same, up to where our header has come over TLS. */
  async function encrypted(options: WireServerOptions = {}): Promise<WirePeer> {
    serve(options)
    send('hello')
    const peer = await host.encrypted()
    await peer.hears('<stream:stream ', '>')
    return peer
  }

  /** The one error that the sender of the first message gets. */
  async function bounced(condition: string, type: string): Promise<void> {
    const text = (await server.next(({ isError }) => isError)).serialize().toString()
    expect(text).to.include(`<error type='${type}'`).and.include(`<${condition} `)
    expect(text).to.include("from='a@peer.example' to='b@here.example'")
    await turns(3)
    expect(server.received).to.deep.equal([])
  }

  describe('header (RFC 6120 §4.7)', () => {
    it('names both domains, the version, a language and, for old peers, dialback', async () => {
      const peer = await dialed()
      const text = await peer.hears("<?xml version='1.0'?><stream:stream ", '>')
      expect(text).to.include(" from='here.example'").and.include(" to='peer.example'").and.include(" version='1.0'")
      expect(text)
        .to.include(" xml:lang='en'")
        .and.include(" xmlns='jabber:server'")
        .and.include(" xmlns:db='jabber:server:dialback'")
    })

    it('declares no dialback when that is switched off', async () => {
      const peer = await dialed({ rules: { dialback: false } })
      expect(await peer.hears('<stream:stream ', '>')).to.not.include('dialback')
    })

    for (const [condition, name, answer] of [
      ['invalid-namespace', 'another stream namespace', reply({ 'xmlns:stream': 'urn:x' })],
      ['invalid-namespace', 'jabber:client', reply({ xmlns: 'jabber:client' })],
      ['invalid-xml', 'another root', reply().replace('<stream:stream', '<stream:other')],
      ['invalid-xml', 'no id', reply({ id: null })],
      ['invalid-xml', 'an empty id', reply({ id: '' })],
      ['invalid-from', 'another domain', reply({ from: 'other.example' })],
      ['invalid-from', 'a sub-domain', reply({ from: 'sub.peer.example' })],
      ['unsupported-version', 'a version before 1.0', reply({ version: '0.9' })],
      ['not-well-formed', 'bytes that are not XML', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
      ['restricted-xml', 'a DOCTYPE', '<!DOCTYPE x>'],
    ] as const) {
      it(`${condition}: ${name} in answer`, async () => {
        const peer = await dialed()
        await peer.hears('<stream:stream ', '>')
        await peer.say(answer, 'byte by byte')
        await peer.fails(condition)
        await bounced('remote-server-timeout', 'cancel')
      })
    }

    for (const [name, answer] of [
      ["no 'from'", reply({ from: null })],
      ["'from' in another spelling", reply({ from: 'PEER.example.' })],
      ['version 1.7', reply({ version: '1.7' })],
    ] as const) {
      it(`accepts ${name} in answer`, async () => {
        const peer = await dialed()
        await peer.say(answer + features(OFFERS.starttls))
        await peer.hears('<starttls ')
      })
    }
  })

  describe('features (RFC 6120 §4.3.2, §5.3)', () => {
    for (const tls of ['required', 'optional'] as const) {
      it(`${tls}: takes STARTTLS where it is offered, alone`, async () => {
        const peer = await dialed({ rules: { tls } })
        await peer.say(reply() + features(OFFERS.starttls, OFFERS.dialback, OFFERS.external), 'byte by byte')
        await peer.hears(`<starttls xmlns='${TLS}'/>`)
        await turns(3)
        expect(peer.unread).to.equal('')
      })
    }

    it('required: ends in order where it is not offered', async () => {
      const peer = await dialed()
      await peer.hears('<stream:stream ', '>')
      await peer.say(reply() + features(OFFERS.dialback))
      expect(await peer.closed()).to.equal(FOOTER)
      await bounced('remote-server-timeout', 'cancel')
      expect(outcome()).to.match(/^tls: not-offered/)
    })

    it('optional: goes on in plain text where it is not offered', async () => {
      const peer = await dialed({ rules: { tls: 'optional' } })
      await peer.say(reply() + features(OFFERS.dialback))
      await peer.hears('<db:result ', '</db:result>')
      await peer.say(VALID)
      await peer.hears('hello')
    })

    it('disabled: does not take it, and ends where it is demanded', async () => {
      const peer = await dialed({ rules: { tls: 'disabled' } })
      await peer.say(reply() + features(OFFERS.starttls, OFFERS.dialback))
      await peer.hears('<db:result ')
      await server.stop()
      const other = await dialed({ rules: { tls: 'disabled' } })
      await other.hears('<stream:stream ', '>')
      await other.say(reply() + features(`<starttls xmlns='${TLS}'><required/></starttls>`, OFFERS.dialback))
      expect(await other.closed()).to.equal(FOOTER)
      await bounced('remote-server-timeout', 'cancel')
      expect(outcome()).to.match(/^tls: demanded/)
    })

    it('no version in answer: dialback at once where plain text is allowed, else the end', async () => {
      const peer = await dialed({ rules: { tls: 'optional' } })
      await peer.say(reply({ version: null }))
      await peer.hears('<db:result ')
      await server.stop()
      const other = await dialed()
      await other.hears('<stream:stream ', '>')
      await other.say(reply({ version: null }))
      expect(await other.closed()).to.equal(FOOTER)
      await bounced('remote-server-timeout', 'cancel')
    })

    it('XEP-0178 §3: strict: a certificate that does not verify is told so', async () => {
      serve()
      send('hello')
      const peer = await host.encrypted('expired')
      expect(await peer.fails('not-authorized')).to.match(/<text [^>]*>.*expired/)
      await bounced('remote-server-timeout', 'cancel')
      expect(outcome()).to.match(/^certificate: expired/)
    })

    it('lax: a certificate that does not verify is good for dialback alone', async () => {
      serve({ rules: { strict: false } })
      send('hello')
      const peer = await host.encrypted('self-signed')
      await peer.say(reply() + features(OFFERS.external, OFFERS.dialback))
      await peer.hears('<db:result ')
      expect(peer.heard).to.not.include('<auth')
    })

    it('XEP-0220 §2.3.1: the namespace on the header counts when features list no proof at all', async () => {
      const peer = await encrypted()
      await peer.say(reply() + features())
      await peer.hears('<db:result ')
    })

    for (const [name, offers] of [
      ['only a mechanism we do not have', [OFFERS.external.replace('EXTERNAL', 'PLAIN')]],
      [
        'look-alikes in other namespaces',
        ["<mechanisms xmlns='urn:x'><mechanism>EXTERNAL</mechanism></mechanisms>", "<dialback xmlns='urn:x'/>"],
      ],
    ] as const) {
      it(`XEP-0220 §2.3: dialback is not sent to a peer that does not offer it: ${name}`, async () => {
        const peer = await encrypted()
        await peer.say(reply({ 'xmlns:db': null }) + features(...offers))
        expect(await peer.closed()).to.equal(FOOTER)
        await bounced('remote-server-timeout', 'cancel')
        expect(outcome()).to.match(/^sasl: no-common-proof/)
      })
    }

    it('features that come late change nothing', async () => {
      serve()
      send('hello')
      const peer = await host.accepting()
      await peer.hears('hello')
      await peer.say(features(OFFERS.external))
      send('again')
      await peer.hears('again')
    })
  })

  describe('SASL EXTERNAL (XEP-0178 §3)', () => {
    const ours = `<auth xmlns='${SASL}' mechanism='EXTERNAL'>${base64('here.example')}</auth>`

    async function external(options: WireServerOptions = {}, ...offers: string[]): Promise<WirePeer> {
      const peer = await encrypted(options)
      await peer.say(reply() + features(OFFERS.external, ...offers))
      return peer
    }

    it('is chosen before dialback, names our domain, and restarts the stream', async () => {
      const peer = await external({}, OFFERS.dialback)
      await peer.hears(ours)
      await peer.say(`<success xmlns='${SASL}'/>`)
      await peer.hears("<?xml version='1.0'?><stream:stream ", '>')
      await peer.say(reply({ id: 'third' }) + features())
      await peer.hears('hello')
      expect(server.proven.map(({ proof }) => proof)).to.deep.equal(['external'])
    })

    it("sends '=' when told to", async () => {
      const peer = await external({ settings: { skipSendingAuthzid: true } })
      await peer.hears(`<auth xmlns='${SASL}' mechanism='EXTERNAL'>=</auth>`)
    })

    it('RFC 6120 §6.4.2: answers a challenge once', async () => {
      const peer = await external()
      await peer.hears(ours)
      await peer.say(`<challenge xmlns='${SASL}'/>`)
      await peer.hears(`<response xmlns='${SASL}'>${base64('here.example')}</response>`)
      await peer.say(`<challenge xmlns='${SASL}'/>`)
      await peer.fails('unsupported-stanza-type')
    })

    it('is not tried without a certificate of ours', async () => {
      serve({ certificate: null })
      send('hello')
      const peer = await host.encrypted()
      await peer.say(reply() + features(OFFERS.external, OFFERS.dialback))
      await peer.hears('<db:result ')
      expect(peer.heard).to.not.include('<auth')
    })

    const refusal = `<failure xmlns='${SASL}'><not-authorized/></failure>`

    it('refused, with dialback offered: dialback on the same stream', async () => {
      const peer = await external({}, OFFERS.dialback)
      await peer.hears(ours)
      await peer.say(refusal)
      await peer.hears('<db:result ', '</db:result>')
      await peer.say(VALID)
      await peer.hears('hello')
    })

    it('refused, without dialback: the end', async () => {
      const peer = await external()
      await peer.hears(ours)
      await peer.say(refusal)
      expect(await peer.closed()).to.equal(FOOTER)
      await bounced('remote-server-timeout', 'cancel')
      expect(outcome()).to.equal('sasl: not-authorized')
    })

    for (const [name, said] of [
      ['failure, then the footer', refusal + FOOTER],
      ['failure, then a stream error', refusal + streamError('not-authorized')],
      ['a stream error alone', streamError('not-authorized')],
      ['the footer alone', FOOTER],
    ] as const) {
      it(`refused and closed (${name}): once more, straight to dialback`, async () => {
        const peer = await external({}, OFFERS.dialback)
        await peer.hears(ours)
        await peer.say(said)
        peer.hangUp()
        const second = await host.secured(OFFERS.external, OFFERS.dialback)
        await second.hears('<db:result ', '</db:result>')
        expect(second.heard).to.not.include('<auth')
        await second.say(VALID)
        await second.hears('hello')
        expect(server.network.dialed.get('peer.example')).to.equal(2)
      })
    }

    it('refused and closed twice: no third connection', async () => {
      const peer = await external({}, OFFERS.dialback)
      await peer.hears(ours)
      await peer.say(refusal + FOOTER)
      peer.hangUp()
      const second = await host.secured(OFFERS.external, OFFERS.dialback)
      await second.hears('<db:result ', '</db:result>')
      await second.say(FOOTER)
      second.hangUp()
      await bounced('remote-server-timeout', 'wait')
      expect(server.network.dialed.get('peer.example')).to.equal(2)
    })

    it('a failure in the TLS namespace is none of SASL', async () => {
      const peer = await external({}, OFFERS.dialback)
      await peer.hears(ours)
      await peer.say(`<failure xmlns='${TLS}'/>`)
      await peer.fails('unsupported-stanza-type')
    })
  })

  describe('dialback (XEP-0220 §2.1)', () => {
    async function asked(
      options: WireServerOptions = {},
    ): Promise<{ readonly peer: WirePeer; readonly request: string }> {
      serve(options)
      send('hello')
      const peer = await host.encrypted()
      await peer.hears('<stream:stream ', '>')
      await peer.say(reply({ id: 'the-last-one' }) + features(OFFERS.dialback))
      return { peer, request: await peer.hears('<db:result ', '</db:result>') }
    }

    it('XEP-0185 §3: the key is made for the id on the last header', async () => {
      const { request } = await asked({ secret: 's' })
      const key = dialbackKey('s', { receiving: 'peer.example', originating: 'here.example', streamId: 'the-last-one' })
      expect(request).to.include(
        `<db:result xmlns:db='jabber:server:dialback' from='here.example' to='peer.example'>${key}</db:result>`,
      )
    })

    for (const answer of [
      VALID,
      "<result xmlns='jabber:server:dialback' from='PEER.example' to='here.example' type='valid'/>",
      VALID.replace('/>', '>x</db:result>'),
    ]) {
      it(`accepts ${answer}`, async () => {
        const { peer } = await asked()
        await peer.say(answer, 'byte by byte')
        await peer.hears('hello')
        expect(server.proven.map(({ pair, proof }) => `${pair} ${proof}`)).to.deep.equal([
          'here.example → peer.example dialback',
        ])
      })
    }

    it('XEP-0220 §2.1.1: invalid is our own fault to mend: internal-server-error', async () => {
      const { peer } = await asked()
      await peer.say(VALID.replace("'valid'", "'invalid'"))
      await bounced('internal-server-error', 'cancel')
      await peer.closed()
    })

    for (const [condition, type] of [
      ['item-not-found', 'cancel'],
      ['policy-violation', 'cancel'],
      ['not-authorized', 'cancel'],
      ['remote-server-timeout', 'wait'],
      ['resource-constraint', 'wait'],
    ] as const) {
      it(`XEP-0220 §2.4: error ${condition}: told as ${type}`, async () => {
        const { peer } = await asked()
        const error = `<error type='cancel'><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
        await peer.say(`<db:result from='peer.example' to='here.example' type='error'>${error}</db:result>`)
        await bounced('remote-server-timeout', type)
        await peer.closed()
      })
    }
  })

  describe('streams are one-way without bidi (RFC 6120 §4.5)', () => {
    for (const [name, stanza] of [
      ['a message of the peer', "<message from='a@peer.example' to='b@here.example'/>"],
      ['an iq', "<iq type='get' id='1' from='peer.example' to='here.example'><ping xmlns='urn:xmpp:ping'/></iq>"],
      ['presence in our name', "<presence from='here.example' to='here.example'/>"],
    ] as const) {
      it(`not-authorized: ${name}`, async () => {
        serve()
        send('hello')
        const peer = await host.accepting()
        await peer.hears('hello')
        await peer.say(stanza)
        await peer.fails('not-authorized')
        expect(server.received).to.deep.equal([])
      })
    }

    it('not-authorized: a stanza before anything is proven', async () => {
      const peer = await dialed()
      await peer.hears('<stream:stream ', '>')
      await peer.say(`${reply()}<message from='a@peer.example' to='b@here.example'/>`)
      await peer.fails('not-authorized')
      await bounced('remote-server-timeout', 'cancel')
    })
  })
})
