import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import type { Connect } from '../../lib/session/connect.js'
import { TestAuthority } from '../support/authority.js'
import { MemoryNetwork } from '../support/memory-federation.js'
import {
  auth,
  FOOTER,
  features,
  header,
  OFFERS,
  PROCEED,
  reply,
  STARTTLS,
  WirePeer,
  WireServer,
} from '../support/wire-peer.js'

/** Takes the socket away at once when what was dialed is of no use, as a dialer does that has other candidates. */
class Loopback extends MemoryNetwork {
  port = 0

  override connect(): Duplex {
    return connect(this.port, '127.0.0.1')
  }

  override get dial(): Connect {
    return async ({ signal, open }) => {
      const socket = this.connect()
      try {
        return await open(socket, { remoteAddress: '127.0.0.1', remotePort: this.port }, signal, 'starttls')
      } catch (error) {
        socket.destroy()
        throw error
      }
    }
  }
}

describe('over real sockets', () => {
  const authority = new TestAuthority()
  let server: WireServer
  let listener: Server
  let network: Loopback
  let sockets: Socket[] = []
  let accepted: (socket: Socket) => void

  beforeEach(async () => {
    network = new Loopback()
    server = new WireServer({ authority, network })
    accepted = socket => server.accept(socket, '127.0.0.1')
    listener = createServer(socket => {
      sockets.push(socket)
      accepted(socket)
    })
    await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
    network.port = (listener.address() as AddressInfo).port
  })

  afterEach(async () => {
    await server.stop()
    for (const socket of sockets) socket.destroy()
    sockets = []
    await new Promise(resolve => listener.close(resolve))
  })

  function dialing(): WirePeer {
    const socket = connect(network.port, '127.0.0.1')
    sockets.push(socket)
    return new WirePeer(socket, server.clock)
  }

  function dialed(): Promise<WirePeer> {
    return new Promise(resolve => {
      accepted = socket => resolve(new WirePeer(socket, server.clock))
    })
  }

  const gone = async (): Promise<void> => {
    while (server.incoming.size > 0) await new Promise(resolve => setImmediate(resolve))
  }

  it('STARTTLS, EXTERNAL, stanzas, footer', async () => {
    const peer = dialing()
    await peer.say(header(), 'byte by byte')
    await peer.hears('<starttls ')
    await peer.say(STARTTLS)
    await peer.hears('<proceed ', '/>')
    await peer.secure(server.credentialsOf('peer.example', 'server-auth-only'))
    await peer.say(header(), 'byte by byte')
    await peer.hears('EXTERNAL')
    await peer.say(auth('='))
    await peer.hears('<success ')
    await peer.say(header())
    await peer.hears('</stream:features>')
    await peer.say("<message from='a@peer.example' to='b@here.example' id='m'/>")
    expect((await server.next()).id).to.equal('m')
    await peer.say(FOOTER)
    await peer.hears(FOOTER)
    await peer.cut()
    await gone()
  })

  it('a stream error and the footer arrive before the close, in plain text and over TLS', async () => {
    for (const secure of [false, true]) {
      const peer = dialing()
      await peer.say(header())
      await peer.hears('</stream:features>')
      if (secure) {
        await peer.say(STARTTLS)
        await peer.hears('<proceed ', '/>')
        await peer.secure(server.credentialsOf('peer.example', 'expired'))
        await peer.say(header())
        await peer.fails('not-authorized')
      } else {
        await peer.say('<!-- -->')
        await peer.fails('restricted-xml')
      }
      await gone()
    }
  })

  for (const [name, answer, condition] of [
    ['another domain', reply({ from: 'other.example' }), 'invalid-from'],
    ['no id', reply({ id: null }), 'invalid-xml'],
    ['not XML', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'not-well-formed'],
  ] as const) {
    it(`initiating: the error about the peer's header (${name}) leaves before the socket is taken away`, async () => {
      const coming = dialed()
      server.send('b@here.example', 'a@peer.example', 'hello')
      const peer = await coming
      await peer.hears('<stream:stream ', '>')
      await peer.say(answer)
      await peer.fails(condition)
      await server.next(({ isError }) => isError)
    })
  }

  it('a cut in the middle of a handshake does no harm, in both roles', async () => {
    for (const bytes of ['', '\x16', '\x16\x03\x01\x00\x20\x01', 'plain text']) {
      const peer = dialing()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await peer.say(STARTTLS)
      await peer.hears('<proceed ', '/>')
      await peer.say(Buffer.from(bytes, 'latin1'))
      peer.hangUp()
      await gone()

      const coming = dialed()
      server.send('b@here.example', 'a@peer.example', 'hello')
      const other = await coming
      accepted = socket => server.accept(socket, '127.0.0.1')
      await other.say(reply() + features(OFFERS.starttls))
      await other.hears('<starttls ', '/>')
      await other.say(PROCEED)
      await other.say(Buffer.from(bytes, 'latin1'))
      other.hangUp()
      await server.next(({ isError }) => isError)
      const session = server.outgoing.session('here.example', 'peer.example')!
      expect(session.attempts.at(-1)!.outcome).to.match(/^tls: handshake-failed/)
      session.retry()
      server.clock.advance(300_000)
    }
  })

  it('a peer that goes away is noticed, and the next stanza makes a new connection', async () => {
    const proven = async (): Promise<WirePeer> => {
      const peer = await dialed()
      await peer.hears('<stream:stream ', '>')
      await peer.say(reply() + features(OFFERS.starttls))
      await peer.hears('<starttls ', '/>')
      await peer.say(PROCEED)
      await peer.secure({ isServer: true, ...server.credentialsOf('peer.example', 'both') })
      await peer.hears('<stream:stream ', '>')
      await peer.say(reply() + features(OFFERS.dialback))
      await peer.hears('<db:result ', '</db:result>')
      await peer.say("<db:result from='peer.example' to='here.example' type='valid'/>")
      return peer
    }
    const first = proven()
    server.send('b@here.example', 'a@peer.example', 'hello')
    const peer = await first
    await peer.hears('hello', '</message>')
    peer.hangUp()
    const session = server.outgoing.session('here.example', 'peer.example')!
    while (session.state === 'established') await new Promise(resolve => setImmediate(resolve))
    const second = proven()
    server.send('b@here.example', 'a@peer.example', 'again')
    await (await second).hears('again')
    expect(server.received).to.deep.equal([])
  })
})
