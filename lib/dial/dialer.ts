import { setMaxListeners } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import type { Clock } from '../base/clock.js'
import type { Trace } from '../base/trace.js'
import { AddressList } from './address-list.js'
import type { Candidate } from './candidates.js'
import { addressFailure, DialError, type DialFailure, saysMore, tcpFailure } from './dial-error.js'
import type { DialSettings, DialTarget } from './dial-target.js'
import { isForbiddenName, isForbiddenTarget } from './forbidden-targets.js'
import { proxyPlace, type SocksProxy } from './proxy.js'
import type { Resolver } from './resolver.js'
import { connectThrough, SocksError } from './socks5.js'

export interface DialOptions<T> {
  /** By priority, each in the order to be tried. */
  readonly groups: readonly (readonly Candidate[])[]
  readonly resolver: Resolver
  readonly settings: DialSettings
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly trace: Trace
  /** What every connection goes through; it gets the names of candidates, so that no address is asked for. */
  readonly proxy?: SocksProxy | undefined
  /** When the attempt started, by `clock`; the search for candidates counts towards its time. Now, unless given. */
  readonly startedAt?: number
  /**
   * Makes a connected socket usable; rejects when it cannot. Must settle when the socket closes or `signal` aborts
   * (the race is lost), and has a deadline of its own. A socket that goes through a proxy comes paused.
   */
  readonly open: (socket: Socket, target: DialTarget, signal: AbortSignal) => Promise<T>
  /** Whether an error of `open` ends the whole attempt instead of giving way to the next candidate. */
  readonly isFinal?: (error: unknown) => boolean
  /** Most addresses that are dialed; 32 unless given. */
  readonly mostAddresses?: number
  /** Further targets that are never dialed: our own listeners. */
  readonly forbidden?: (address: string, port: number) => boolean
}

/** A usable candidate. */
export interface Dialed<T> {
  readonly value: T
  readonly target: DialTarget
}

/** A connected candidate holds up the race for so long while it becomes usable. */
const HOLD_MS = 1000
/** The next priority starts so long after the last address of the one before was started. */
const NEXT_GROUP_MS = 2000

/**
 * Happy Eyeballs (RFC 8305) over all candidates of a domain: one socket more every attempt delay, at once when one fails;
 * the first that becomes usable is kept, the others are destroyed.
 * Rejects with a `DialError`, or with the reason of `signal` when that aborts.
 */
export async function dial<T>(options: DialOptions<T>): Promise<Dialed<T>> {
  options.signal.throwIfAborted()
  return await new Race(options).run()
}

interface Runner {
  readonly target: DialTarget
  readonly socket: Socket
  readonly controller: AbortController
  cancelTimeout: () => void
  connectedAt: number | undefined
  /** Where the socket leads until the proxy has let us in. */
  proxy: SocksProxy | undefined
  readonly source: string | undefined
}

class Race<T> {
  readonly #options: DialOptions<T>
  readonly #addresses: AddressList
  readonly #runners = new Set<Runner>()
  readonly #lookups = new AbortController()
  readonly #reachBy: number
  #settle: ((error: unknown, won?: Dialed<T>) => void) | undefined
  #nextGroup = 0
  #lastStart: number
  /** No further socket is opened before this time. */
  #mayStartAt: number
  #cancelWake: () => void = () => {}
  #isPumping = false
  #worst: { readonly failure: DialFailure; readonly target: DialTarget | undefined } | undefined

  constructor(options: DialOptions<T>) {
    const { clock, settings, resolver, trace } = options
    this.#options = options
    this.#lastStart = this.#mayStartAt = clock.now()
    // Every question listens to it; their number is bounded by the list of addresses.
    setMaxListeners(0, this.#lookups.signal)
    this.#reachBy = (options.startedAt ?? clock.now()) + settings.resolutionTimeoutMs
    this.#addresses = new AddressList({
      resolver,
      clock,
      trace,
      signal: this.#lookups.signal,
      resolutionDelayMs: () => settings.resolutionDelayMs,
      takesNames: options.proxy !== undefined,
      most: options.mostAddresses,
      onNews: () => this.#pump(),
      onFailure: failure => this.#remember(failure, undefined),
    })
  }

  run(): Promise<Dialed<T>> {
    const { signal } = this.#options
    return new Promise((resolve, reject) => {
      const abort = (): void => this.#settle?.(signal.reason)
      this.#settle = (error, won) => {
        this.#settle = undefined
        signal.removeEventListener('abort', abort)
        this.#stop()
        if (won === undefined) reject(error)
        else resolve(won)
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#pump()
    })
  }

  /** Does everything that is due now, and sees to it that it is called again when the next thing is. */
  #pump(): void {
    if (this.#settle === undefined || this.#isPumping) return
    this.#isPumping = true
    this.#cancelWake()
    const wakeAt = this.#advance()
    this.#isPumping = false
    if (this.#settle === undefined) return
    const now = this.#options.clock.now()
    this.#cancelWake =
      wakeAt === undefined ? () => {} : this.#options.clock.after(Math.max(0, wakeAt - now), () => this.#pump())
  }

  /** Returns when time alone will make something due; undefined when only a socket can. */
  #advance(): number | undefined {
    const { clock, settings } = this.#options
    for (;;) {
      if (this.#settle === undefined) return undefined
      const now = clock.now()
      if (now >= this.#reachBy) return this.#stopReaching()
      const mayStartAt = Math.max(this.#mayStartAt, this.#heldUntil())
      if (now < mayStartAt) return Math.min(mayStartAt, this.#reachBy)
      if (this.#runners.size >= settings.maxWorkers) return this.#reachBy
      const next = this.#addresses.next()
      if (next !== undefined && 'address' in next) this.#start(next)
      else if (!this.#startNextGroup(now)) {
        if (this.#isOver()) return this.#fail()
        const groupAt = this.#nextGroup < this.#options.groups.length ? this.#lastStart + NEXT_GROUP_MS : this.#reachBy
        return Math.min(next?.waitUntil ?? groupAt, groupAt, this.#reachBy)
      }
    }
  }

  #heldUntil(): number {
    let until = Number.NEGATIVE_INFINITY
    for (const { connectedAt } of this.#runners) {
      if (connectedAt !== undefined) until = Math.max(until, connectedAt + HOLD_MS)
    }
    return until
  }

  #startNextGroup(now: number): boolean {
    const group = this.#options.groups[this.#nextGroup]
    if (group === undefined) return false
    const isFirst = this.#nextGroup === 0
    if (!isFirst && !this.#isIdle() && now < this.#lastStart + NEXT_GROUP_MS) return false
    this.#options.trace.note('dial.group', { priority: group[0]?.priority })
    this.#nextGroup++
    this.#lastStart = now
    this.#addresses.add(group)
    return true
  }

  #isIdle(): boolean {
    return this.#runners.size === 0 && this.#addresses.isExhausted
  }

  #isOver(): boolean {
    return this.#isIdle() && this.#nextGroup >= this.#options.groups.length
  }

  #start(target: DialTarget): void {
    const { clock, settings, trace, proxy } = this.#options
    const { address, port } = target
    const because = this.#whyForbidden(target)
    if (because !== undefined) {
      const text = `${address} port ${port}: ${because}`
      this.#remember({ kind: 'tcp', detail: 'forbidden-target', text }, target)
      return
    }
    const now = clock.now()
    const through = proxy === undefined ? {} : { proxy: proxyPlace(proxy) }
    const source = sourceFor(proxy?.host ?? address, settings.sourceAddresses)
    const { host, transport } = target.candidate
    trace.note('tcp.start', { host, transport, address, port, ...through, ...(source && { source }) })
    trace.waitFor(`TCP: ${address} port ${port}${proxy === undefined ? '' : ` through the proxy ${proxyPlace(proxy)}`}`)
    this.#lastStart = now
    this.#mayStartAt = now + settings.attemptDelayMs
    const socket = connect({
      host: proxy?.host ?? address,
      port: proxy?.port ?? port,
      family: isIP(source ?? ''),
      autoSelectFamily: proxy !== undefined,
      ...(source !== undefined && { localAddress: source }),
    })
    const { readTimeoutMs } = settings
    const runner: Runner = {
      target,
      socket,
      controller: new AbortController(),
      cancelTimeout: clock.after(readTimeoutMs, () => this.#drop(runner, timedOut(readTimeoutMs, runner.proxy))),
      connectedAt: undefined,
      proxy,
      source,
    }
    this.#runners.add(runner)
    // Stays for ever: a reset between this race and the new owner's listeners must not end the process.
    socket.on('error', error => {
      if (runner.connectedAt === undefined) this.#drop(runner, connectFailure(error, runner))
    })
    socket.once('connect', () => void (proxy === undefined ? this.#open(runner) : this.#openThrough(proxy, runner)))
  }

  async #openThrough(proxy: SocksProxy, runner: Runner): Promise<void> {
    const { socket, target } = runner
    const place = proxyPlace(proxy)
    this.#options.trace.note('proxy.connected', { proxy: place })
    try {
      await connectThrough(socket, proxy, target.address, target.port, () => {
        runner.proxy = undefined
        this.#options.trace.note('proxy.asked', { proxy: place, address: target.address, port: target.port })
      })
    } catch (cause) {
      const { detail, message } = cause instanceof SocksError ? cause : new SocksError('reset', String(cause))
      const text = `the proxy ${place} (xmpp.server.proxy) ${message}`
      this.#drop(runner, { kind: 'tcp', detail, text, cause, isOurs: runner.proxy !== undefined })
      return
    }
    await this.#open(runner)
  }

  async #open(runner: Runner): Promise<void> {
    const { clock, trace, open, isFinal } = this.#options
    const { target, socket, controller } = runner
    if (!this.#runners.has(runner)) return
    runner.cancelTimeout()
    runner.connectedAt = clock.now()
    socket.setNoDelay(true)
    trace.note('tcp.connected', { address: target.address, port: target.port })
    this.#pump()
    try {
      const value = await open(socket, target, controller.signal)
      if (!this.#runners.delete(runner)) return
      trace.note('dial.won', { address: target.address, port: target.port })
      this.#settle?.(undefined, { value, target })
    } catch (cause) {
      const detail = isFinal?.(cause) === true ? 'final' : 'failed'
      const text = cause instanceof Error ? cause.message : String(cause)
      this.#drop(runner, { kind: 'open', detail, text, cause })
    }
  }

  #whyForbidden({ address, port, candidate }: DialTarget): string | undefined {
    const { settings, forbidden } = this.#options
    const isName = isIP(address) === 0
    if (!isName && forbidden?.(address, port) === true) return 'leads back to this server'
    if (settings.privateTargets || candidate.isConfigured) return undefined
    const isForbidden = isName ? isForbiddenName(address) : isForbiddenTarget(address)
    return isForbidden ? 'not public, and xmpp.server.private-targets is off' : undefined
  }

  /** A socket failed: the next one may start at once. */
  #drop(runner: Runner, failure: DialFailure): void {
    if (!this.#runners.delete(runner)) return
    end(runner)
    this.#remember(failure, runner.target)
    this.#mayStartAt = this.#options.clock.now()
    if (failure.detail === 'final') this.#fail()
    else this.#pump()
  }

  #remember(failure: DialFailure, target: DialTarget | undefined): void {
    const { kind, detail, text } = failure
    this.#options.trace.note('dial.failed', { kind, detail, text, address: target?.address, port: target?.port })
    if (this.#worst === undefined || saysMore(failure, this.#worst.failure)) this.#worst = { failure, target }
  }

  /** The time to reach anybody is over; what is connected may still become usable. */
  #stopReaching(): undefined {
    this.#lookups.abort()
    for (const runner of [...this.#runners]) {
      if (runner.connectedAt !== undefined) continue
      this.#drop(runner, timedOut(this.#options.settings.resolutionTimeoutMs, runner.proxy))
    }
    if (this.#runners.size > 0) return
    const text = 'the time to reach a server was over'
    if (!this.#addresses.isExhausted) this.#remember({ kind: 'dns', detail: 'timeout', text }, undefined)
    this.#fail()
  }

  #fail(): undefined {
    const { failure, target } = this.#worst ?? { failure: addressFailure('the domain', undefined), target: undefined }
    this.#settle?.(new DialError(failure, target))
  }

  #stop(): void {
    this.#cancelWake()
    this.#lookups.abort()
    for (const runner of this.#runners) end(runner)
    this.#runners.clear()
  }
}

function end(runner: Runner): void {
  runner.cancelTimeout()
  runner.controller.abort(new Error('another candidate is used, or none'))
  runner.socket.destroy()
}

/** `proxy` is where it was waited for when the proxy had not let us in yet. */
function timedOut(ms: number, proxy: SocksProxy | undefined): DialFailure {
  const within = `within ${Math.round(ms)} ms`
  if (proxy === undefined) return { kind: 'tcp', detail: 'timeout', text: `no connection ${within}` }
  const text = `the proxy ${proxyPlace(proxy)} (xmpp.server.proxy) did not let us in ${within}`
  return { kind: 'tcp', detail: 'timeout', text, isOurs: true }
}

function connectFailure(error: NodeJS.ErrnoException, { proxy, source }: Runner): DialFailure {
  const failure = tcpFailure(error)
  if (source !== undefined && (error.syscall === 'bind' || error.code === 'EADDRNOTAVAIL'))
    return { ...failure, text: `${failure.text}: dialing from ${source} (xmpp.server.source-address)`, isOurs: true }
  if (proxy === undefined) return failure
  return { ...failure, text: `${failure.text}: the proxy ${proxyPlace(proxy)} (xmpp.server.proxy)`, isOurs: true }
}

/** The address to dial `host` from; where a name is resolved, the first one listed says of which family its address is. */
function sourceFor(host: string, sources: readonly string[]): string | undefined {
  const family = isIP(host)
  return sources.find(source => family === 0 || isIP(source) === family)
}
