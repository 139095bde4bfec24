import { expect } from 'chai'
import type { Connect } from '../../lib/session/connect.js'
import { TestAuthority } from '../support/authority.js'
import { MemoryNetwork } from '../support/memory-federation.js'
import { header, turns, WireHost, type WirePeer, WireServer, type WireServerOptions } from '../support/wire-peer.js'

/** Remembers how many addresses each domain may be dialed at. */
class WatchedNetwork extends MemoryNetwork {
  readonly most = new Map<string, number | undefined>()

  override get dial(): Connect {
    const { dial } = { dial: super.dial }
    return async request => {
      this.most.set(request.pair.remote, request.mostAddresses)
      return await dial(request)
    }
  }
}

describe('dialback as a reflector (XEP-0220 §5)', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, rules: { tls: 'optional' }, ...options })
  }

  function request(from: string): string {
    return `<db:result from='${from}' to='here.example'>k</db:result>`
  }

  /** A stream that shows and proves nothing. */
  async function stranger(address?: string): Promise<WirePeer> {
    const peer = server.peer(address)
    await peer.say(header({ from: null }))
    await peer.hears('</stream:features>')
    return peer
  }

  /** Servers that take connections and say nothing. */
  function silent(count: number): string[] {
    const domains = Array.from({ length: count }, (_, i) => `target${i}.example`)
    for (const domain of domains) new WireHost(server, domain)
    return domains
  }

  async function ask(peer: WirePeer, domains: readonly string[]): Promise<void> {
    await peer.say(domains.map(request).join(''))
    await server.fence(peer)
    await turns(5)
  }

  function count(peer: WirePeer, condition: string): number {
    return peer.heard.split(`<${condition} `).length - 1
  }

  it('whoever hangs up ends the connection that was made because of it, at once', async () => {
    serve()
    const host = new WireHost(server)
    const peer = await stranger()
    await peer.say(request('peer.example'))
    const dialed = await host.connection()
    await dialed.hears('<stream:stream ', '>')
    peer.hangUp()
    await turns()
    expect(dialed.isOver).to.equal(true)
    expect(server.clock.waiting).to.equal(0)
  })

  it('as long as somebody else waits for it, it goes on', async () => {
    serve()
    const host = new WireHost(server)
    const [one, other] = [await stranger(), await stranger('192.0.2.3')]
    await ask(one, ['peer.example'])
    await ask(other, ['peer.example'])
    const dialed = await host.connection()
    one.hangUp()
    await turns()
    expect(dialed.isOver).to.equal(false)
    other.hangUp()
    await turns()
    expect(dialed.isOver).to.equal(true)
    expect(server.network.dialed.get('peer.example')).to.equal(1)
  })

  it('one address has us open 32 streams in a minute, also by new streams of its own', async () => {
    serve()
    const domains = silent(80)
    for (let i = 0; i < 80; i += 16) {
      const peer = await stranger()
      await ask(peer, domains.slice(i, i + 16))
      expect(count(peer, 'resource-constraint')).to.equal(i < 32 ? 0 : 16)
      peer.hangUp()
      await turns()
    }
    expect(server.network.dialed.size).to.equal(32)
    const elsewhere = await stranger('192.0.2.3')
    await ask(elsewhere, domains.slice(32, 33))
    expect(server.network.dialed.size).to.equal(33)
    server.clock.advance(60_000)
    await ask(await stranger(), domains.slice(33, 49))
    expect(server.network.dialed.size).to.equal(49)
  })

  it('one address has 64 questions under way', async () => {
    serve()
    const domains = silent(16)
    const peers = []
    for (let i = 0; i < 5; i++) {
      const peer = await stranger()
      await ask(peer, domains)
      peers.push(peer)
    }
    expect(peers.map(peer => count(peer, 'resource-constraint'))).to.deep.equal([0, 0, 0, 0, 16])
    expect(server.network.dialed.size).to.equal(16)
  })

  it('all together 64 streams are being opened; whoever waits too long is told that it is us', async () => {
    serve()
    const domains = silent(160)
    const peers = []
    for (let i = 0; i < 10; i++) {
      const peer = await stranger(`192.0.2.${i + 10}`)
      await ask(peer, domains.slice(16 * i, 16 * i + 16))
      peers.push(peer)
    }
    expect(server.network.dialed.size).to.equal(64)
    server.clock.advance(10_000)
    await turns()
    const heard = peers.map(peer => count(peer, 'resource-constraint') + count(peer, 'remote-server-timeout'))
    expect(heard).to.deep.equal(peers.map(() => 16))
    expect(peers.reduce((sum, peer) => sum + count(peer, 'remote-server-timeout'), 0)).to.equal(64)
  })

  it('names in one hand do not take all of them', async () => {
    serve()
    const names = Array.from({ length: 96 }, (_, i) => `s${i}.target.example`)
    for (const name of names) new WireHost(server, name)
    new WireHost(server)
    for (let i = 0; i < 6; i++) await ask(await stranger(`192.0.2.${i + 10}`), names.slice(16 * i, 16 * i + 16))
    expect(server.network.dialed.size).to.equal(48)
    await ask(await stranger(), ['peer.example'])
    expect(server.network.dialed.get('peer.example')).to.equal(1)
  })

  it('a domain that could not be asked rests: longer each time, and known at once when it is long', async () => {
    serve()
    const peer = await stranger()
    const dialed = (): number | undefined => server.network.dialed.get('dead.example')
    await ask(peer, ['dead.example'])
    expect([count(peer, 'remote-connection-failed'), dialed()]).to.deep.equal([1, 1])
    // A short rest is waited for.
    for (let failures = 2; failures <= 4; failures++) {
      await ask(peer, ['dead.example'])
      expect(dialed()).to.equal(failures - 1)
      if (count(peer, 'remote-server-timeout') > 0) break
      server.clock.advance(5000)
      await turns()
      expect([count(peer, 'remote-connection-failed'), dialed()]).to.deep.equal([failures, failures])
    }
    for (let i = 0; i < 5; i++) await ask(peer, ['dead.example'])
    expect(count(peer, 'remote-server-timeout')).to.be.at.least(5)
    expect(dialed()).to.be.within(2, 4)
  })

  it('that rest ends when the domain is heard from, and is none for stanzas of ours', async () => {
    serve({ settings: { backoffInitialMs: 20_000 } })
    const peer = await stranger()
    const dialed = (): number | undefined => server.network.dialed.get('dead.example')
    await ask(peer, ['dead.example'])
    await ask(peer, ['dead.example'])
    expect([count(peer, 'remote-server-timeout'), dialed()]).to.deep.equal([1, 1])
    server.send('a@here.example', 'b@dead.example', 'ours')
    await turns()
    expect(dialed()).to.equal(2)
    server.outgoing.heardFrom('dead.example')
    await ask(peer, ['dead.example'])
    expect(dialed()).to.equal(3)
  })

  it('one question leads to four addresses at most, a stanza of ours to more', async () => {
    const network = new WatchedNetwork()
    serve({ network })
    await ask(await stranger(), ['target.example'])
    server.send('a@here.example', 'b@other.example', 'ours')
    await turns()
    expect([...network.most]).to.deep.equal([
      ['target.example', 4],
      ['other.example', undefined],
    ])
  })
})
