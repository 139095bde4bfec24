import { expect } from 'chai'
import { isForbiddenName, isForbiddenTarget, isLoopback } from '../../lib/dial/forbidden-targets.js'

describe('RFC 6890: targets that are refused', () => {
  const refused = {
    loopback: [
      '127.0.0.1',
      '127.255.255.254',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '64:ff9b::127.0.0.1',
      '::127.0.0.1',
    ],
    unspecified: ['0.0.0.0', '0.1.2.3', '::', '::ffff:0.0.0.0'],
    'link-local': ['169.254.169.254', 'fe80::1', 'fe80::1%lo', 'febf::1', '::ffff:169.254.169.254'],
    private: [
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
      'fc00::1',
      'fd12::1',
      '::ffff:10.0.0.1',
      '64:ff9b::a00:1',
      'fec0::1',
    ],
    multicast: ['224.0.0.1', '239.255.255.255', 'ff02::1'],
    documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1'],
    reserved: ['240.0.0.1', '255.255.255.255', '198.18.0.1', '2002:7f00:1::', '2001::1', '100::1'],
    'no address': ['', 'localhost', '127.1', '0x7f.1', '2130706433'],
  }
  for (const [kind, addresses] of Object.entries(refused)) {
    it(kind, () => {
      for (const address of addresses) expect(isForbiddenTarget(address), address).to.equal(true)
    })
  }

  it('public addresses, next to those, are not', () => {
    const open = [
      '9.255.255.255',
      '11.0.0.0',
      '128.0.0.1',
      '172.15.0.1',
      '172.32.0.1',
      '192.167.1.1',
      '100.63.0.1',
      '100.128.0.1',
      '223.255.255.255',
      '2a00::1',
      '2001:4860::1',
      '64:ff9b::8.8.8.8',
      '::ffff:8.8.8.8',
    ]
    for (const address of open) expect(isForbiddenTarget(address), address).to.equal(false)
  })

  it('RFC 6761 §6.3: names for others to resolve: localhost, and what old resolvers read as an address', () => {
    for (const name of [
      'localhost',
      'a.localhost',
      '127.1',
      '2130706433',
      '0x7f.1',
      '0x7f000001',
      'a.0x',
      '10.0.0.300',
    ])
      expect(isForbiddenName(name), name).to.equal(true)
    for (const name of ['localhost.example', 'mylocalhost', '127.example', 'x0x1', 'abc.onion', '1a'])
      expect(isForbiddenName(name), name).to.equal(false)
  })

  it('loopback is told apart from the rest', () => {
    for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'])
      expect(isLoopback(address), address).to.equal(true)
    for (const address of ['10.0.0.1', '::', '::2', 'localhost', '128.0.0.1'])
      expect(isLoopback(address), address).to.equal(false)
  })
})
