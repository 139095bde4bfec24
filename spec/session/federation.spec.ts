import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.js'
import { TestAuthority } from '../support/authority.js'
import { MemoryFederation, MemoryNetwork } from '../support/memory-federation.js'

describe('two servers', () => {
  const authority = new TestAuthority()
  let stop: MemoryFederation[] = []

  afterEach(async () => {
    await Promise.all(stop.map(server => server.stop()))
    stop = []
  })

  function pair(rules: object, certificate: 'both' | null = 'both'): [MemoryFederation, MemoryFederation] {
    const network = new MemoryNetwork()
    const options = { network, authority, clock: systemClock, rules, certificate }
    const north = new MemoryFederation({ ...options, domains: ['north.example'] })
    const south = new MemoryFederation({ ...options, domains: ['south.example'] })
    stop = [north, south]
    return [north, south]
  }

  for (const [name, rules, proof] of [
    ['SASL EXTERNAL over TLS', {}, 'external'],
    ['Server Dialback over TLS', { external: false }, 'dialback'],
  ] as const) {
    it(`exchange messages in order, proven by ${name}`, async () => {
      const [north, south] = pair(rules)
      for (let i = 0; i < 50; i++) north.send('a@north.example/x', 'b@south.example', `hello ${i}`)
      for (let i = 0; i < 50; i++) expect((await south.next()).textOf('body')).to.equal(`hello ${i}`)
      south.send('b@south.example/y', 'a@north.example', 'and back')
      expect((await north.next()).textOf('body')).to.equal('and back')
      expect(north.proven.map(one => `${one.direction} ${one.proof}`)).to.have.members([
        `outgoing ${proof}`,
        `incoming ${proof}`,
      ])
    })
  }

  it('exchange messages without TLS only where both allow it', async () => {
    const [north, south] = pair({ tls: 'optional' }, null)
    north.send('a@north.example/x', 'b@south.example', 'plain')
    expect((await south.next()).textOf('body')).to.equal('plain')
  })
})
