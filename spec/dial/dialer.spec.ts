import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { expect } from 'chai'
import { type Clock, systemClock } from '../../lib/base/clock.js'
import { Trace } from '../../lib/base/trace.js'
import type { Candidate } from '../../lib/dial/candidates.js'
import { DialError } from '../../lib/dial/dial-error.js'
import type { DialSettings } from '../../lib/dial/dial-target.js'
import { type Dialed, type DialOptions, dial } from '../../lib/dial/dialer.js'
import { Resolver } from '../../lib/dial/resolver.js'
import { DeafListener } from '../support/deaf-listener.js'
import { defaultDialSettings } from '../support/dial-settings.js'
import { ManualClock } from '../support/manual-clock.js'
import { ScriptedDns } from '../support/scripted-dns.js'

/** Accepts; says `greeting` first unless it is to be silent; remembers what it saw. */
class Peer {
  readonly sockets: Socket[] = []
  received = ''
  closed = 0
  port = 0
  readonly #server: Server
  #watchers: (() => void)[] = []

  constructor(greeting: string | undefined) {
    this.#server = createServer(socket => {
      this.sockets.push(socket)
      if (greeting !== undefined) socket.write(greeting)
      socket.on('data', chunk => {
        this.received += chunk.toString()
      })
      socket.on('error', () => {})
      socket.on('close', () => {
        this.closed++
        this.#changed()
      })
      this.#changed()
    })
  }

  async listen(address = '127.0.0.1'): Promise<this> {
    await once(this.#server.listen(0, address), 'listening')
    const bound = this.#server.address()
    if (typeof bound === 'object' && bound !== null) this.port = bound.port
    return this
  }

  async until(isSo: (peer: this) => boolean): Promise<void> {
    while (!isSo(this)) await new Promise<void>(resolve => this.#watchers.push(resolve))
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    if (this.#server.listening) await new Promise(resolve => this.#server.close(resolve))
  }

  #changed(): void {
    for (const watcher of this.#watchers.splice(0)) watcher()
  }
}

/** A candidate is usable when the peer has said something. */
function open(socket: Socket, _target: unknown, signal: AbortSignal): Promise<{ socket: Socket; greeting: string }> {
  return new Promise((resolve, reject) => {
    socket.once('data', chunk => resolve({ socket, greeting: chunk.toString() }))
    socket.once('close', () => reject(new Error('closed before a greeting')))
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

type Opened = { socket: Socket; greeting: string }

describe('dial', () => {
  const endings: (() => Promise<unknown>)[] = []
  let clock: ManualClock
  let dns: ScriptedDns
  let resolver: Resolver
  let trace: Trace
  let settings: { -readonly [K in keyof DialSettings]: DialSettings[K] }

  beforeEach(async () => {
    clock = new ManualClock()
    dns = new ScriptedDns()
    endings.push(() => dns.close())
    resolver = new Resolver({ servers: [await dns.listen()], clock, capacity: 100 })
    trace = new Trace(clock)
    settings = { ...defaultDialSettings, privateTargets: true }
  })

  afterEach(async () => {
    await Promise.all(endings.splice(0).map(end => end()))
  })

  async function peer(greeting?: string, address?: string): Promise<Peer> {
    const made = await new Peer(greeting).listen(address)
    endings.push(() => made.close())
    return made
  }

  async function deafPort(): Promise<number> {
    const listener = new DeafListener()
    endings.push(() => listener.close())
    return await listener.listen()
  }

  /** A port where nobody listens. */
  async function deadPort(): Promise<number> {
    const gone = await new Peer(undefined).listen()
    await gone.close()
    return gone.port
  }

  function candidate(host: string, port: number, more: Partial<Candidate> = {}): Candidate {
    return {
      host,
      port,
      transport: 'starttls',
      priority: 0,
      weight: 0,
      dnssec: 'insecure',
      isConfigured: false,
      ...more,
    }
  }

  function start(groups: Candidate[][], more: Partial<DialOptions<Opened>> = {}): Promise<Dialed<Opened>> {
    const dialed = dial({
      groups,
      resolver,
      settings,
      clock,
      trace,
      signal: new AbortController().signal,
      open,
      ...more,
    })
    dialed.then(
      ({ value }) => endings.push(async () => value.socket.destroy()),
      () => {},
    )
    return dialed
  }

  async function failureOf(dialed: Promise<unknown>): Promise<DialError> {
    const error = await dialed.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!(error instanceof DialError)) throw new Error('expected a DialError', { cause: error })
    return error
  }

  const started = (): unknown[] =>
    trace.steps.filter(({ step }) => step === 'tcp.start').map(({ facts }) => facts.address)

  async function untilStarted(count: number): Promise<void> {
    while (started().length < count) await new Promise(setImmediate)
  }

  /** Gives everything that does not need time the chance to happen, to see that something did not. */
  async function settle(): Promise<void> {
    for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate)
  }

  describe('the winner', () => {
    it('RFC 8305 §5: its socket is kept, and the peer sees exactly one connection', async () => {
      const north = await peer('hello')
      dns.zone['h.example'] = { A: ['127.0.0.1', '127.0.0.2'] }
      const { value, target } = await start([[candidate('h.example', north.port), candidate('h.example', north.port)]])
      expect(value.greeting).to.equal('hello')
      expect(target).to.include({ address: '127.0.0.1', port: north.port, family: 4 })
      value.socket.end('bye')
      await north.until(({ closed }) => closed === 1)
      expect(north.received).to.equal('bye')
      expect(north.sockets).to.have.length(1)
      while (clock.waiting > 0) await settle()
    })

    it('RFC 4035 §3.2.3: the target is secure when host and address are', async () => {
      const north = await peer('hello')
      dns.zone['h.example'] = { A: ['127.0.0.1'] }
      dns.misdeeds['h.example'] = { authentic: true }
      expect((await start([[candidate('h.example', north.port)]])).target.dnssec).to.equal('insecure')
      const signed = candidate('h.example', north.port, { dnssec: 'secure' })
      expect((await start([[signed]])).target.dnssec).to.equal('secure')
    })

    it('an address as host is not looked up', async () => {
      const north = await peer('hello')
      await start([[candidate('127.0.0.1', north.port)]])
      expect(dns.asked).to.deep.equal([])
    })
  })

  describe('what fails gives way at once, without time passing', () => {
    it('RFC 8305 §5: dead first address', async () => {
      const north = await peer('hello')
      dns.zone['h.example'] = { A: ['127.0.0.2', '127.0.0.1'] }
      const { target } = await start([[candidate('h.example', north.port)]])
      expect(target.address).to.equal('127.0.0.1')
      expect(started()).to.deep.equal(['127.0.0.2', '127.0.0.1'])
    })

    it('RFC 8305 §4: dead IPv6 first, IPv4 then', async () => {
      const north = await peer('hello')
      dns.zone['h.example'] = { A: ['127.0.0.1'], AAAA: ['::1'] }
      const { target } = await start([[candidate('h.example', north.port)]])
      expect(target.family).to.equal(4)
      expect(started()).to.deep.equal(['::1', '127.0.0.1'])
    })

    it('RFC 8305 §5: up to the number of addresses that may be dialed, over all priorities', async () => {
      const dead = await deadPort()
      dns.zone['h.example'] = { A: ['127.0.0.1', '127.0.0.2', '127.0.0.3'] }
      const groups = [1, 2, 3].map(priority => [candidate('h.example', dead - priority, { priority })])
      groups.unshift([candidate('127.0.0.9', dead), candidate('h.example', dead)])
      await failureOf(start(groups, { mostAddresses: 4 }))
      expect(started()).to.deep.equal(['127.0.0.9', '127.0.0.1', '127.0.0.2', '127.0.0.3'])
    })

    it('RFC 2782: dead first priority', async () => {
      const north = await peer('hello')
      dns.zone['h.example'] = { A: ['127.0.0.1'] }
      const dead = candidate('h.example', await deadPort(), { priority: 1 })
      const { target } = await start([[dead], [candidate('h.example', north.port, { priority: 2 })]])
      expect(target.candidate.priority).to.equal(2)
    })

    it('RFC 2782: a target without address', async () => {
      const north = await peer('hello')
      dns.zone['h.example'] = { A: ['127.0.0.1'] }
      const { target } = await start([[candidate('gone.example', 5269), candidate('h.example', north.port)]])
      expect(target.candidate.host).to.equal('h.example')
    })

    it('a candidate that dies before it is usable', async () => {
      const [bad, good] = [await peer(), await peer('hello')]
      const dialed = start([[candidate('127.0.0.1', bad.port), candidate('127.0.0.1', good.port)]])
      await bad.until(({ sockets }) => sockets.length === 1)
      bad.sockets[0]?.destroy()
      expect((await dialed).target.port).to.equal(good.port)
    })

    it('but an error that is final ends the attempt', async () => {
      const [bad, good] = [await peer('policy-violation'), await peer('hello')]
      const refusal = new Error('policy-violation')
      const error = await failureOf(
        start([[candidate('127.0.0.1', bad.port), candidate('127.0.0.1', good.port)]], {
          open: async () => {
            throw refusal
          },
          isFinal: reason => reason === refusal,
        }),
      )
      expect(error.failure).to.include({ kind: 'open', detail: 'final', cause: refusal })
      expect(error.target?.port).to.equal(bad.port)
      await settle()
      expect(good.sockets).to.deep.equal([])
    })
  })

  describe('order', () => {
    it('RFC 8305 §4: candidates in order, the addresses of each alternating, IPv6 first', async () => {
      dns.zone['a.example'] = { A: ['127.0.0.2', '127.0.0.3'], AAAA: ['::1', '::ffff:7f00:5'] }
      dns.zone['b.example'] = { A: ['127.0.0.4'] }
      const port = await deadPort()
      await failureOf(start([[candidate('a.example', port), candidate('b.example', port)]]))
      expect(started()).to.deep.equal(['::1', '127.0.0.2', '::ffff:7f00:5', '127.0.0.3', '127.0.0.4'])
    })

    it('RFC 8305 §3: IPv4 waits 50 ms for a late AAAA answer, no longer', async () => {
      const north = await peer('hello')
      dns.zone['h.example'] = { A: ['127.0.0.1'] }
      dns.misdeeds['AAAA h.example'] = { drop: true }
      const dialed = start([[candidate('h.example', north.port)]])
      while (!trace.steps.some(({ step }) => step === 'dns.answer')) await settle()
      clock.advance(49)
      await settle()
      expect(started()).to.deep.equal([])
      clock.advance(1)
      expect((await dialed).target.family).to.equal(4)
    })

    it('RFC 8305 §3: an AAAA answer within that time goes first', async () => {
      let answer = (): void => {}
      const until = new Promise<void>(resolve => {
        answer = resolve
      })
      dns.zone['h.example'] = { A: ['127.0.0.1'], AAAA: ['::1'] }
      dns.misdeeds['AAAA h.example'] = { until }
      const error = failureOf(start([[candidate('h.example', await deadPort())]]))
      while (!trace.steps.some(({ step }) => step === 'dns.answer')) await settle()
      answer()
      await error
      expect(started()).to.deep.equal(['::1', '127.0.0.1'])
    })

    it('RFC 8305 §3: IPv6 does not wait for a late A answer', async () => {
      dns.zone['h.example'] = { AAAA: ['::1'] }
      dns.misdeeds['A h.example'] = { drop: true }
      const given = new AbortController()
      const dialed = start([[candidate('h.example', await deadPort())]], { signal: given.signal }).catch(
        () => 'gave up',
      )
      await untilStarted(1)
      given.abort()
      expect(await dialed).to.equal('gave up')
    })

    it('RFC 8305 §3: each priority waits anew', async () => {
      const north = await peer('hello')
      dns.zone['a.example'] = { A: ['127.0.0.2'] }
      dns.zone['b.example'] = { A: ['127.0.0.1'] }
      dns.misdeeds['AAAA b.example'] = { drop: true }
      const dialed = start([[candidate('a.example', north.port)], [candidate('b.example', north.port)]])
      while (trace.steps.filter(({ step }) => step === 'dns.answer').length < 3) await settle()
      clock.advance(49)
      await settle()
      expect(started()).to.deep.equal(['127.0.0.2'])
      clock.advance(1)
      await dialed
    })

    it('what is named twice is dialed once', async () => {
      const port = await deadPort()
      dns.zone['h.example'] = { A: ['127.0.0.1'] }
      await failureOf(
        start([[candidate('h.example', port), candidate('127.0.0.1', port)], [candidate('h.example', port)]]),
      )
      expect(started()).to.deep.equal(['127.0.0.1'])
    })

    it('a candidate whose answers are late does not hold up the next one for longer', async () => {
      const north = await peer('hello')
      dns.zone['b.example'] = { A: ['127.0.0.1'] }
      dns.misdeeds['a.example'] = { drop: true }
      const dialed = start([[candidate('a.example', 5269), candidate('b.example', north.port)]])
      while (trace.steps.filter(({ step }) => step === 'dns.answer').length < 2) await settle()
      expect(started()).to.deep.equal([])
      clock.advance(50)
      expect((await dialed).target.candidate.host).to.equal('b.example')
    })
  })

  describe('time', () => {
    it('RFC 8305 §5: the next socket starts 250 ms after one that hangs', async () => {
      const [port, north] = [await deafPort(), await peer('hello')]
      const dialed = start([[candidate('127.0.0.1', port), candidate('127.0.0.1', north.port)]])
      await untilStarted(1)
      clock.advance(249)
      await settle()
      expect(started()).to.have.length(1)
      clock.advance(1)
      expect((await dialed).target.port).to.equal(north.port)
      while (clock.waiting > 0) await settle()
    })

    it('the delay is read when it is needed', async () => {
      const [port, north] = [await deafPort(), await peer('hello')]
      settings.attemptDelayMs = 10
      const dialed = start([
        [candidate('127.0.0.1', port), candidate('127.0.0.2', port), candidate('127.0.0.1', north.port)],
      ])
      await untilStarted(1)
      settings.attemptDelayMs = 40
      clock.advance(10)
      await untilStarted(2)
      clock.advance(39)
      await settle()
      expect(started()).to.have.length(2)
      clock.advance(1)
      await dialed
    })

    it('a connected candidate holds the race for 1 s; then the second may win, and the first hears nothing', async () => {
      const [silent, north] = [await peer(), await peer('hello')]
      const dialed = start([[candidate('127.0.0.1', silent.port), candidate('127.0.0.1', north.port)]])
      await silent.until(({ sockets }) => sockets.length === 1)
      while (!trace.steps.some(({ step }) => step === 'tcp.connected')) await settle()
      clock.advance(999)
      await settle()
      expect(north.sockets).to.deep.equal([])
      clock.advance(1)
      expect((await dialed).target.port).to.equal(north.port)
      await silent.until(({ closed }) => closed === 1)
      expect(silent.received).to.equal('')
    })

    it('the slow one may still win after the race has gone on', async () => {
      const [slow, silent] = [await peer(), await peer()]
      const dialed = start([[candidate('127.0.0.1', slow.port), candidate('127.0.0.1', silent.port)]])
      await slow.until(({ sockets }) => sockets.length === 1)
      while (!trace.steps.some(({ step }) => step === 'tcp.connected')) await settle()
      clock.advance(1000)
      await silent.until(({ sockets }) => sockets.length === 1)
      slow.sockets[0]?.write('at last')
      expect((await dialed).value.greeting).to.equal('at last')
      await silent.until(({ closed }) => closed === 1)
    })

    it('the next priority starts 2 s after the last socket of the one before', async () => {
      const [port, north] = [await deafPort(), await peer('hello')]
      const dialed = start([[candidate('127.0.0.1', port)], [candidate('127.0.0.1', north.port)]])
      await untilStarted(1)
      clock.advance(1999)
      await settle()
      expect(started()).to.have.length(1)
      clock.advance(1)
      expect((await dialed).target.port).to.equal(north.port)
    })

    it('the next priority does not wait longer than that for names either', async () => {
      const north = await peer('hello')
      dns.misdeeds['h.example'] = { drop: true }
      const dialed = start([[candidate('h.example', 5269)], [candidate('127.0.0.1', north.port)]])
      await dns.askedTimes(2)
      clock.advance(2000)
      await settle()
      clock.advance(50)
      expect((await dialed).target.port).to.equal(north.port)
    })

    it('no more sockets than allowed are under way', async () => {
      const port = await deafPort()
      const hosts = Array.from({ length: 12 }, (_, i) => candidate(`127.0.0.${i + 1}`, port))
      const given = new AbortController()
      const dialed = start([hosts], { signal: given.signal }).catch(() => 'gave up')
      for (let step = 0; step < 12; step++) {
        clock.advance(250)
        await settle()
      }
      expect(started()).to.have.length(8)
      given.abort()
      expect(await dialed).to.equal('gave up')
    })

    it('runs on the clock of the machine as well', async () => {
      const [port, north] = [await deafPort(), await peer('hello')]
      const real: Clock = systemClock
      settings.attemptDelayMs = 10
      const { target } = await start([[candidate('127.0.0.1', port), candidate('127.0.0.1', north.port)]], {
        clock: real,
      })
      expect(target.port).to.equal(north.port)
    })
  })

  describe('deadlines', () => {
    it('one TCP try: 10 s', async () => {
      const error = failureOf(start([[candidate('127.0.0.1', await deafPort())]]))
      await untilStarted(1)
      clock.advance(10_000)
      expect((await error).failure).to.include({ kind: 'tcp', detail: 'timeout' })
      expect(clock.waiting).to.equal(0)
    })

    it('reaching anybody: 20 s from the start of the attempt, sockets clipped', async () => {
      clock.advance(15_000)
      const error = failureOf(start([[candidate('127.0.0.1', await deafPort())]], { startedAt: 0 }))
      await untilStarted(1)
      clock.advance(5000)
      expect((await error).failure).to.include({ kind: 'tcp', detail: 'timeout' })
      expect(clock.waiting).to.equal(0)
    })

    it('reaching anybody: while names are looked up', async () => {
      dns.misdeeds['h.example'] = { drop: true }
      settings.resolutionTimeoutMs = 3000
      const error = failureOf(start([[candidate('h.example', 5269)]]))
      await dns.askedTimes(2)
      expect(trace.waitingFor).to.equal('DNS: A and AAAA h.example')
      clock.advance(3000)
      expect((await error).failure).to.include({ kind: 'dns', detail: 'timeout' })
      while (clock.waiting > 0) await settle()
    })

    it('what is connected by then may still become usable', async () => {
      const slow = await peer()
      const dialed = start([[candidate('127.0.0.1', slow.port)]])
      await slow.until(({ sockets }) => sockets.length === 1)
      while (!trace.steps.some(({ step }) => step === 'tcp.connected')) await settle()
      clock.advance(25_000)
      slow.sockets[0]?.write('late')
      expect((await dialed).value.greeting).to.equal('late')
    })

    it('but nothing new is tried after it', async () => {
      const [slow, north] = [await peer(), await peer('hello')]
      settings.resolutionTimeoutMs = 500
      const error = failureOf(start([[candidate('127.0.0.1', slow.port)], [candidate('127.0.0.1', north.port)]]))
      await slow.until(({ sockets }) => sockets.length === 1)
      while (!trace.steps.some(({ step }) => step === 'tcp.connected')) await settle()
      clock.advance(500)
      slow.sockets[0]?.destroy()
      expect((await error).failure).to.include({ kind: 'open', detail: 'failed' })
      expect(north.sockets).to.deep.equal([])
    })

    for (const when of [
      'before',
      'while names are looked up',
      'while a socket is connected',
      'while it becomes usable',
    ] as const) {
      it(`an abort ${when} rejects with its reason and closes everything`, async () => {
        const given = new AbortController()
        const silent = await peer()
        dns.misdeeds['h.example'] = { drop: true }
        const port = when === 'while a socket is connected' ? await deafPort() : silent.port
        const host = when === 'while names are looked up' ? 'h.example' : '127.0.0.1'
        if (when === 'before') given.abort('stop')
        const dialed = start([[candidate(host, port)]], { signal: given.signal }).catch((reason: unknown) => reason)
        if (when === 'while names are looked up') await dns.askedTimes(2)
        if (when === 'while a socket is connected') await untilStarted(1)
        if (when === 'while it becomes usable') await silent.until(({ sockets }) => sockets.length === 1)
        given.abort('stop')
        expect(await dialed).to.equal('stop')
        if (when === 'while it becomes usable') await silent.until(({ closed }) => closed === 1)
        while (clock.waiting > 0) await settle()
      })
    }
  })

  describe('failures', () => {
    it('the one that came furthest is told', async () => {
      const closing = await peer()
      dns.zone['h.example'] = { A: ['127.0.0.1'] }
      const dead = candidate('h.example', await deadPort())
      const gone = candidate('gone.example', 5269)
      expect((await failureOf(start([[gone]]))).failure).to.include({ kind: 'dns', detail: 'no-address' })
      expect((await failureOf(start([[gone, dead]]))).failure).to.include({ kind: 'tcp', detail: 'refused' })
      const error = failureOf(start([[candidate('h.example', closing.port), dead, gone]]))
      await closing.until(({ sockets }) => sockets.length === 1)
      closing.sockets[0]?.destroy()
      const { failure, target } = await error
      expect(failure).to.include({ kind: 'open', detail: 'failed' })
      expect(failure.cause).to.have.property('message', 'closed before a greeting')
      expect(target?.port).to.equal(closing.port)
    })

    it('DNS that fails is told apart from no address', async () => {
      dns.misdeeds['h.example'] = { rcode: 2 }
      expect((await failureOf(start([[candidate('h.example', 5269)]]))).failure).to.include({
        kind: 'dns',
        detail: 'servfail',
      })
    })

    it('no candidates at all', async () => {
      expect((await failureOf(start([]))).failure).to.include({ kind: 'dns', detail: 'no-address' })
    })
  })

  describe('forbidden targets', () => {
    it('private addresses from DNS are not dialed, and the error names the setting', async () => {
      const north = await peer('hello')
      settings.privateTargets = false
      dns.zone['h.example'] = { A: ['127.0.0.1', '10.0.0.1', '169.254.169.254'], AAAA: ['::1', '::ffff:127.0.0.1'] }
      const error = await failureOf(start([[candidate('h.example', north.port)]]))
      expect(error.failure).to.include({ kind: 'tcp', detail: 'forbidden-target' })
      expect(error.message).to.contain('xmpp.server.private-targets')
      expect(started()).to.deep.equal([])
    })

    it('what configuration names may be private', async () => {
      const north = await peer('hello')
      settings.privateTargets = false
      await start([[candidate('127.0.0.1', north.port, { isConfigured: true })]])
    })

    it('our own listeners are never dialed', async () => {
      const own = await peer('hello')
      const forbidden = (address: string, port: number): boolean => address === '127.0.0.1' && port === own.port
      const configured = candidate('127.0.0.1', own.port, { isConfigured: true })
      expect((await failureOf(start([[configured]], { forbidden }))).failure.detail).to.equal('forbidden-target')
      await settle()
      expect(own.sockets).to.deep.equal([])
    })
  })

  describe('bounds', () => {
    it('32 addresses', async () => {
      const port = await deadPort()
      const addresses = (net: number): string[] => Array.from({ length: 16 }, (_, i) => `127.0.${net}.${i + 1}`)
      for (const net of [1, 2, 3]) dns.zone[`h${net}.example`] = { A: addresses(net) }
      await failureOf(start([[1, 2, 3].map(net => candidate(`h${net}.example`, port))]))
      expect(started()).to.have.length(32)
      expect(trace.steps.some(({ step }) => step === 'dial.ignored')).to.equal(true)
    })

    it('16 questions', async () => {
      const hosts = Array.from({ length: 16 }, (_, i) => candidate(`h${i}.example`, 5269))
      await failureOf(start([hosts]))
      expect(dns.asked).to.have.length(16)
    })
  })
})
