import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { heard, say, World } from './world.js'

describe('settings changed while a service runs', () => {
  const authority = new TestAuthority()
  let world: World

  beforeEach(async () => {
    world = await World.open(authority)
  })
  afterEach(() => world.close())

  it('RFC 6120 §3.2.2: without SRV records remotePort is dialed, and a change of it counts at once', async () => {
    const north = await world.running('north.example')
    const south = await world.member('south.example')
    await south.start()
    const other = await world.member('south.example')
    await other.start()
    world.dns.zone['south.example'] = { A: ['127.0.0.1'] }
    const ivo = await south.user('ivo')
    const again = await other.user('ivo')
    const olga = await north.user('olga')
    await north.property('xmpp.server.socket.remotePort', south.serverPort)
    say(olga, 'ivo@south.example', 'first')
    expect(await heard(ivo)).to.include('<body>first</body>')
    await north.property('xmpp.server.socket.remotePort', other.serverPort)
    const [stream] = await north.sessions('s2s-out')
    await north.admin('DELETE', `/sessions/${stream?.id}`)
    await north.log.first('pair-lost')
    say(olga, 'ivo@south.example', 'second')
    expect(await heard(again)).to.include('<body>second</body>')
  })

  it('a mended remotePort ends the rest after a failure: what is sent next gets through', async () => {
    const north = await world.running('north.example', {
      'xmpp.server.backoff.initial': '1h',
      'xmpp.server.backoff.max': '2h',
    })
    const south = await world.member('south.example')
    await south.start()
    world.dns.zone['south.example'] = { A: ['127.0.0.1'] }
    const ivo = await south.user('ivo')
    const olga = await north.user('olga')
    await north.property('xmpp.server.socket.remotePort', await freePort())
    say(olga, 'ivo@south.example', 'early')
    expect(await heard(olga))
      .to.include('iqid="early"')
      .and.include('type="error"')
    const [resting] = await north.sessions('s2s-out')
    expect(resting?.state).to.match(/^resting; next try in \d+ s; last: tcp: no-server/)
    await north.property('xmpp.server.socket.remotePort', south.serverPort)
    say(olga, 'ivo@south.example', 'late')
    expect(await heard(ivo)).to.include('<body>late</body>')
  })

  it('RFC 6120 §4.9.3.5: a domain that is added is served at once, one that is removed is host-gone', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    await south.certify('west.example')
    world.publish('west.example', south.serverPort)
    const olga = await north.user('olga')
    say(olga, 'ivo@west.example', 'too early')
    expect(await heard(olga)).to.include('errorCondition="remote-server-not-found"')
    expect(north.log.all('s2s-out-failed')[0]?.reason).to.include('host-unknown')
    await south.property('xmpp.domains', ['south.example', 'west.example'])
    const ivo = await south.user('ivo', 'west.example')
    say(ivo, 'olga@north.example', 'hello from west')
    expect(await heard(olga)).to.include('peer="ivo@west.example"')
    say(olga, 'ivo@west.example', 'hello west')
    expect(await heard(ivo)).to.include('<body>hello west</body>')
    expect((await north.sessions('s2s-out')).map(({ state }) => state.split(' ')[0])).to.deep.equal(['established'])
    await south.property('xmpp.domains', ['south.example'])
    expect(String((await north.log.first('pair-lost')).reason)).to.include('host-gone')
    say(olga, 'ivo@west.example', 'too late')
    expect(await heard(olga))
      .to.include('iqid="too late"')
      .and.include('errorCondition="remote-server-not-found"')
    const stillThere = await south.user('eva')
    say(olga, 'eva@south.example', 'hello south')
    expect(await heard(stillThere)).to.include('<body>hello south</body>')
  })

  it('a user of a domain that is served no more is told bye, those of others stay', async () => {
    const domains = ['north.example', 'west.example']
    const north = await world.member('north.example', { 'xmpp.domains': domains }, domains)
    await north.start()
    const south = await world.running('south.example')
    const [olga, wim, ivo] = [
      await north.user('olga'),
      await north.user('wim', 'west.example'),
      await south.user('ivo'),
    ]
    say(wim, 'ivo@south.example', 'hello')
    expect(await heard(ivo)).to.include('peer="wim@west.example"')
    await north.property('xmpp.domains', ['north.example'])
    expect(await wim.nextWith('<bye')).to.include('no longer served')
    await wim.closed
    expect((await north.sessions('s2s-out')).map(row => row.subject)).to.deep.equal([])
    say(olga, 'ivo@south.example', 'still here')
    expect(await heard(ivo)).to.include('peer="olga@north.example"')
  })

  it('another port opens a new listener at once, and the streams that came by the old one live on', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const olga = await north.user('olga')
    const ivo = await south.user('ivo')
    say(olga, 'ivo@south.example', 'before')
    await heard(ivo)
    const old = south.serverPort
    const free = await freePort()
    await south.property('xmpp.server.socket.port', free)
    expect(String((await south.log.first('listener-reopened')).listener)).to.include(`127.0.0.1:${free} `)
    expect(south.serverPort).to.equal(free).and.not.equal(old)
    say(olga, 'ivo@south.example', 'after')
    expect(await heard(ivo)).to.include('<body>after</body>')
    expect(south.log.all('s2s-in-ended')).to.deep.equal([])
    const east = await world.running('east.example')
    const eva = await east.user('eva')
    world.publish('south.example', free)
    say(eva, 'ivo@south.example', 'by the new port')
    expect(await heard(ivo)).to.include('<body>by the new port</body>')
  })

  it('another XIMSS port opens at once, and the users who came by the old one stay', async () => {
    const north = await world.running('north.example')
    const olga = await north.user('olga')
    const old = north.ximssPort
    await north.property('ximss.listener.port', await freePort())
    await north.log.first('listener-reopened')
    expect(north.ximssPort).not.to.equal(old)
    const ivo = await north.user('ivo')
    say(olga, 'ivo@north.example', 'still here')
    expect(await heard(ivo)).to.include('<body>still here</body>')
    say(ivo, 'olga@north.example', 'me too')
    expect(await heard(olga)).to.include('<body>me too</body>')
    expect(await north.sessions('ximss')).to.have.length(2)
  })

  it('a port that is taken is refused to the admin: nothing is stored, the old listener comes back', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const port = await freePort()
    await south.property('xmpp.server.socket.port', port)
    let refusal: unknown
    await south.property('xmpp.server.socket.port', north.serverPort).catch((error: unknown) => {
      refusal = error
    })
    expect(String(refusal)).to.match(/xmpp\.server\.socket\.port: not changed, .*the port is in use by another program/)
    expect(south.serverPort).to.equal(port)
    expect(await south.admin('GET', '/properties/xmpp.server.socket.port')).to.include({ value: String(port) })
    world.publish('south.example', port)
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'as before')
    expect(await heard(ivo)).to.include('<body>as before</body>')
  })

  it('files that cannot be read are refused to the admin, and nothing of it is stored', async () => {
    const south = await world.running('south.example')
    let refusal: unknown
    await south.property('tls.trust', ['/nowhere.pem']).catch((error: unknown) => {
      refusal = error
    })
    expect(String(refusal)).to.match(/tls\.trust: not changed, tls\.trust: \/nowhere\.pem cannot be used: ENOENT/)
    await south.service.reload()
  })

  it('a changed port takes effect at once', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const port = await freePort()
    await south.property('xmpp.server.socket.port', port)
    await south.log.first('listener-reopened')
    expect(south.serverPort).to.equal(port)
    world.publish('south.example', port)
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'through')
    expect(await heard(ivo)).to.include('<body>through</body>')
  })

  it('ximss.channels 0 closes the listener and ends nobody; back above 0 it opens again', async () => {
    const north = await world.running('north.example')
    const olga = await north.user('olga')
    await north.property('ximss.channels', 0)
    await north.admin('POST', '/users', { jid: 'eva@north.example', password: 'correct horse' })
    expect(north.service.endpoints.ximss).to.deep.equal([])
    say(olga, 'olga@north.example', 'alone')
    expect(await heard(olga)).to.include('<body>alone</body>')
    await north.property('ximss.channels', 10)
    await north.log.first('listener-reopened')
    const eva = await north.login('eva')
    say(olga, 'eva@north.example', 'company')
    expect(await heard(eva)).to.include('<body>company</body>')
  })
}).timeout(30_000)

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}
