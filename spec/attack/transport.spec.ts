import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import {
  features,
  header,
  OFFERS,
  PROCEED,
  reply,
  STARTTLS,
  turns,
  WireHost,
  WireServer,
  type WireServerOptions,
} from '../support/wire-peer.js'

const TLS = 'urn:ietf:params:xml:ns:xmpp-tls'

describe('attacks on the transport', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
  }

  const outcome = (): string | undefined =>
    server.outgoing.session('here.example', 'peer.example')?.attempts.at(-1)?.outcome

  describe('STARTTLS stripped, downgrade (CVE-2014-8760, CVE-2016-10027)', () => {
    const stripped = [
      ['no offer', features(OFFERS.dialback)],
      ['a look-alike in another namespace', features("<starttls xmlns='urn:x'/>", OFFERS.dialback)],
      ['a look-alike below another feature', features(`<x xmlns='urn:x'>${OFFERS.starttls}</x>`, OFFERS.dialback)],
      ['an offer outside the features', OFFERS.starttls + features(OFFERS.dialback)],
    ] as const
    for (const [name, offered] of stripped) {
      it(`required: ${name}: closed, and nothing but the header was said`, async () => {
        serve()
        const host = new WireHost(server)
        server.send('b@here.example', 'a@peer.example', 'secret words')
        const peer = await host.connection()
        await peer.hears('<stream:stream ', '>')
        await peer.say(reply() + offered)
        const said = await peer.closed()
        expect(said).to.not.include('db:result').and.not.to.include('secret words').and.not.to.include('<auth')
        await server.next(({ isError }) => isError)
      })
    }

    const broken = [
      ['failure', `<failure xmlns='${TLS}'/></stream:stream>`],
      ['failure in another namespace', "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"],
      ['plain text behind proceed', `${PROCEED}${reply()}${features(OFFERS.dialback)}`],
      ['a broken handshake', null],
      ['a cut in place of the handshake', undefined],
    ] as const
    for (const [name, answer] of broken) {
      it(`optional: ${name}: no plain text once TLS was begun, on this or any further connection`, async () => {
        serve({ rules: { tls: 'optional' } })
        const host = new WireHost(server)
        server.send('b@here.example', 'a@peer.example', 'secret words')
        const peer = await host.connection()
        await peer.hears('<stream:stream ', '>')
        await peer.say(reply() + features(OFFERS.starttls, OFFERS.dialback))
        await peer.hears('<starttls ', '/>')
        if (typeof answer === 'string') await peer.say(answer)
        else {
          await peer.say(PROCEED)
          await turns(3)
          if (answer === null) await peer.say(`${reply()}${features(OFFERS.dialback)}`)
          else peer.hangUp()
        }
        await server.next(({ isError }) => isError)
        server.clock.advance(1000)
        await turns()
        expect(peer.heard).to.not.include('db:result').and.not.to.include('secret words')
        expect(server.network.dialed.get('peer.example')).to.equal(1)
        server.clock.advance(60_000)
        await turns()
        expect(host.untaken).to.equal(0)
      })
    }

    it('receiving, required: dialback, SASL and stanzas in plain text get nowhere', async () => {
      serve()
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await peer.say("<db:result from='peer.example' to='here.example'>k</db:result>")
      await peer.hears("type='error'", '<policy-violation ')
      await peer.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
      await peer.hears('<encryption-required/>')
      await peer.say("<message from='a@peer.example' to='b@here.example'/>")
      await peer.fails('policy-violation')
      expect(server.network.dialed.size).to.equal(0)
    })
  })

  describe('text injected around STARTTLS (CVE-2011-0411 and its kin)', () => {
    const injected = [
      ['a stanza', "<message from='a@peer.example' to='b@here.example'/>"],
      ['dialback', "<db:result from='good.example' to='here.example'>k</db:result>"],
      ['a new header', header({ from: 'good.example' })],
      ['white space', '\n'],
      ['half a tag', '<'],
    ] as const
    for (const [name, text] of injected) {
      it(`${name} in the segment of <starttls/>: closed, nothing of it is processed`, async () => {
        serve({ rules: { tls: 'optional' } })
        const peer = server.peer()
        await peer.say(header())
        await peer.hears('</stream:features>')
        await peer.say(STARTTLS + text)
        await peer.cut()
        await turns()
        expect(server.received).to.deep.equal([])
        expect(server.proven).to.deep.equal([])
        expect(server.network.dialed.size).to.equal(0)
        expect(server.incoming.size).to.equal(0)
      })

      it(`${name} in the segment of <proceed/>: closed, nothing of it is processed`, async () => {
        serve({ rules: { tls: 'optional' } })
        const host = new WireHost(server)
        server.send('b@here.example', 'a@peer.example', 'secret words')
        const peer = await host.connection()
        await peer.say(reply() + features(OFFERS.starttls))
        await peer.hears('<starttls ', '/>')
        await peer.say(PROCEED + text)
        await peer.cut()
        await server.next(({ isError }) => isError)
        expect(outcome()).to.match(/^tls: handshake-failed/)
        expect(server.proven).to.deep.equal([])
      })
    }

    it('features of the plain stream are forgotten after TLS', async () => {
      serve()
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'hello')
      const peer = await host.connection()
      await peer.hears('<stream:stream ', '>')
      await peer.say(reply() + features(OFFERS.starttls, OFFERS.external, OFFERS.dialback))
      await peer.hears('<starttls ', '/>')
      await peer.say(PROCEED)
      await peer.secure({ isServer: true, ...server.credentialsOf('peer.example', 'both') })
      await peer.hears('<stream:stream ', '>')
      await peer.say(reply({ 'xmlns:db': null }) + features())
      await peer.closed()
      expect(peer.heard).to.not.include('<auth').and.not.to.include('db:result from')
      expect(outcome()).to.match(/^sasl: no-common-proof/)
    })
  })

  describe('other protocols (ALPACA)', () => {
    const inputs = [
      'GET /secret-path HTTP/1.1\r\nHost: here.example\r\n\r\n',
      'POST / HTTP/1.1\r\nContent-Length: 90\r\n\r\n<stream:stream>secret-path',
      'EHLO secret-path\r\nMAIL FROM:<a@b>\r\n',
      "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='here.example' secret-path='1' version='1.0'>",
      '\x16\x03\x01\x00\xa5\x01\x00secret-path',
      'SSH-2.0-secret-path\r\n',
    ]
    for (const input of inputs) {
      it(`${JSON.stringify(input.slice(0, 20))}: closed, the input is not reflected`, async () => {
        serve()
        const peer = server.peer()
        await peer.say(Buffer.from(input, 'latin1'))
        expect(await peer.fails('not-well-formed', 'invalid-namespace', 'unsupported-encoding')).to.not.include(
          'secret-path',
        )
        expect(server.incoming.size).to.equal(0)
      })
    }
  })

  describe('renegotiation and handshake floods (CVE-2021-32920)', () => {
    it('renegotiation is refused', async () => {
      serve()
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await peer.say(STARTTLS)
      await peer.hears('<proceed ', '/>')
      await peer.secure({ maxVersion: 'TLSv1.2' })
      await peer.say(header())
      await peer.hears('</stream:features>')
      expect(peer.tlsSocket!.renegotiate({ rejectUnauthorized: false }, () => expect.fail('renegotiated'))).to.equal(
        true,
      )
      await peer.cut()
      expect(server.incoming.size).to.equal(0)
    })

    it('half handshakes die in time, and leave a proven stream alone', async () => {
      serve({ settings: { streamsPerAddress: 200 } })
      const proven = await server.authenticated()
      const others = Array.from({ length: 100 }, () => server.peer())
      for (const other of others) {
        await other.say(header())
        await other.hears('</stream:features>')
        await other.say(STARTTLS)
        await other.hears('<proceed ', '/>')
        await other.say(Buffer.of(0x16, 0x03, 0x01))
      }
      await proven.say("<message from='a@peer.example' to='b@here.example' id='m'/>")
      expect((await server.next()).id).to.equal('m')
      server.clock.advance(10_000)
      await turns()
      expect(others.every(({ isOver }) => isOver)).to.equal(true)
      expect(server.incoming.size).to.equal(1)
    })
  })

  describe('a cut in the middle of a handshake', () => {
    const begun = [
      Buffer.alloc(0),
      Buffer.of(0x16),
      Buffer.of(0x16, 0x03, 0x01, 0x00, 0x20, 0x01),
      Buffer.from('plain text'),
    ]
    for (const [i, bytes] of begun.entries()) {
      it(`does no harm to the receiving side (${bytes.length} bytes in)`, async () => {
        serve()
        const peer = server.peer()
        await peer.say(header())
        await peer.hears('</stream:features>')
        await peer.say(STARTTLS)
        await peer.hears('<proceed ', '/>')
        await peer.say(bytes)
        if (i % 2 === 0) await turns(3)
        peer.hangUp()
        await turns()
        expect(server.incoming.size).to.equal(0)
        expect(server.clock.waiting).to.equal(0)
      })

      it(`does no harm to the initiating side (${bytes.length} bytes in)`, async () => {
        serve()
        const host = new WireHost(server)
        server.send('b@here.example', 'a@peer.example', 'hello')
        const peer = await host.connection()
        await peer.say(reply() + features(OFFERS.starttls))
        await peer.hears('<starttls ', '/>')
        await peer.say(PROCEED)
        await turns(3)
        await peer.say(bytes)
        peer.hangUp()
        await server.next(({ isError }) => isError)
        expect(outcome()).to.match(/^tls: handshake-failed/)
      })
    }
  })

  describe('request forgery by names (RFC 6120 §13.9)', () => {
    const names = [
      '127.0.0.1',
      '[::1]',
      '[2001:db8::1]',
      '169.254.169.254',
      '1.2',
      '0x7f000001',
      'peer.example:5222',
      'service.onion',
      `${'a'.repeat(300)}.example`,
      'a..example',
      '-',
    ]
    for (const name of names) {
      it(`a stanza of a user to ${name.slice(0, 30)}: nothing is dialed`, async () => {
        serve()
        const to = server.jids.parse(`a@${name}`)
        if (to !== undefined) {
          server.send('b@here.example', to.toString(), 'hello')
          const bounce = (await server.next(({ isError }) => isError)).serialize().toString()
          expect(bounce).to.include('<remote-server-not-found ')
        }
        await turns()
        expect(server.network.dialed.size).to.equal(0)
      })

      it(`a dialback request of ${name.slice(0, 30)}: nothing is dialed`, async () => {
        serve()
        const peer = await server.secured({ from: null }, null)
        await peer.say(`<db:result from='${name}' to='here.example'>k</db:result>`)
        await peer.hears('error', '>')
        await turns()
        expect(server.network.dialed.size).to.equal(0)
      })
    }

    it('a stanza to one of our own names never leaves the process', async () => {
      serve({ domains: ['here.example', 'also.example'] })
      server.send('b@here.example', 'a@also.example', 'hello')
      await server.next()
      expect(server.network.dialed.size).to.equal(0)
    })
  })
})
