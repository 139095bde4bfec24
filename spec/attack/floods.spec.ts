import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { memoryPair } from '../support/memory-pair.js'
import { WireServer } from '../support/wire-peer.js'

describe('connection floods', () => {
  const authority = new TestAuthority()

  it('an address that connects too often is turned away without a byte; others, and it later, get in', async () => {
    const settings = { newConnections: { perSecond: 2, burst: 5 }, streamsPerAddress: 1000 }
    const server = new WireServer({ authority, settings })
    const connected = (address: string, times: number): number => {
      const before = server.incoming.size
      for (let i = 0; i < times; i++) server.accept(memoryPair()[0], address)
      return server.incoming.size - before
    }
    try {
      expect(connected('192.0.2.1', 20)).to.equal(5)
      expect(server.incoming.refusedConnections).to.equal(15)
      expect(connected('192.0.2.2', 1)).to.equal(1)
      // Of one /64 as of one address, and of many addresses no more than ten times as many.
      expect(connected('2001:db8::1', 3) + connected('2001:db8::2', 4)).to.equal(5)
      let all = 0
      for (let i = 0; i < 30; i++) all += connected(`198.51.100.${i}`, 5)
      expect(all).to.equal(50 - 5 - 1 - 5)
      server.clock.advance(1000)
      expect(connected('192.0.2.1', 20)).to.equal(2)
    } finally {
      await server.stop()
    }
  })
})
