import { expect } from 'chai'
import { DnsOverrides, readRoute } from '../../lib/dial/dns-override.js'

describe('static routes', () => {
  const routes: [string, ReturnType<typeof readRoute>][] = [
    ['xmpp.north.example:5269', { host: 'xmpp.north.example', port: 5269, transport: 'starttls' }],
    [' XMPP.North.Example:5269;tls ', { host: 'xmpp.north.example', port: 5269, transport: 'tls' }],
    ['192.0.2.1:15269;starttls', { host: '192.0.2.1', port: 15269, transport: 'starttls' }],
    ['[2001:db8::1]:5269', { host: '2001:db8::1', port: 5269, transport: 'starttls' }],
    ['north.example', undefined],
    ['north.example:0', undefined],
    ['north.example:65536', undefined],
    ['north.example:5269;quic', undefined],
    ['2001:db8::1:5269', undefined],
    ['[192.0.2.1]:5269', undefined],
    ['no rth.example:5269', undefined],
    [':5269', undefined],
  ]
  for (const [text, route] of routes) {
    it(`"${text}" is ${route === undefined ? 'malformed' : 'read'}`, () => expect(readRoute(text)).to.deep.equal(route))
  }

  it('exact name before the longest suffix before *', () => {
    const patterns = ['*', '*.example', '*.north.example', 'a.north.example']
    const overrides = new DnsOverrides(
      patterns.map((pattern, i) => [pattern, { host: pattern, port: i + 1, transport: 'starttls' }]),
    )
    expect(overrides.find('A.North.Example.')?.host).to.equal('a.north.example')
    expect(overrides.find('b.north.example')?.host).to.equal('*.north.example')
    expect(overrides.find('north.example')?.host).to.equal('*.example')
    expect(overrides.find('example')?.host).to.equal('*')
    expect(new DnsOverrides([]).find('example')).to.equal(undefined)
  })
})
