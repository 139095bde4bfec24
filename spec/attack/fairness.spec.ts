import { expect } from 'chai'
import { Stanza } from '../../lib/stanza/stanza.js'
import { TestAuthority } from '../support/authority.js'
import { turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

describe('fair turns for attempts', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
  }

  /** Domains whose servers take connections and say nothing. */
  function tarpits(count: number, name: (i: number) => string): string[] {
    const domains = Array.from({ length: count }, (_, i) => name(i))
    for (const domain of domains) server.network.listen(domain, () => {})
    return domains
  }

  const dialed = (): number => server.network.dialed.size

  async function isHeard(from: string, domain = 'peer.example'): Promise<void> {
    const host = new WireHost(server, domain)
    server.send(from, `b@${domain}`, 'hello')
    const peer = await host.accepting()
    await peer.hears('hello')
  }

  it('one account that writes to very many dead domains does not keep another from being delivered', async () => {
    serve()
    for (const domain of tarpits(1500, i => `dead${i}.example`)) server.send('mallory@here.example', `a@${domain}`, 'x')
    await turns()
    expect(dialed()).to.equal(75)
    await isHeard('olga@here.example')
  })

  it('one remote site with very many names does not either, whoever is made to write to them', async () => {
    serve()
    const domains = tarpits(500, i => `s${i}.evil.example`)
    domains.forEach((domain, i) => {
      server.send(`u${i}@here.example`, `a@${domain}`, 'x')
    })
    await turns()
    expect(dialed()).to.equal(75)
    await isHeard('u1@here.example')
  })

  it('attempts that only errors wait for have a quarter of the places', async () => {
    serve()
    const error = (to: string, i: number): Stanza =>
      Stanza.build('message', {
        from: server.jids.parse(`nobody${i}@here.example`),
        to: server.jids.parse(`a@${to}`),
        id: `${i}`,
        type: 'error',
      })
    const domains = tarpits(300, i => `mirror${i}.example`)
    domains.forEach((domain, i) => {
      server.router.route(error(domain, i))
    })
    await turns()
    expect(dialed()).to.equal(25)
    // As soon as somebody writes to one of them, it is like any other.
    server.send('olga@here.example', `a@${domains[200]}`, 'x')
    await turns()
    expect([dialed(), server.network.dialed.get(domains[200]!)]).to.deep.equal([26, 1])
    await isHeard('olga@here.example')
  })

  it('a pair that waits because of one account goes on when another one writes to it', async () => {
    serve()
    const domains = tarpits(100, i => `dead${i}.example`)
    for (const domain of domains) server.send('mallory@here.example', `a@${domain}`, 'x')
    await turns()
    expect(server.network.dialed.has(domains[99]!)).to.equal(false)
    server.send('olga@here.example', `a@${domains[99]}`, 'x')
    await turns()
    expect(server.network.dialed.get(domains[99]!)).to.equal(1)
  })

  it('when all places are taken, the next one is for whoever holds none, and for domains proven lately before others', async () => {
    serve({ settings: { maxAttempts: 3 } })
    const domains = tarpits(9, i => `dead${i}.example`)
    for (const domain of domains) server.send('mallory@here.example', `a@${domain}`, 'x')
    await turns()
    expect(dialed()).to.equal(3)
    for (const name of ['new', 'proven']) server.network.listen(`${name}.example`, () => {})
    server.send('olga@here.example', 'a@new.example', 'x')
    server.outgoing.heardFrom('proven.example')
    server.send('mallory@here.example', 'a@proven.example', 'x')
    await turns()
    expect(dialed()).to.equal(3)
    server.clock.advance(10_000)
    await turns()
    const order = [...server.network.dialed.keys()].slice(3)
    expect(order).to.deep.equal(['new.example', 'proven.example', 'dead3.example'])
  })

  it('what comes back from a flood is told apart: too many attempts is our own matter', async () => {
    serve({ settings: { maxAttempts: 4, initialiseTimeoutMs: 40_000 } })
    for (const domain of tarpits(9, i => `dead${i}.example`)) server.send('mallory@here.example', `a@${domain}`, domain)
    await turns()
    server.clock.advance(30_000)
    await turns()
    const told = server.received.filter(stanza => stanza.serialize().includes('<resource-constraint '))
    expect(told.length).to.equal(6)
  })
})
