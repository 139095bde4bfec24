import { networkInterfaces } from 'node:os'
import { expect } from 'chai'
import { isOwnListener } from '../../lib/service/own-listeners.js'

describe('own listeners', () => {
  const at = (...addresses: string[]) => addresses.map(address => ({ address, port: 5269 }))

  it('one address: that address and port, nothing else', () => {
    const endpoints = at('192.0.2.1')
    expect(isOwnListener(endpoints, '192.0.2.1', 5269)).to.equal(true)
    expect(isOwnListener(endpoints, '192.0.2.1', 5270)).to.equal(false)
    expect(isOwnListener(endpoints, '192.0.2.2', 5269)).to.equal(false)
    expect(isOwnListener(endpoints, '127.0.0.1', 5269)).to.equal(false)
  })

  it('every address: whatever address this machine has, and the whole loopback network', () => {
    const mine = Object.values(networkInterfaces()).flatMap(list => list?.map(({ address }) => address) ?? [])
    for (const any of ['::', '0.0.0.0']) {
      for (const address of [...mine, '127.0.0.1', '127.9.9.9']) {
        expect(isOwnListener(at(any), address, 5269), address).to.equal(true)
        expect(isOwnListener(at(any), address, 5270), address).to.equal(false)
      }
      expect(isOwnListener(at(any), '192.0.2.77', 5269)).to.equal(false)
    }
  })

  it('any one of several is enough; none is none', () => {
    expect(isOwnListener(at('192.0.2.1', '192.0.2.2'), '192.0.2.2', 5269)).to.equal(true)
    expect(isOwnListener([], '127.0.0.1', 5269)).to.equal(false)
  })
})
