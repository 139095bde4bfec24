import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { heard, say, World } from './world.js'

describe('start and stop of whole services', () => {
  const authority = new TestAuthority()
  let world: World
  let servers: Server[] = []

  beforeEach(async () => {
    world = await World.open(authority)
  })
  afterEach(async () => {
    for (const server of servers) server.close()
    servers = []
    await world.close()
  })

  it('RFC 6120 §4.9.3.20: a clean stop says bye to users and system-shutdown to servers, and every stream is closed in order', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'there')
    await heard(ivo)
    say(ivo, 'olga@north.example', 'back')
    await heard(olga)
    await olga.request('presenceSet', { peer: 'ivo@south.example/desk' }, '<presence>busy</presence>')
    await ivo.nextWith('busy')
    const { service, log } = north
    const stopped = service.stop()
    expect(await olga.nextWith('<bye')).to.include('shutting down')
    expect(await ivo.nextWith('<presence ')).to.include('type="unavailable"')
    await stopped
    await olga.closed
    const reasons = (event: string) => log.all(event).map(({ reason }) => String(reason))
    expect(reasons('s2s-in-ended')).to.have.length(1)
    expect(reasons('s2s-out-ended')).to.deep.equal(['shutdown: stopping'])
    // Of the two streams one was opened by south: its end is told there with the peer's own words.
    const told = await Promise.all([south.log.first('s2s-in-ended'), south.log.first('s2s-out-ended')])
    for (const { reason } of told) expect(String(reason)).to.include('system-shutdown')
    const [end] = log.all('service-stopped')
    expect(end).to.deep.equal({ accepted: 3, delivered: 3, refused: 0 })
    expect(await south.sessions('s2s-in')).to.deep.equal([])
  })

  it('what waits for a stream when the service stops is answered once, before its sender is told bye', async () => {
    const north = await world.running('north.example')
    const olga = await north.user('olga')
    world.publish('deaf.example', await deafPort())
    for (let i = 0; i < 300; i++) say(olga, 'ivo@deaf.example', `m${i}`)
    // Requests of a session are answered in order: when this one is, all have been taken.
    await olga.request('noop')
    const stopped = north.service.stop()
    const ids: string[] = []
    for (let message = await olga.next(); !message.startsWith('<bye'); message = await olga.next()) {
      if (!message.startsWith('<readIM ')) continue
      expect(message).to.include('type="error"').and.include('this server is stopping')
      ids.push(/iqid="([^"]*)"/.exec(message)?.[1] ?? '')
    }
    await stopped
    expect(ids).to.deep.equal(Array.from({ length: 300 }, (_, i) => `m${i}`))
    expect(north.log.all('service-stopped')).to.deep.equal([{ accepted: 300, delivered: 0, refused: 300 }])
  })

  it('stop() may be called again and while it runs, and before the service was started', async () => {
    const north = await world.running('north.example')
    const { service } = north
    await Promise.all([service.stop(), service.stop()])
    await service.stop()
    expect(north.log.all('service-stopped')).to.have.length(1)
    const south = await world.member('south.example')
    await (await south.make()).stop()
  })

  it('one service starts again on its data: accounts are there, and the next message gets through', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example', { 'xmpp.server.backoff.initial': '100ms' })
    const [olga, first] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'before')
    await heard(first)
    await south.stop()
    await north.log.first('pair-lost')
    await south.start()
    world.publish('south.example', south.serverPort)
    await north.service.reload()
    const ivo = await south.login('ivo')
    say(olga, 'ivo@south.example', 'after')
    expect(await heard(ivo)).to.include('<body>after</body>')
    say(ivo, 'olga@north.example', 'and back')
    expect(await heard(olga)).to.include('<body>and back</body>')
  })

  for (const key of ['xmpp.server.socket.port', 'ximss.listener.port']) {
    it(`start fails cleanly when the port of ${key} is taken, and works once it is free`, async () => {
      const taken = createServer()
      servers.push(taken)
      await once(taken.listen(0, '127.0.0.1'), 'listening')
      const { port } = taken.address() as AddressInfo
      const north = await world.member('north.example', { [key]: port })
      let problem: unknown
      await north.start().catch((error: unknown) => {
        problem = error
      })
      expect(String(problem)).to.include('EADDRINUSE').and.include(String(port))
      expect(north.service.endpoints).to.deep.equal({ servers: [], ximss: [] })
      expect(await north.admin('GET', '/sessions').then(String, error => error.name)).to.equal('AdminUnreachable')
      taken.close()
      await once(taken, 'close')
      await north.start()
      expect(await north.admin('GET', '/sessions')).to.deep.equal([])
    })
  }

  it('a second service on the same data directory is refused, and the first one runs on', async () => {
    const north = await world.running('north.example')
    const again = await world.member('north.example', { 'data.directory': north.dataDirectory })
    let problem: unknown
    await again.start().catch((error: unknown) => {
      problem = error
    })
    expect(String(problem)).to.include('another service runs with this data directory')
    expect(await north.admin('GET', '/sessions')).to.deep.equal([])
  })

  /** A port where connections are taken and nothing is ever said. */
  async function deafPort(): Promise<number> {
    const server = createServer(socket => socket.on('error', () => {}))
    servers.push(server)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return (server.address() as AddressInfo).port
  }
}).timeout(30_000)
