import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect } from 'chai'
import { Trace } from '../../lib/base/trace.js'
import type { Candidate } from '../../lib/dial/candidates.js'
import { DialError, type DialFailure } from '../../lib/dial/dial-error.js'
import type { DialSettings } from '../../lib/dial/dial-target.js'
import { type Dialed, type DialOptions, dial } from '../../lib/dial/dialer.js'
import type { SocksProxy } from '../../lib/dial/proxy.js'
import { Resolver } from '../../lib/dial/resolver.js'
import { DeafListener } from '../support/deaf-listener.js'
import { defaultDialSettings } from '../support/dial-settings.js'
import { ManualClock } from '../support/manual-clock.js'
import { ScriptedDns } from '../support/scripted-dns.js'
import { type Answer, type SocksScript, SocksServer } from '../support/socks-server.js'

const LOGIN = { user: 'user', password: 'never shown' }

interface Opened {
  readonly socket: Socket
  readonly greeting: string
}

/** A candidate is usable when the peer has said something. */
function open(socket: Socket, _target: unknown, signal: AbortSignal): Promise<Opened> {
  return new Promise((resolve, reject) => {
    socket.once('data', chunk => resolve({ socket, greeting: chunk.toString() }))
    socket.once('close', () => reject(new Error('closed before a greeting')))
    signal.addEventListener('abort', () => reject(signal.reason))
    socket.resume()
  })
}

describe('dial through a SOCKS5 proxy', () => {
  const endings: (() => unknown)[] = []
  let clock: ManualClock
  let dns: ScriptedDns
  let resolver: Resolver
  let trace: Trace
  let settings: DialSettings

  beforeEach(async () => {
    clock = new ManualClock()
    dns = new ScriptedDns()
    endings.push(() => dns.close())
    resolver = new Resolver({ servers: [await dns.listen()], clock, capacity: 100 })
    trace = new Trace(clock)
    settings = defaultDialSettings
  })

  afterEach(async () => {
    await Promise.all(endings.splice(0).map(end => end()))
    expect(clock.waiting).to.equal(0)
  })

  async function proxyServer(script?: SocksScript): Promise<SocksServer> {
    const server = await new SocksServer(script).listen()
    endings.push(() => server.close())
    return server
  }

  /** The port of a server that says its greeting. */
  async function peer(greeting: string): Promise<number> {
    const server = createServer(socket => socket.on('error', () => {}).write(greeting))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    endings.push(() => server.close())
    return (server.address() as AddressInfo).port
  }

  function candidate(host: string, more: Partial<Candidate> = {}): Candidate {
    return {
      host,
      port: 5269,
      transport: 'starttls',
      priority: 0,
      weight: 0,
      dnssec: 'insecure',
      isConfigured: false,
      ...more,
    }
  }

  function start(
    { port }: { readonly port: number },
    candidates: readonly Candidate[] = [candidate('north.example')],
    more: Partial<DialOptions<Opened>> & { readonly login?: SocksProxy['login'] } = {},
  ): Promise<Dialed<Opened>> {
    const dialed = dial({
      groups: [candidates],
      resolver,
      settings,
      clock,
      trace,
      signal: new AbortController().signal,
      open,
      proxy: { host: '127.0.0.1', port, login: more.login },
      ...more,
    })
    dialed.then(
      ({ value }) => endings.push(() => value.socket.destroy()),
      () => {},
    )
    return dialed
  }

  async function failureOf(dialed: Promise<unknown>): Promise<DialFailure> {
    const error = await dialed.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!(error instanceof DialError)) throw new Error('expected a DialError', { cause: error })
    expect(JSON.stringify([error.message, error.failure, trace])).to.not.include(LOGIN.password)
    return error.failure
  }

  const asked = ({ asked }: SocksServer): string[] => asked.map(({ type, host, port }) => `${type} ${host} ${port}`)

  describe('RFC 1928 §4: what the proxy is asked for', () => {
    for (const [host, type, seen] of [
      ['north.example', 'name', 'north.example'],
      ['abc.onion', 'name', 'abc.onion'],
      ['8.8.4.4', 'ipv4', '8.8.4.4'],
      ['2a00:1450::88', 'ipv6', '2a001450000000000000000000000088'],
    ] as const) {
      it(`${host} as ${type}; no address is looked up`, async () => {
        const proxy = await proxyServer()
        proxy.routes.set(`${seen}:5269`, await peer('hello'))
        const { value, target } = await start(proxy, [candidate(host)])
        expect(value.greeting).to.equal('hello')
        expect(target).to.include({ address: host, port: 5269 })
        expect(asked(proxy)).to.deep.equal([`${type} ${seen} 5269`])
        expect(proxy.methods).to.deep.equal([[0]])
        expect(dns.asked).to.deep.equal([])
      })
    }

    it('every way to write an IPv6 address', async () => {
      for (const [host, seen] of [
        ['2a00:0:0:1:0:0:0:2', '2a000000000000010000000000000002'],
        ['::ffff:8.8.4.4', '00000000000000000000ffff08080404'],
        ['2a00::', '2a000000000000000000000000000000'],
        ['2a00:1:2:3:4:5:6:7', '2a000001000200030004000500060007'],
        ['fe80::1%eth0', 'fe800000000000000000000000000001'],
      ] as const) {
        const proxy = await proxyServer()
        proxy.routes.set(`${seen}:5269`, await peer('hello'))
        await start(proxy, [candidate(host, { isConfigured: true })])
        expect(asked(proxy)).to.deep.equal([`ipv6 ${seen} 5269`])
      }
    })

    it('the trace says that the proxy was used, and how far it came', async () => {
      const proxy = await proxyServer({ login: LOGIN })
      proxy.routes.set('north.example:5269', await peer('hello'))
      await start(proxy, undefined, { login: LOGIN })
      const place = `127.0.0.1:${proxy.port}`
      const steps = trace.steps.filter(({ step }) => /^(?:tcp|proxy)/.test(step))
      expect(steps.map(({ step }) => step)).to.deep.equal([
        'tcp.start',
        'proxy.connected',
        'proxy.asked',
        'tcp.connected',
      ])
      for (const { facts } of steps.slice(0, 3)) expect(facts).to.include({ proxy: place })
      expect(JSON.stringify(trace)).to.not.include(LOGIN.password)
    })

    it('RFC 7673 §3.1: a secure name stays secure, although nobody here sees its address', async () => {
      const proxy = await proxyServer()
      proxy.routes.set('north.example:5269', await peer('hello'))
      const { target } = await start(proxy, [candidate('north.example', { dnssec: 'secure' })])
      expect(target.dnssec).to.equal('secure')
    })
  })

  describe('RFC 1929: the login', () => {
    it('is given when the proxy wants it', async () => {
      const proxy = await proxyServer({ login: LOGIN })
      proxy.routes.set('north.example:5269', await peer('hello'))
      await start(proxy, undefined, { login: LOGIN })
      expect(proxy.methods).to.deep.equal([[2, 0]])
      expect(proxy.asked[0]).to.include({ user: LOGIN.user })
    })

    it('is not given to a proxy that does not want it', async () => {
      const proxy = await proxyServer()
      proxy.routes.set('north.example:5269', await peer('hello'))
      await start(proxy, undefined, { login: LOGIN })
      expect(proxy.asked[0]).to.include({ user: '' })
    })

    for (const [title, login, words] of [
      ['another password', { user: 'user', password: 'x' }, 'does not accept user and password'],
      ['none, where one is wanted', undefined, 'wants a login'],
    ] as const) {
      it(`${title}: refused, and that is for our admin`, async () => {
        const failure = await failureOf(start(await proxyServer({ login: LOGIN }), undefined, { login }))
        expect(failure).to.include({ kind: 'tcp', detail: 'proxy-refused', isOurs: true })
        expect(failure.text).to.include(words).and.include('xmpp.server.proxy')
      })
    }

    it('RFC 1928 §3: no method in common', async () => {
      const proxy = await proxyServer({ instead: { method: Buffer.from([5, 0xff]) } })
      const failure = await failureOf(start(proxy, undefined, { login: LOGIN }))
      expect(failure).to.include({ detail: 'proxy-refused' })
    })
  })

  describe('RFC 1928 §6: every reply code has a meaning', () => {
    for (const [code, detail] of [
      [1, 'unreachable'],
      [2, 'proxy-refused'],
      [3, 'unreachable'],
      [4, 'unreachable'],
      [5, 'refused'],
      [6, 'timeout'],
      [7, 'proxy-refused'],
      [8, 'proxy-refused'],
      [9, 'proxy-refused'],
      [0xef, 'proxy-refused'],
      [0xf0, 'unreachable'],
      [0xf7, 'unreachable'],
      [0xff, 'proxy-refused'],
    ] as const) {
      it(`${code}: tcp ${detail}`, async () => {
        const proxy = await proxyServer({ code })
        const failure = await failureOf(start(proxy))
        expect(failure).to.include({ kind: 'tcp', detail, isOurs: false })
        expect(failure.text).to.include(`the proxy 127.0.0.1:${proxy.port} (xmpp.server.proxy)`)
      })
    }
  })

  describe('what a proxy may do to us', () => {
    for (const bound of ['ipv4', 'ipv6', 'name'] as const) {
      it(`octet by octet, bound address as ${bound}`, async () => {
        const proxy = await proxyServer({ login: LOGIN, slow: true, bound })
        proxy.routes.set('north.example:5269', await peer('hello'))
        expect((await start(proxy, undefined, { login: LOGIN })).value.greeting).to.equal('hello')
      })

      it(`what the host says in the same packet is not lost, bound address as ${bound}`, async () => {
        const proxy = await proxyServer({ bound, behind: 'at once' })
        expect((await start(proxy)).value.greeting).to.equal('at once')
      })
    }

    for (const [title, at, octets] of [
      ['an HTTP server', 'method', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
      ['another version', 'method', Buffer.from([4, 0])],
      ['a method nobody offered', 'method', Buffer.from([5, 1])],
      ['another version in the reply', 'reply', Buffer.from([4, 0, 0, 1, 0, 0, 0, 0, 0, 0])],
      ['an unknown type of address', 'reply', Buffer.from([5, 0, 0, 2, 0, 0, 0, 0, 0, 0])],
      ['a megabyte of noise', 'method', Buffer.alloc(1_048_576, 'x')],
    ] as const) {
      it(`garbage, ${title}: refused`, async () => {
        const failure = await failureOf(start(await proxyServer({ instead: { [at]: octets } })))
        expect(failure).to.include({ kind: 'tcp', detail: 'proxy-refused' })
      })
    }

    for (const [at, isOurs] of [
      ['method', true],
      ['login', true],
      ['reply', false],
    ] as readonly [Answer, boolean][]) {
      it(`closes instead of the ${at}: reset, ${isOurs ? 'ours' : 'perhaps theirs'}`, async () => {
        const failure = await failureOf(
          start(await proxyServer({ login: LOGIN, closesAt: at }), undefined, { login: LOGIN }),
        )
        expect(failure).to.include({ kind: 'tcp', detail: 'reset', isOurs })
      })

      it(`is silent instead of the ${at}: ended by the deadline of one TCP attempt`, async () => {
        const proxy = await proxyServer({ login: LOGIN, silentAt: at })
        const dialed = failureOf(start(proxy, undefined, { login: LOGIN }))
        await proxy.until(({ methods, asked }) => (at === 'reply' ? asked : methods).length === 1)
        while (at !== 'method' && !trace.steps.some(({ step }) => step === 'proxy.connected'))
          await new Promise(setImmediate)
        while (at === 'reply' && !trace.steps.some(({ step }) => step === 'proxy.asked'))
          await new Promise(setImmediate)
        clock.advance(settings.readTimeoutMs)
        const failure = await dialed
        expect(failure).to.include({ kind: 'tcp', detail: 'timeout' })
        expect(failure.kind === 'tcp' && failure.isOurs === true).to.equal(isOurs)
      })
    }
  })

  describe('a proxy that cannot be reached is our own fault', () => {
    it('nobody listens', async () => {
      const gone = await new SocksServer().listen()
      await gone.close()
      const failure = await failureOf(start(gone))
      expect(failure).to.include({ kind: 'tcp', detail: 'refused', isOurs: true })
      expect(failure.text).to.equal(`ECONNREFUSED: the proxy 127.0.0.1:${gone.port} (xmpp.server.proxy)`)
    })

    it('nobody answers', async () => {
      const deaf = new DeafListener()
      endings.push(() => deaf.close())
      const dialed = failureOf(start({ port: await deaf.listen() }))
      clock.advance(settings.readTimeoutMs)
      expect(await dialed).to.include({ kind: 'tcp', detail: 'timeout', isOurs: true })
    })

    it('RFC 1035 §2.3.4: a name that nobody can have', async () => {
      const proxy = { host: `${'x'.repeat(64)}.example`, port: 1080, login: undefined }
      const failure = await failureOf(start({ port: 1080 }, undefined, { proxy }))
      expect(failure).to.include({ kind: 'tcp', detail: 'unreachable', isOurs: true })
    })
  })

  it('the name of a proxy is looked up by the system', async () => {
    const proxy = await proxyServer()
    proxy.routes.set('north.example:5269', await peer('hello'))
    const named = { host: 'localhost', port: proxy.port, login: undefined }
    expect((await start(proxy, undefined, { proxy: named })).value.greeting).to.equal('hello')
    expect(dns.asked).to.deep.equal([])
  })

  it('RFC 8305 §5: candidates race through the proxy; the next starts while the first hangs, the loser is closed', async () => {
    const proxy = await proxyServer()
    const silent = createServer(socket => socket.on('error', () => {}))
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    endings.push(() => silent.close())
    proxy.routes.set('a.example:5269', (silent.address() as AddressInfo).port)
    proxy.routes.set('b.example:5269', await peer('hello'))
    const dialed = start(proxy, [candidate('a.example'), candidate('b.example')])
    await proxy.until(({ asked }) => asked.length === 1)
    while (!trace.steps.some(({ step }) => step === 'tcp.connected')) await new Promise(setImmediate)
    clock.advance(1000)
    expect((await dialed).target.address).to.equal('b.example')
    expect(asked(proxy)).to.deep.equal(['name a.example 5269', 'name b.example 5269'])
  })

  it('a candidate that the proxy cannot reach gives way at once', async () => {
    const proxy = await proxyServer()
    proxy.routes.set('b.example:5269', await peer('hello'))
    expect((await start(proxy, [candidate('a.example'), candidate('b.example')])).target.address).to.equal('b.example')
  })

  describe('RFC 6120 §13.9: what is never asked of a proxy', () => {
    for (const host of ['127.0.0.1', '10.1.2.3', '::1', 'localhost', 'a.localhost', '2130706433', '127.1', '0x7f.1']) {
      it(`${host}, unless configured or private targets are allowed`, async () => {
        const proxy = await proxyServer({ code: 4 })
        const failure = await failureOf(start(proxy, [candidate(host)]))
        expect(failure).to.include({ kind: 'tcp', detail: 'forbidden-target' })
        expect(failure.text).to.include('xmpp.server.private-targets')
        expect(proxy.connections).to.equal(0)
        await failureOf(start(proxy, [candidate(host, { isConfigured: true })]))
        await failureOf(start(proxy, [candidate(host)], { settings: { ...settings, privateTargets: true } }))
        expect(proxy.connections).to.equal(2)
      })
    }

    it('our own listener, by its address; a name that looks like one is none', async () => {
      const proxy = await proxyServer({ code: 4 })
      const forbidden = (address: string): boolean => address.startsWith('127.')
      const own = candidate('127.0.0.1', { isConfigured: true })
      expect(await failureOf(start(proxy, [own], { forbidden }))).to.include({ detail: 'forbidden-target' })
      expect(await failureOf(start(proxy, [candidate('127.example')], { forbidden }))).to.include({
        detail: 'unreachable',
      })
    })
  })

  describe('xmpp.server.source-address', () => {
    const from = (...sourceAddresses: string[]) => ({
      settings: { ...settings, privateTargets: true, sourceAddresses },
    })

    it('the proxy sees it', async () => {
      const proxy = await proxyServer({ code: 4 })
      await failureOf(start(proxy, undefined, from('127.0.0.77')))
      const named = { host: 'localhost', port: proxy.port, login: undefined }
      await failureOf(start(proxy, undefined, { ...from('127.0.0.78', '::1'), proxy: named }))
      expect(proxy.asked.map(asked => asked.from)).to.deep.equal(['127.0.0.77', '127.0.0.78'])
    })

    it('without a proxy the peer sees it; a family without one is dialed from wherever the system likes', async () => {
      const seen: string[] = []
      const server = createServer(socket => {
        seen.push(socket.remoteAddress ?? '')
        socket.on('error', () => {}).write('hello')
      })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      endings.push(() => server.close())
      const { port } = server.address() as AddressInfo
      const there = [candidate('127.0.0.1', { port })]
      await start({ port }, there, { ...from('::1', '127.0.0.77'), proxy: undefined })
      await start({ port }, there, { ...from('::1'), proxy: undefined })
      expect(seen).to.deep.equal(['127.0.0.77', '127.0.0.1'])
    })

    it('an address that is not ours: our fault, by the name of the setting', async () => {
      const direct = { ...from('192.0.2.1'), proxy: undefined }
      const failure = await failureOf(start({ port: 1 }, [candidate('127.0.0.1', { port: 9 })], direct))
      expect(failure).to.include({ kind: 'tcp', detail: 'unreachable', isOurs: true })
      expect(failure.text).to.include('192.0.2.1 (xmpp.server.source-address)')
    })
  })
})
