import { expect } from 'chai'
import { formatted, problemText, readValue, withoutSecrets } from '../../lib/service/config-problems.js'
import { KEYS, type Key, OPTIONS, optionOf } from '../../lib/service/options.js'

describe('options', () => {
  for (const key of KEYS) {
    it(`${key}: its default is a value of its own type, as it is and as text`, () => {
      const { default: fallback } = optionOf(key)
      expect(readBack(key, formatted(key, fallback))).to.deep.equal(fallback)
      expect(optionOf(key).type.format(fallback)).to.equal(formatted(key, readBack(key, formatted(key, fallback))))
    })
  }

  it('cannot be changed', () => {
    expect(Object.isFrozen(OPTIONS)).to.equal(true)
    for (const key of KEYS) {
      expect(Object.isFrozen(optionOf(key)), key).to.equal(true)
      expect(Object.isFrozen(optionOf(key).default), key).to.equal(true)
    }
  })

  const LIMITS: readonly (readonly [
    key: Key,
    low: unknown,
    high: unknown,
    below: unknown,
    above: unknown,
    expected: string,
  ])[] = [
    ['xmpp.server.socket.port', 1, 65_535, 0, 65_536, 'a port from 1 to 65535, or any for a free one'],
    ['xmpp.server.socket.ssl.port', 1, 65_535, 0, 65_536, 'a port from 1 to 65535, or any for a free one'],
    ['xmpp.server.socket.remotePort', 1, 65_535, 0, 65_536, 'a whole number from 1 to 65535'],
    ['xmpp.server.session.initialise-timeout', '100ms', '10m', '99ms', '601s', seconds('100ms', '10m')],
    [
      'xmpp.server.session.idle',
      '1s',
      '720h',
      '999ms',
      '721h',
      'a number of minutes or a text such as 30m, from 1s to 720h, or -1 for never',
    ],
    ['xmpp.server.read.timeout', '100ms', 600, '99ms', 601, seconds('100ms', '10m')],
    ['xmpp.server.resolution-timeout', '100ms', '10m', '99ms', '601s', seconds('100ms', '10m')],
    [
      'xmpp.server.resolution-delay',
      0,
      2000,
      -2,
      2001,
      'a number of milliseconds or a text such as 250ms, from 0s to 2s',
    ],
    [
      'xmpp.server.connection-attempt-delay',
      100,
      2000,
      99,
      2001,
      'a number of milliseconds or a text such as 250ms, from 100ms to 2s',
    ],
    ['xmpp.server.connection-max-workers', 1, 64, 0, 65, 'a whole number from 1 to 64'],
    ['xmpp.server.outgoing.queue', 1, 1_000_000, 0, 1_000_001, 'a whole number from 1 to 1000000'],
    [
      'xmpp.server.outgoing.queue-bytes',
      65_536,
      1_073_741_824,
      65_535,
      1_073_741_825,
      'a whole number from 65536 to 1073741824',
    ],
    [
      'xmpp.server.outgoing.queue-bytes-total',
      67_108_864,
      68_719_476_736,
      67_108_863,
      68_719_476_737,
      'a whole number from 67108864 to 68719476736',
    ],
    ['xmpp.server.outgoing.max-attempts', 1, 10_000, 0, 10_001, 'a whole number from 1 to 10000'],
    ['xmpp.server.backoff.initial', '100ms', '1h', '99ms', '3601s', seconds('100ms', '1h')],
    [
      'xmpp.server.backoff.max',
      '100ms',
      '24h',
      '99ms',
      '25h',
      'a number of minutes or a text such as 30m, from 100ms to 24h',
    ],
    ['xmpp.server.limits.stanza-bytes', 10_000, 16_777_216, 9_999, 16_777_217, 'a whole number from 10000 to 16777216'],
    [
      'xmpp.server.limits.unauthenticated-bytes',
      10_000,
      1_048_576,
      9_999,
      1_048_577,
      'a whole number from 10000 to 1048576',
    ],
    ['xmpp.server.limits.streams-per-address', 1, 10_000, 0, 10_001, 'a whole number from 1 to 10000'],
    ['xmpp.server.limits.unauthenticated-streams', 1, 100_000, 0, 100_001, 'a whole number from 1 to 100000'],
    ['xmpp.ratelimit.newconnections.s2s.permits_per_second', 1, 100_000, 0, 100_001, 'a whole number from 1 to 100000'],
    ['xmpp.ratelimit.newconnections.s2s.max_burst', 1, 100_000, 0, 100_001, 'a whole number from 1 to 100000'],
    ['xmpp.socket.write-timeout-seconds', 1, 3600, '999ms', 3601, seconds('1', '3600')],
    ['ximss.listener.port', 0, 65_535, -1, 65_536, 'a port from 1 to 65535, 0 for none, or any for a free one'],
    ['ximss.listener.tls.port', 0, 65_535, -1, 65_536, 'a port from 1 to 65535, 0 for none, or any for a free one'],
    ['ximss.channels', 0, 100_000, -1, 100_001, 'a whole number from 0 to 100000'],
    ['sessions.sessionsTTL', 1, 2_147_483_647, 0, 2_147_483_648, seconds('1', '2147483647')],
  ]

  for (const [key, low, high, below, above, expected] of LIMITS) {
    it(`${key}: takes ${low} and ${high}, refuses ${below} and ${above}`, () => {
      expect(readValue(key, low, '')).to.have.property('value')
      expect(readValue(key, high, '')).to.have.property('value')
      for (const wrong of [below, above]) {
        const problem = wrong === -2 ? 'not a duration' : 'out of range'
        expect(problemOf(key, wrong)).to.equal(
          `${key}: ${problem} (got ${JSON.stringify(wrong)}, expected ${expected})`,
        )
      }
    })
  }

  it('every setting with limits is in the table above', () => {
    const withLimits = KEYS.filter(key => / – /.test(optionOf(key).type.range))
    expect(LIMITS.map(([key]) => key)).to.have.members(withLimits)
  })

  it('refuses what is of another kind, with what was expected', () => {
    expect(problemOf('ximss.channels', 'many')).to.equal(
      'ximss.channels: not a whole number (got "many", expected a whole number from 0 to 100000)',
    )
    expect(problemOf('ximss.channels', 1.5)).to.match(/^ximss\.channels: not a whole number \(got 1\.5, /)
    expect(problemOf('ximss.channels', null)).to.match(/^ximss\.channels: has no value \(got null, /)
    expect(problemOf('tls.selfSigned', 'maybe')).to.equal(
      'tls.selfSigned: not true or false (got "maybe", expected true or false)',
    )
    expect(problemOf('tls.selfSigned', 1)).to.equal('tls.selfSigned: not true or false (got 1, expected true or false)')
    expect(problemOf('xmpp.server.tls.policy', 'required ')).to.equal(
      'xmpp.server.tls.policy: not one of the choices (got "required ", expected one of disabled, optional, required)',
    )
    expect(problemOf('xmpp.domains', [])).to.equal('xmpp.domains: empty (got [], expected a list of domain names)')
    expect(problemOf('xmpp.domains', ['a b'])).to.equal(
      'xmpp.domains: not a domain name (got ["a b"], expected a list of domain names)',
    )
    expect(problemOf('xmpp.domains', { a: 1 })).to.match(/^xmpp\.domains: not a list /)
    expect(problemOf('xmpp.domains', ['North.example', 'north.example.'])).to.match(
      /^xmpp\.domains: the same entry twice /,
    )
    expect(problemOf('network.interface', ['localhost'])).to.match(/^network\.interface: not an IP address /)
    expect(problemOf('data.directory', '')).to.match(/^data\.directory: not a path /)
    expect(problemOf('store.url', 'postgres://db/comity')).to.match(
      /^store\.url: PostgreSQL is not available in this version /,
    )
    expect(problemOf('store.url', 'mysql:')).to.match(/^store\.url: not a database /)
    expect(problemOf('dns.servers', ['tls://192.0.2.1'])).to.match(
      /^dns\.servers: DNS over TLS is not available in this version /,
    )
    expect(problemOf('dns.override', { 'a b': 'localhost:5269' })).to.match(/^dns\.override: not a pattern /)
    expect(problemOf('dns.override', { '*': 'localhost' })).to.match(/^dns\.override: not a target /)
    expect(problemOf('dns.override', 'nonsense')).to.match(/^dns\.override: not a map /)
  })

  it('reads the texts of the environment and the command line', () => {
    expect(readBack('xmpp.domains', 'North.example, south.example')).to.deep.equal(['north.example', 'south.example'])
    expect(readBack('xmpp.domains', '[north.example, "south.example"]')).to.deep.equal([
      'north.example',
      'south.example',
    ])
    expect(readBack('dns.servers', '')).to.deep.equal([])
    expect(readBack('dns.servers', '[::1]:5353, [2001:db8::1]')).to.deep.equal(['[::1]:5353', '[2001:db8::1]'])
    expect(readBack('dns.override', '*.North.example=127.0.0.1:5269;tls,*=[::1]:1')).to.deep.equal({
      '*.north.example': '127.0.0.1:5269;tls',
      '*': '[::1]:1',
    })
    expect(readBack('dns.override', '{"*": "host.example:5269"}')).to.deep.equal({ '*': 'host.example:5269' })
    expect(readBack('ximss.channels', '7')).to.equal(7)
    expect(readBack('ximss.listener.port', 'any')).to.equal('any')
    expect(['True', 'yes', 'on', 'No', 'FALSE', 'off'].map(text => readBack('tls.selfSigned', text))).to.deep.equal([
      true,
      true,
      true,
      false,
      false,
      false,
    ])
  })

  it('holds durations in milliseconds, and a bare number counts the unit shown', () => {
    expect(readBack('xmpp.server.read.timeout', 3)).to.equal(3_000)
    expect(readBack('xmpp.server.read.timeout', '3')).to.equal(3_000)
    expect(readBack('xmpp.server.read.timeout', '250ms')).to.equal(250)
    expect(readBack('xmpp.server.read.timeout', 0.5)).to.equal(500)
    expect(readBack('xmpp.server.session.idle', 5)).to.equal(300_000)
    expect(readBack('xmpp.server.session.idle', '2h')).to.equal(7_200_000)
    expect(readBack('xmpp.server.session.idle', '-1')).to.equal(-1)
    expect(readBack('xmpp.server.connection-attempt-delay', 300)).to.equal(300)
    expect(readBack('sessions.sessionsTTL', '10m')).to.equal(600_000)
    expect(problemOf('xmpp.server.read.timeout', '5 minutes')).to.match(
      /^xmpp\.server\.read\.timeout: not a duration \(got "5 minutes", /,
    )
    expect(problemOf('xmpp.server.read.timeout', -1)).to.match(/: out of range \(got -1, /)
  })

  it('checks name servers and override targets, and looks patterns up as A-labels', () => {
    for (const server of ['192.0.2.1', '2001:db8::1', '[2001:db8::1]:5353', '192.0.2.1:5353']) {
      expect(readBack('dns.servers', [server])).to.deep.equal([server])
    }
    for (const server of ['host.example', '192.0.2.1:0', '192.0.2.1:65536', '']) {
      expect(problemOf('dns.servers', [server])).to.match(/^dns\.servers: not a name server /)
    }
    for (const target of ['host.example:5270;tls', '[::1]:5269', '192.0.2.1:1;starttls']) {
      expect(readBack('dns.override', { 'Bücher.example': target })).to.deep.equal({ 'xn--bcher-kva.example': target })
    }
    for (const target of ['h:0', 'h:65536', 'h:1;udp', ':1', '::1:5269', '[host]:1']) {
      expect(problemOf('dns.override', { '*': target })).to.match(/^dns\.override: not a target /)
    }
  })

  it('takes none or one proxy, and shows no wrong one: it may hold a password', () => {
    for (const url of ['', 'socks5://user:secret@proxy.example:1080', 'socks5://[::1]:9050']) {
      expect(readBack('xmpp.server.proxy', url)).to.equal(url)
    }
    expect(withoutSecrets('xmpp.server.proxy', 'socks5://user:secret@h:1')).to.equal('socks5://user:[redacted]@h:1')
    expect(problemOf('xmpp.server.proxy', 'socks5://user:se cret@h:1')).to.equal(
      'xmpp.server.proxy: not a SOCKS5 proxy (expected socks5://[user:password@]host:port, or nothing)',
    )
  })

  it('takes a source address of each family', () => {
    expect(readBack('xmpp.server.source-address', '192.0.2.1, 2001:db8::1')).to.deep.equal(['192.0.2.1', '2001:db8::1'])
    expect(problemOf('xmpp.server.source-address', ['192.0.2.1', '192.0.2.2'])).to.match(
      /^xmpp\.server\.source-address: two addresses of the same family /,
    )
    expect(problemOf('xmpp.server.source-address', ['eth0'])).to.match(
      /^xmpp\.server\.source-address: not an IP address /,
    )
  })

  it('shows no password of a database address', () => {
    expect(problemOf('store.url', 'postgres://comity:MARKED@db/comity'))
      .to.include('comity:[redacted]@db')
      .and.not.include('MARKED')
  })
})

function seconds(low: string, high: string): string {
  return `a number of seconds or a text such as 30s, from ${low} to ${high}`
}

function readBack(key: Key, raw: unknown): unknown {
  const read = readValue(key, raw, '')
  return 'value' in read ? read.value : problemText(read.problem)
}

function problemOf(key: Key, raw: unknown): string {
  const read = readValue(key, raw, '')
  return 'problem' in read ? problemText(read.problem) : 'no problem'
}
