import { once } from 'node:events'
import { connect } from 'node:net'
import { expect } from 'chai'
import { XimssListener } from '../../../lib/access/ximss/ximss-listener.js'
import { ManualClock } from '../../support/manual-clock.js'
import { Fixture, type FixtureOptions, TestAccounts } from './fixture.js'

describe('XIMSS listener', () => {
  let fixture: Fixture
  const start = async (options?: FixtureOptions): Promise<Fixture> => (fixture = await Fixture.start(options))
  afterEach(() => fixture.stop())

  it('refuses connections over the limit, keeps the others, and takes new ones when one has gone', async () => {
    await start({ channels: 2, clock: new ManualClock() })
    const first = await fixture.client()
    const second = await fixture.client()
    await Promise.all([first.request('noop'), second.request('noop')])
    const third = await fixture.client()
    third.send('<noop id="1"/>')
    expect(await third.next()).to.equal('<bye errorText="too many connections, try later"/>')
    await third.closed
    expect(await first.request('noop')).to.have.length(1)
    await first.request('bye')
    await first.closed
    while (fixture.listener.sessions.size > 1) await new Promise(resolve => setImmediate(resolve))
    const fourth = await fixture.client()
    expect(await fourth.request('noop')).to.have.length(1)
  })

  it('counts both ports together, and says nothing in clear text to a TLS client', async () => {
    await start({ channels: 1, tls: true })
    const first = await fixture.client()
    await first.request('noop')
    const outcome = await fixture.tlsClient().catch((error: Error) => error)
    expect(outcome).to.be.instanceOf(Error)
  })

  it('does not listen at all with 0 channels', async () => {
    await start({ channels: 0, tls: true })
    expect(fixture.listener.endpoints).to.deep.equal([])
  })

  it('frees the place of connections that are cut before, during and after login', async () => {
    await start({ channels: 1 })
    for (let round = 0; round < 30; round++) {
      const client = await fixture.client()
      if (round % 3 > 0) client.send(`<login id="1" authData="olga" password="s3cret&amp;&lt;"/>`)
      if (round % 3 > 1) await client.nextWith('<response')
      client.destroy()
      while (
        fixture.listener.sessions.size > 0 ||
        fixture.log.events().filter(e => e === 'ximss-closed').length <= round
      ) {
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    expect(fixture.log.events()).not.to.include('ximss-refused')
    expect(fixture.routes.rows()).to.deep.equal([])
  })

  it('closes one session on demand, with bye', async () => {
    await start()
    const first = await fixture.client()
    await first.request('noop')
    const second = await fixture.client()
    await second.request('noop')
    const [row] = fixture.listener.snapshot()
    expect(fixture.listener.sessions.close(99)).to.equal(false)
    expect(fixture.listener.sessions.close(row!.id)).to.equal(true)
    expect(await first.next()).to.equal('<bye errorText="session closed by administrator"/>')
    await first.closed
    expect(await second.request('noop')).to.have.length(1)
  })

  it('ends with bye for everybody, twice the same', async () => {
    await start({ tls: true })
    const clients = [await fixture.client(), await fixture.tlsClient(), await fixture.boundClient()]
    for (const client of clients) await client.request('noop')
    const stopped = fixture.listener.stop()
    expect(fixture.listener.stop()).to.equal(stopped)
    for (const client of clients) {
      expect(await client.next()).to.equal('<bye errorText="server is shutting down"/>')
      await client.closed
    }
    await stopped
    expect(fixture.listener.endpoints).to.deep.equal([])
    expect(fixture.routes.rows()).to.deep.equal([])
  })

  it('rejects when a port is taken, with nothing left open', async () => {
    await start()
    const { port } = fixture.listener.endpoints[0]!
    const other = new XimssListener({
      services: fixture.services,
      channels: 1,
      addresses: ['127.0.0.1'],
      port: 0,
      tlsPort: port,
    })
    expect(await other.start().catch((error: NodeJS.ErrnoException) => error.code)).to.equal('EADDRINUSE')
    expect(other.endpoints).to.deep.equal([])
  })

  it('survives rubbish, resets and silence', async () => {
    await start({ tls: true })
    for (const { port } of fixture.listener.endpoints) {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.on('error', () => {})
      socket.write(Buffer.from('GET / HTTP/1.1\r\n\r\n\0\0\xff', 'latin1'))
      await new Promise(resolve => setImmediate(resolve))
      socket.resetAndDestroy()
    }
    await fixture.gone()
    const client = await fixture.client()
    expect(await client.login('olga', TestAccounts.password)).to.have.length(2)
  })
})
