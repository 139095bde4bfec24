import { expect } from 'chai'
import { proxyPlace, proxyWithoutPassword, readProxy } from '../../lib/dial/proxy.js'

describe('readProxy', () => {
  for (const [text, host, port] of [
    ['socks5://127.0.0.1:9050', '127.0.0.1', 9050],
    ['socks5://[::1]:9050', '::1', 9050],
    ['SOCKS5://Proxy.Example.:1080/', 'proxy.example', 1080],
    ['socks5://tor:9050', 'tor', 9050],
  ] as const) {
    it(`${text}: a proxy without login`, () => {
      expect(readProxy(text)).to.deep.equal({ host, port, login: undefined })
    })
  }

  it('RFC 3986 §2.1: user and password are percent-encoded', () => {
    const { login } = readProxy('socks5://a%40b:p%3A%20%C3%BC@127.0.0.1:1') ?? {}
    expect(login).to.deep.equal({ user: 'a@b', password: 'p: \u00FC' })
  })

  it('RFC 1929 §2: user and password have 1 to 255 octets', () => {
    const longest = '%C3%BC'.repeat(127)
    expect(readProxy(`socks5://${longest}x:${longest}y@h:1`)?.login?.user).to.have.lengthOf(128)
    for (const login of [`${longest}xy:p`, `u:${longest}xy`, 'u:', ':p', 'u']) {
      expect(readProxy(`socks5://${login}@h:1`), login).to.equal(undefined)
    }
  })

  for (const text of [
    '',
    'socks5://',
    'socks5://h',
    'socks5://h:0',
    'socks5://h:65536',
    'socks5://h:1/path',
    'socks5://::1:9050',
    'socks5://[h]:1',
    'socks5://u:p@x@h:1',
    'socks5://u:%zz@h:1',
    'socks5://u:[redacted]@h:1',
    'socks5://a b:1',
    'socks4://h:1',
    'http://h:1',
    'h:1',
  ]) {
    it(`${JSON.stringify(text)} is none`, () => {
      expect(readProxy(text)).to.equal(undefined)
    })
  }

  it('people see its place, and no password', () => {
    const place = (text: string): string => proxyPlace(readProxy(text) ?? { host: '', port: 0, login: undefined })
    expect(place('socks5://u:secret@127.0.0.1:9050')).to.equal('127.0.0.1:9050')
    expect(place('socks5://u:secret@[::1]:9050')).to.equal('[::1]:9050')
    expect(proxyWithoutPassword('socks5://u%40:secret@[::1]:9050')).to.equal('socks5://u%40:[redacted]@[::1]:9050')
    expect(proxyWithoutPassword('socks5://h:1')).to.equal('socks5://h:1')
    expect(proxyWithoutPassword('')).to.equal('')
  })
})
