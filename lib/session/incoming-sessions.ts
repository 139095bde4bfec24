import type { Duplex } from 'node:stream'
import { networkOf } from '../base/network-of.js'
import type { Proof } from '../negotiation/rules.js'
import { TokenBuckets } from '../policy/token-buckets.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import type { EndReason } from '../stream/end-reason.js'
import { Transport, type TransportAddresses } from '../stream/transport.js'
import type { SessionContext } from './context.js'
import type { VerifyFrom } from './incoming-dialback.js'
import { type IncomingRow, IncomingSession } from './incoming-session.js'

/** Proven streams from one address; a large site may have many domains behind it. */
const MOST_PROVEN_PER_ADDRESS = 200

/** Addresses whose rate of new connections is remembered. */
const MOST_ADDRESSES = 10_000
/** How many times the rate of one address all may reach together. */
const ALL_TOGETHER = 10

export interface IncomingSessionsOptions {
  readonly context: SessionContext
  readonly verify: VerifyFrom
  readonly proven: (pair: DomainPair, proof: Proof) => void
}

/** All streams that peers have opened to us. Streams that have proven nothing have limits of their own, so that they never crowd out the others. */
export class IncomingSessions {
  readonly #options: IncomingSessionsOptions
  readonly #sessions = new Map<string, IncomingSession>()
  #lastTag = 0
  #stopping = false
  readonly #rates = new TokenBuckets(MOST_ADDRESSES)
  refusedConnections = 0

  constructor(options: IncomingSessionsOptions) {
    this.#options = options
  }

  /** Takes a connected socket of a listener of either kind; one too many is closed without a byte. */
  accept(socket: Duplex, addresses: TransportAddresses, kind: 'starttls' | 'tls' = 'starttls'): void {
    const { context, verify, proven } = this.#options
    if (this.#stopping || !this.#isSlowEnough(addresses.remoteAddress) || !this.#hasRoom(addresses.remoteAddress)) {
      this.refusedConnections++
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    this.#lastTag++
    const tag = `S2SI-${String(this.#lastTag).padStart(5, '0')}`
    const transport = new Transport(socket, {
      clock: context.clock,
      addresses,
      writeTimeoutMs: context.settings.writeTimeoutMs,
    })
    const place = addresses.remoteAddress === undefined ? '' : networkOf(addresses.remoteAddress)
    const session = new IncomingSession(tag, transport, context, {
      verify: (pair, streamId, key, signal) => verify(pair, streamId, key, signal, place),
      proven,
      ended: () => this.#sessions.delete(tag),
    })
    this.#sessions.set(tag, session)
    if (kind === 'tls') session.encryptAtOnce()
  }

  /** An address that comes too often is turned away before everybody together comes too often. */
  #isSlowEnough(address: string | undefined): boolean {
    const { clock, settings } = this.#options.context
    const rate = settings.newConnections
    if (rate === undefined || address === undefined) return true
    const now = clock.now()
    const { perSecond, burst } = rate
    if (!this.#rates.take(networkOf(address), now, rate)) return false
    return this.#rates.take('', now, { perSecond: ALL_TOGETHER * perSecond, burst: ALL_TOGETHER * burst })
  }

  #hasRoom(address: string | undefined): boolean {
    const { streamsPerAddress, unauthenticatedStreams } = this.#options.context.settings
    const place = address === undefined ? undefined : networkOf(address)
    let unproven = 0
    let unprovenHere = 0
    let provenHere = 0
    for (const session of this.#sessions.values()) {
      const from = session.stream.transport.addresses.remoteAddress
      const here = place !== undefined && from !== undefined && networkOf(from) === place
      if (session.pairs.size > 0) provenHere += here ? 1 : 0
      else {
        unproven++
        unprovenHere += here ? 1 : 0
      }
    }
    return unproven < unauthenticatedStreams && unprovenHere < streamsPerAddress && provenHere < MOST_PROVEN_PER_ADDRESS
  }

  /** Applies changed policy or served domains to live streams. */
  reconsider(): void {
    for (const session of this.#sessions.values()) session.reconsider()
  }

  /** Whether one peer has proven both domains to us, on one stream that lives. */
  provenTogether(one: string, other: string): boolean {
    for (const { stream, pairs } of this.#sessions.values())
      if (stream.open && pairs.hasRemote(one) && pairs.hasRemote(other)) return true
    return false
  }

  get size(): number {
    return this.#sessions.size
  }

  rows(): IncomingRow[] {
    return [...this.#sessions.values()].map(session => session.row())
  }

  /** Ends one stream in order, by its tag; false when there is none. */
  close(tag: string, reason: EndReason = { kind: 'admin', detail: 'closed' }): boolean {
    const session = this.#sessions.get(tag)
    session?.close(reason)
    return session !== undefined
  }

  /** Ends every stream with `system-shutdown`; resolves when all are gone or `signal` aborts, which cuts the rest. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping = true
    const reason: EndReason = { kind: 'shutdown', detail: 'stopping' }
    const ends = [...this.#sessions.values()].map(session => session.finished)
    for (const session of this.#sessions.values()) session.close(reason)
    const cut = (): void => {
      for (const session of this.#sessions.values()) session.stream.abort(reason)
    }
    signal.addEventListener('abort', cut, { once: true })
    if (signal.aborted) cut()
    await Promise.all(ends)
    signal.removeEventListener('abort', cut)
  }
}
