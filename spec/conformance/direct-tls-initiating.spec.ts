import type { Duplex } from 'node:stream'
import type * as tls from 'node:tls'
import { expect } from 'chai'
import { type Fixture, TestAuthority } from '../support/authority.js'
import { features, OFFERS, reply, turns, WirePeer, WireServer, type WireServerOptions } from '../support/wire-peer.js'

type ServerOptions = tls.TLSSocketOptions

describe('Direct TLS, initiating entity (XEP-0368)', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
  }

  /** Lets the server of a domain deal with the first connection by itself. */
  function host(domain: string, take: (socket: Duplex) => void): void {
    server.network.directTls.add(domain)
    server.network.listen(domain, take)
  }

  /** Sends a stanza to a domain; the result is its server, after the handshake. */
  function called(
    domain = 'peer.example',
    certificate: Fixture = 'both',
    options: ServerOptions = {},
  ): Promise<WirePeer> {
    return new Promise((resolve, reject) => {
      host(domain, socket => {
        const peer = new WirePeer(socket, server.clock)
        const shown = server.credentialsOf(domain, certificate)
        peer
          .secure({ isServer: true, ALPNProtocols: ['xmpp-server'], ...shown, ...options })
          .then(() => resolve(peer), reject)
      })
      server.send('b@here.example', `a@${domain}`, 'secret words')
    })
  }

  const outcome = (domain = 'peer.example'): string | undefined =>
    server.outgoing.session('here.example', domain)?.attempts.at(-1)?.outcome

  const bounced = (): Promise<unknown> => server.next(({ isError }) => isError)

  it('TLS first, with ALPN and the A-label as SNI; then the header, and dialback', async () => {
    serve()
    const peer = await called('bücher.example')
    expect(peer.tlsSocket?.alpnProtocol).to.equal('xmpp-server')
    expect(Reflect.get(peer.tlsSocket!, 'servername')).to.equal('xn--bcher-kva.example')
    const header = await peer.hears('<stream:stream ', '>')
    expect(header)
      .to.match(/^<\?xml[^>]*\?><stream:stream /)
      .and.to.include("to='bücher.example'")
    await peer.say(reply({ from: 'bücher.example' }) + features(OFFERS.dialback))
    await peer.hears('<db:result ')
  })

  it('EXTERNAL, with our certificate for the domain we speak for', async () => {
    serve()
    const peer = await called()
    expect(peer.tlsSocket?.getPeerX509Certificate()?.subject).to.include('here.example')
    await peer.hears('<stream:stream ', '>')
    await peer.say(reply() + features(OFFERS.external, OFFERS.dialback))
    await peer.hears("mechanism='EXTERNAL'")
  })

  it('STARTTLS that is offered inside is not taken', async () => {
    serve()
    const peer = await called()
    await peer.hears('<stream:stream ', '>')
    await peer.say(reply() + features(OFFERS.starttls, OFFERS.dialback))
    expect(await peer.hears('<db:result ')).to.not.include('starttls')
  })

  it('RFC 7301 §3.1: an answer without ALPN is accepted', async () => {
    serve()
    const peer = await called('peer.example', 'both', { ALPNProtocols: [] })
    expect(peer.tlsSocket?.alpnProtocol).to.equal(false)
    await peer.hears('<stream:stream ', '>')
  })

  it('RFC 7301 §3.2: a server that speaks other protocols only', async () => {
    serve()
    called('peer.example', 'both', { ALPNProtocols: ['h2', 'http/1.1'] }).catch(() => {})
    await bounced()
    expect(outcome()).to.match(/^tls: no-alpn/)
  })

  it('RFC 7301 §3.1: a server that chooses what was not offered', async () => {
    serve()
    host('peer.example', socket => socket.write(serverHelloChoosing('h2')))
    server.send('b@here.example', 'a@peer.example', 'secret words')
    await bounced()
    expect(outcome()).to.match(/^tls: no-alpn/)
  })

  for (const [name, certificate] of [
    ['expired', 'expired'],
    ['wrong name', 'wrong-name'],
    ['self-signed', 'self-signed'],
  ] as const) {
    it(`RFC 6120 §13.7.2: ${name}: judged before anything is said; the peer is told, and no proof is tried`, async () => {
      serve()
      const peer = await called('peer.example', certificate)
      const said = await peer.hears('<stream:stream ', '<stream:error><not-authorized ', '</stream:stream>')
      expect(said).to.not.include('db:result').and.not.to.include('secret')
      await bounced()
      expect(outcome()).to.match(/^certificate: /)
    })
  }

  it('without strict validation a bad certificate costs EXTERNAL, and dialback remains', async () => {
    serve({ rules: { strict: false } })
    const peer = await called('peer.example', 'expired')
    await peer.hears('<stream:stream ', '>')
    await peer.say(reply() + features(OFFERS.external, OFFERS.dialback))
    await peer.hears('<db:result ')
  })

  for (const [name, answer] of [
    ['a stream', reply() + features(OFFERS.starttls, OFFERS.dialback)],
    ['a stream error', `${reply()}<stream:error/></stream:stream>`],
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['SMTP', '220 mail.example ESMTP\r\n'],
  ] as const) {
    it(`${name} in plain text: given up, and nothing but a handshake was said`, async () => {
      serve({ rules: { tls: 'optional' } })
      let heard = Buffer.alloc(0)
      host('peer.example', socket => {
        socket.on('data', (chunk: Buffer) => {
          heard = Buffer.concat([heard, chunk])
        })
        socket.write(answer)
      })
      server.send('b@here.example', 'a@peer.example', 'secret words')
      await bounced()
      expect(outcome()).to.match(/^tls: plain-answer/)
      await turns()
      expect([0x16, 0x15]).to.include(heard[0])
      expect(heard.toString('latin1')).to.not.include('stream').and.not.to.include('secret')
    })
  }

  it('a cut in the middle of the handshake', async () => {
    serve()
    host('peer.example', socket => socket.destroy())
    server.send('b@here.example', 'a@peer.example', 'secret words')
    await bounced()
    expect(outcome()).to.match(/^tls: handshake-failed/)
  })

  it('a handshake that is never answered ends with the time to introduce oneself, and says so', async () => {
    serve()
    const began = new Promise<void>(resolve => host('peer.example', socket => socket.once('data', () => resolve())))
    server.send('b@here.example', 'a@peer.example', 'secret words')
    await began
    server.clock.advance(10_000)
    await bounced()
    expect(outcome()).to.equal('deadline: TLS handshake')
  })

  it('TLS switched off: nothing is dialed', async () => {
    serve({ rules: { tls: 'disabled' } })
    host('peer.example', () => {})
    server.send('b@here.example', 'a@peer.example', 'secret words')
    await bounced()
    expect(outcome()).to.equal('dns: no-service')
    expect(server.network.dialed.size).to.equal(0)
  })
})

/** The first answer of a TLS 1.2 server, with a protocol of its own choice (RFC 5246 §7.4.1.3, RFC 7301 §3.1). */
function serverHelloChoosing(protocol: string): Buffer {
  const name = Buffer.from(protocol)
  const list = withLength(2, withLength(1, name))
  const extensions = withLength(
    2,
    Buffer.concat([Buffer.from('ff01000100', 'hex'), Buffer.from('0010', 'hex'), withLength(2, list)]),
  )
  const body = Buffer.concat([
    Buffer.from('0303', 'hex'),
    Buffer.alloc(32, 7),
    Buffer.from('00c02b00', 'hex'),
    extensions,
  ])
  const handshake = Buffer.concat([Buffer.of(2), withLength(3, body)])
  return Buffer.concat([Buffer.from('160303', 'hex'), withLength(2, handshake)])
}

function withLength(bytes: number, content: Buffer): Buffer {
  const length = Buffer.alloc(bytes)
  length.writeUIntBE(content.length, 0, bytes)
  return Buffer.concat([length, content])
}
