import { X509Certificate } from 'node:crypto'
import { type AddressInfo, connect, createServer } from 'node:net'
import * as tls from 'node:tls'
import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { ScriptedLog } from '../support/scripted-log.js'
import { auth, header, STARTTLS, type WirePeer, WireServer, type WireServerOptions } from '../support/wire-peer.js'

describe('Direct TLS, receiving entity (XEP-0368)', () => {
  const authority = new TestAuthority()
  let server: WireServer
  let log: ScriptedLog

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    log = new ScriptedLog()
    server = new WireServer({ authority, log, domains: ['here.example', 'also.example', 'bücher.example'], ...options })
  }

  async function offered(peer: WirePeer, attributes: Parameters<typeof header>[0] = {}): Promise<string> {
    await peer.say(header(attributes))
    return await peer.hears('<stream:features>', '</stream:features>')
  }

  describe('features', () => {
    it('those of an encrypted stream at once, and EXTERNAL works', async () => {
      serve()
      const peer = await server.direct()
      const features = await offered(peer)
      expect(features).to.include('<mechanism>EXTERNAL</mechanism>').and.to.include('<dialback ')
      expect(features).to.not.include('starttls')
      await peer.say(auth('='))
      await peer.hears('<success ')
      await offered(peer)
      await peer.say("<message from='a@peer.example' to='b@here.example'><body>hello</body></message>")
      await server.next()
    })

    it('dialback alone for a peer that shows no certificate', async () => {
      serve()
      const features = await offered(await server.direct({}, null))
      expect(features).to.include('<dialback ').and.not.to.include('mechanism').and.not.to.include('starttls')
    })

    it('a certificate that does not verify is refused when its owner has introduced itself', async () => {
      serve()
      const peer = await server.direct({}, 'expired')
      await peer.say(header())
      expect(await peer.fails('not-authorized')).to.include('expired')
    })

    for (const policy of ['optional', 'disabled'] as const) {
      it(`the same with the policy ${policy}`, async () => {
        serve({ rules: { tls: policy } })
        expect(await offered(await server.direct()))
          .to.include('EXTERNAL')
          .and.not.to.include('starttls')
      })
    }

    it('XEP-0368 §2.2: STARTTLS on it is answered by failure and closed', async () => {
      serve()
      const peer = await server.direct()
      await offered(peer)
      await peer.say(STARTTLS)
      expect(await peer.closed()).to.include("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    })
  })

  describe('ALPN (RFC 7301)', () => {
    for (const [name, list, chosen] of [
      ['xmpp-server', ['xmpp-server'], 'xmpp-server'],
      ['xmpp-server among others', ['h2', 'xmpp-client', 'xmpp-server'], 'xmpp-server'],
      ['none', [], false],
    ] as const) {
      it(`${name}: welcome`, async () => {
        serve()
        const peer = await server.direct({ ALPNProtocols: [...list] })
        expect(peer.tlsSocket?.alpnProtocol).to.equal(chosen)
        await offered(peer)
      })
    }

    for (const list of [['h2'], ['http/1.1', 'h2'], ['xmpp-client']]) {
      it(`${list.join(', ')}: refused in the handshake with no_application_protocol, over a real socket`, async () => {
        serve()
        const error = await overSocket(async port => {
          const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: list })
          return await new Promise<NodeJS.ErrnoException>((resolve, reject) =>
            socket.once('error', resolve).once('secureConnect', () => reject(new Error('accepted'))),
          )
        })
        expect(error.code).to.equal('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
        expect((await log.first('s2s-in-ended')).reason).to.equal('tls: handshake-failed (no application protocol)')
      })
    }
  })

  describe('SNI (RFC 6066 §3)', () => {
    for (const [name, servername, domain] of [
      ['a served domain', 'here.example', 'here.example'],
      ['another served domain', 'also.example', 'also.example'],
      ['in other letters', 'ALSO.Example', 'also.example'],
      ['the A-label of one', 'xn--bcher-kva.example', 'bücher.example'],
      ['an unknown name', 'elsewhere.example', 'here.example'],
      ['a sub-domain of a served one', 'x.also.example', 'here.example'],
      ['none', '', 'here.example'],
    ] as const) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        it(`${name}, ${version}: the certificate of ${domain}`, async () => {
          serve()
          const peer = await server.direct({ servername, maxVersion: version })
          const shown = peer.tlsSocket?.getPeerX509Certificate()?.fingerprint256
          expect(shown).to.equal(new X509Certificate(authority.issue(domain).cert).fingerprint256)
          expect(await offered(peer)).to.include('EXTERNAL')
        })
      }
    }

    it('a name that differs from the header is noted, not refused', async () => {
      serve()
      const peer = await server.direct({ servername: 'also.example' })
      expect(await offered(peer, { to: 'here.example' })).to.include('EXTERNAL')
      expect(log.all('s2s-in-server-name')).to.deep.equal([{ local: 'here.example', serverName: 'also.example' }])
    })

    it('the name of the header, or none, is not noted', async () => {
      serve()
      await offered(await server.direct({ servername: 'xn--bcher-kva.example' }), { to: 'bücher.example' })
      await offered(await server.direct({ servername: '' }))
      expect(log.all('s2s-in-server-name')).to.deep.equal([])
    })
  })

  describe('what is no TLS', () => {
    const inputs = [
      ['a stream header', header()],
      ['a client', header({ xmlns: 'jabber:client' })],
      ['HTTP', 'GET / HTTP/1.1\r\nHost: here.example\r\n\r\n'],
      ['HTTP to a proxy', 'CONNECT here.example:443 HTTP/1.1\r\n\r\n'],
      ['SMTP', 'EHLO here.example\r\n'],
      ['zero bytes', Buffer.alloc(100)],
    ] as const
    for (const [name, input] of inputs) {
      it(`${name}: closed without an answer`, async () => {
        serve()
        const heard = await overSocket(port => rawAnswer(port, input))
        expect(heard).to.equal('')
      })
    }
  })

  for (const [name, input] of [
    ['silence', ''],
    ['a TLS record that never ends', Buffer.from('160301020001', 'hex')],
  ] as const) {
    it(`${name}: closed without an answer when the time to introduce oneself is over`, async () => {
      serve()
      const peer = server.directPeer()
      if (input !== '') await peer.say(input)
      server.clock.advance(9_999)
      expect(peer.isOver).to.equal(false)
      server.clock.advance(1)
      await peer.cut()
    })
  }

  it('a handshake does not win more time', async () => {
    serve()
    const peer = server.directPeer()
    server.clock.advance(9_000)
    await peer.secure({ servername: 'here.example' })
    server.clock.advance(1_000)
    await peer.cut()
  })

  it('no certificate for any domain: closed without an answer', async () => {
    serve({ certificate: null })
    await server.directPeer().cut()
    expect((await log.first('s2s-in-ended')).reason).to.match(/^tls: not-offered/)
  })

  async function overSocket<T>(use: (port: number) => Promise<T>): Promise<T> {
    const listener = createServer({ pauseOnConnect: true }, socket => server.accept(socket, '127.0.0.1', 'tls'))
    await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
    try {
      return await use((listener.address() as AddressInfo).port)
    } finally {
      listener.close()
    }
  }
})

/** All that is heard in answer until the connection ends. */
function rawAnswer(port: number, input: string | Buffer): Promise<string> {
  return new Promise(resolve => {
    let heard = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(input))
    socket.on('error', () => {})
    socket.on('data', chunk => {
      heard += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(heard))
  })
}
