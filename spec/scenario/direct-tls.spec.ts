import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import * as tls from 'node:tls'
import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { heard, type Member, type Sets, say, World } from './world.js'

describe('Direct TLS between whole services (XEP-0368)', () => {
  const authority = new TestAuthority()
  let world: World

  beforeEach(async () => {
    world = await World.open(authority)
  })
  afterEach(() => world.close())

  /** A started service that DNS knows for Direct TLS only. */
  async function direct(domain: string, sets: Sets = {}): Promise<Member> {
    const member = await world.member(domain, sets)
    await member.start()
    world.publishDirectTls(domain, member.directTlsPort)
    return member
  }

  it('messages go both ways where DNS names nothing else', async () => {
    const north = await direct('north.example')
    const south = await direct('south.example')
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'there')
    expect(await heard(ivo)).to.include('<body>there</body>')
    say(ivo, 'olga@north.example', 'back')
    expect(await heard(olga)).to.include('<body>back</body>')
    const proof = 'external; TLSv1.3'
    expect((await north.sessions('s2s-out')).map(row => row.state)).to.deep.equal([`established by ${proof}`])
    expect((await north.sessions('s2s-in')).map(row => row.state)).to.deep.equal([
      `proven: north.example←south.example: ${proof}`,
    ])
    expect(north.log.all('s2s-in-server-name')).to.deep.equal([])
  })

  it('XEP-0220: by dialback without strict validation, both legs over Direct TLS', async () => {
    const lax = { 'xmpp.server.certificate.strict-validation': false }
    const north = await direct('north.example', { ...lax, 'tls.trust': [] })
    const south = await direct('south.example', { ...lax, 'tls.trust': [] })
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'there')
    expect(await heard(ivo)).to.include('<body>there</body>')
    expect((await north.sessions('s2s-out')).map(row => row.state)).to.deep.equal(['established by dialback; TLSv1.3'])
  })

  it('RFC 6120 §3.2: the service names both listeners, and dials neither of its own', async () => {
    const north = await world.member('north.example')
    const lines = await north.start()
    expect(lines.slice(0, 2)).to.deep.equal([
      `listening for servers on 127.0.0.1:${north.serverPort} (STARTTLS)`,
      `listening for servers on 127.0.0.1:${north.directTlsPort} (Direct TLS)`,
    ])
    const olga = await north.user('olga')
    for (const [domain, port] of [
      ['loop.example', north.serverPort],
      ['tls-loop.example', north.directTlsPort],
    ] as const) {
      if (port === north.serverPort) world.publish(domain, port)
      else world.publishDirectTls(domain, port)
      say(olga, `ivo@${domain}`, 'round')
      expect(await heard(olga)).to.include('errorCondition="remote-server-not-found"')
      const { reason } = await north.log.first('s2s-out-failed', ({ remote }) => remote === domain)
      expect(reason).to.match(/^tcp: forbidden-target .*leads back to this server/)
    }
  })

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`RFC 9325 §3.4: no session is resumed, whichever certificate was asked for (${version})`, async () => {
      const domains = ['north.example', 'west.example']
      const north = await world.member('north.example', { 'xmpp.domains': domains }, domains)
      await north.start()
      for (const servername of [...domains, 'elsewhere.example']) {
        const options = { port: north.directTlsPort, host: '127.0.0.1', servername, maxVersion: version }
        const first = await handshake(options)
        const again = await handshake({ ...options, session: first.session })
        expect([first.resumed, again.resumed], servername).to.deep.equal([false, false])
        const shown = servername === 'elsewhere.example' ? 'north.example' : servername
        expect([first.name, again.name]).to.deep.equal([`CN=${shown}`, `CN=${shown}`])
      }
    })
  }

  describe('changes while it runs', () => {
    it('its port opens anew, the other listener is left alone', async () => {
      const north = await world.running('north.example')
      const { serverPort, directTlsPort } = north
      await north.property('xmpp.server.socket.ssl.active', false)
      expect([north.serverPort, north.directTlsPort]).to.deep.equal([serverPort, 0])
      await north.property('xmpp.server.socket.ssl.port', directTlsPort)
      await north.property('xmpp.server.socket.ssl.active', true)
      expect([north.serverPort, north.directTlsPort]).to.deep.equal([serverPort, directTlsPort])
      await north.property('xmpp.server.socket.active', false)
      expect([north.serverPort, north.directTlsPort]).to.deep.equal([0, directTlsPort])
    })

    it('the policy disabled closes it, another opens it; streams that came by it live on', async () => {
      const north = await world.running('north.example')
      const south = await direct('south.example')
      const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
      say(olga, 'ivo@south.example', 'before')
      await heard(ivo)
      await south.property('xmpp.server.tls.policy', 'disabled')
      expect(south.directTlsPort).to.equal(0)
      say(olga, 'ivo@south.example', 'after')
      expect(await heard(ivo)).to.include('<body>after</body>')
      await south.property('xmpp.server.tls.policy', 'optional')
      expect(south.directTlsPort).not.to.equal(0)
      await south.property('xmpp.server.tls.policy', 'required')
      expect(south.log.all('listener-reopened')).to.have.length(1)
    })

    it('it does not start with the policy disabled, nor when it is switched off', async () => {
      for (const sets of [{ 'xmpp.server.tls.policy': 'disabled' }, { 'xmpp.server.socket.ssl.active': false }]) {
        const member = await world.member('north.example', sets)
        const lines = await member.start()
        expect(lines.filter(line => line.includes('servers'))).to.have.length(1)
        expect([member.serverPort > 0, member.directTlsPort]).to.deep.equal([true, 0])
        await member.stop()
      }
    })

    it('a port that is taken is named with its setting', async () => {
      const north = await world.running('north.example')
      const south = await world.member('south.example', { 'xmpp.server.socket.ssl.port': north.directTlsPort })
      let refused: unknown
      await south.start().catch((error: unknown) => {
        refused = error
      })
      expect(String(refused)).to.include('xmpp.server.socket.ssl.port: cannot listen on 127.0.0.1')
    })

    it('stop() frees it', async () => {
      const north = await world.running('north.example')
      const { directTlsPort } = north
      await north.stop()
      const socket = connect(directTlsPort, '127.0.0.1')
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
      expect(error.code).to.equal('ECONNREFUSED')
    })
  })
})

interface Shaken {
  readonly session: Buffer | undefined
  readonly resumed: boolean
  readonly name: string
}

/** One handshake up to the answer to a stream header, by when every ticket of TLS 1.3 has come. */
async function handshake(options: tls.ConnectionOptions): Promise<Shaken> {
  const socket = tls.connect({ rejectUnauthorized: false, ...options })
  socket.on('error', () => {})
  let session: Buffer | undefined
  socket.on('session', (ticket: Buffer) => {
    session = ticket
  })
  await once(socket, 'secureConnect')
  const resumed = socket.isSessionReused()
  const name = new X509Certificate(socket.getPeerX509Certificate()!.raw).subject
  socket.write("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
  await once(socket, 'data')
  session ??= socket.getSession()
  socket.destroy()
  return { session, resumed, name }
}
