import type { Trace } from '../base/trace.js'
import type { Proof } from '../negotiation/rules.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import type { Congestion, Refusal, Refused, Route } from '../stanza/route.js'
import type { Stanza } from '../stanza/stanza.js'
import {
  consequenceOf,
  describeEnd,
  type EndReason,
  endReasonOf,
  refusalOf,
  type Side,
  StreamEnd,
} from '../stream/end-reason.js'
import type { Backoff, Rest } from './backoff.js'
import type { SessionContext } from './context.js'
import type { Carried, OutgoingStream } from './outgoing-stream.js'
import { PairQueue } from './pair-queue.js'
import type { QueueBudget } from './queue-budget.js'

export type OutgoingState = 'idle' | 'connecting' | 'established' | 'resting' | 'closed'

/** Every move of a session; any other is a mistake of ours. */
const MOVES: Readonly<Record<OutgoingState, readonly OutgoingState[]>> = {
  idle: ['connecting', 'resting', 'closed'],
  connecting: ['established', 'resting', 'idle', 'closed'],
  established: ['idle', 'closed'],
  resting: ['connecting', 'idle', 'closed'],
  closed: [],
}

/** Bounces of one failed attempt are made in slices, so that a long queue does not hold up everybody else. */
const REFUSED_PER_TURN = 200
const MOST_TRACES = 5
const TOO_LARGE: EndReason = { kind: 'size', detail: 'too-large' }

/** One ended attempt, kept to be explained. */
export interface AttemptRecord {
  readonly at: Date
  readonly outcome: string
  readonly mends: Side
  readonly trace: Trace
}

export interface OutgoingSessionHooks {
  /** Makes a stream that has proven the pair; rejects with whatever ended the attempt. */
  attempt(pair: DomainPair, trace: Trace, signal: AbortSignal): Promise<readonly [OutgoingStream, Proof]>
  newTrace(): Trace
  /** What all sessions share. */
  readonly budget: QueueBudget
  /** Puts the pair into the routing table; the result withdraws it. */
  publish(pair: DomainPair, route: Route, proof: Proof, stream: OutgoingStream): () => void
  /** A stanza that this session owned has been answered with an error. */
  refused(count: number): void
}

/** What goes from one local to one remote domain: one queue, one attempt at a time, one stream, a rest after failure. */
export class OutgoingSession implements Route, Carried {
  readonly pair: DomainPair
  readonly attempts: AttemptRecord[] = []
  readonly #context: SessionContext
  readonly #hooks: OutgoingSessionHooks
  readonly #backoff: Backoff
  readonly #queue: PairQueue
  #state: OutgoingState = 'idle'
  #stream: OutgoingStream | undefined
  #proof: Proof | undefined
  #withdraw: (() => void) | undefined
  #aborter: AbortController | undefined
  #cancelRest: (() => void) | undefined

  constructor(pair: DomainPair, context: SessionContext, backoff: Backoff, hooks: OutgoingSessionHooks) {
    this.pair = pair
    this.#context = context
    this.#backoff = backoff
    this.#hooks = hooks
    const limits = (): { count: number; bytes: number } => ({
      count: context.settings.queueStanzas,
      bytes: context.settings.queueBytes,
    })
    this.#queue = new PairQueue(limits, hooks.budget)
  }

  get state(): OutgoingState {
    return this.#state
  }

  get stream(): OutgoingStream | undefined {
    return this.#stream
  }

  get proof(): Proof | undefined {
    return this.#proof
  }

  get waiting(): number {
    return this.#queue.length
  }

  get waitingBytes(): number {
    return this.#queue.bytes
  }

  /** The local accounts of which something waits that is not an error. */
  get senders(): ReadonlyMap<string, number> {
    return this.#queue.senders
  }

  /** For how long the oldest of what waits has been waiting; 0 when nothing does. */
  get oldestMs(): number {
    const { first } = this.#queue
    return first === undefined ? 0 : this.#context.clock.now() - first.since
  }

  /** Nothing waits and nothing is connected or being connected: only history would be lost with it. */
  get spent(): boolean {
    return this.#queue.length === 0 && (this.#state === 'idle' || this.#state === 'resting')
  }

  get rest(): Rest | undefined {
    return this.#backoff.restOf(this.pair)
  }

  get congestion(): Congestion | undefined {
    return this.#stream?.congested === true ? this.#stream : undefined
  }

  deliver(stanza: Stanza, refused: Refused): Refusal | undefined {
    if (this.#stream !== undefined && this.#queue.length === 0 && !this.#stream.congested && this.#stream.usable) {
      if (this.#stream.exceeds(stanza)) return refusalOf(TOO_LARGE)
      this.#stream.write(stanza, refused)
      return undefined
    }
    if (this.#state === 'closed') return refusalOf({ kind: 'shutdown', detail: 'stopping' })
    if (this.#state === 'idle' || this.#state === 'resting') {
      const rest = this.rest
      const left = rest === undefined ? 0 : rest.until - this.#context.clock.now()
      if (rest !== undefined && left > this.#context.settings.initialiseTimeoutMs) return resting(rest.reason, left)
    }
    if (!this.#queue.push({ stanza, refused, since: this.#context.clock.now() }))
      return refusalOf({ kind: 'overload', detail: 'queue-full' })
    if (this.#state === 'idle' || this.#state === 'resting') this.#startWhenRested()
    return undefined
  }

  /** Tries again now, whatever rests. */
  retry(): void {
    if (this.#state === 'resting') this.#restOver()
  }

  /** The stream has room again: what had to wait goes first. */
  relieved(): void {
    this.#flush()
  }

  /** The stream is gone; what it had taken it answers itself, what still waits here gets a new attempt. */
  lost(reason: EndReason): void {
    if (this.#state !== 'established') return
    this.#withdraw?.()
    this.#stream = undefined
    this.#proof = undefined
    this.#move('idle')
    this.#context.log.info('pair-lost', {
      local: this.pair.local,
      remote: this.pair.remote,
      reason: describeEnd(reason),
    })
    if (this.#queue.length > 0) this.#startWhenRested()
  }

  /** Ends it for good: an attempt is given up, what waits is answered with `reason`. */
  close(reason: EndReason): void {
    if (this.#state === 'closed') return
    this.#withdraw?.()
    this.#move('closed')
    this.#cancelRest?.()
    this.#aborter?.abort(new Error('the session is closed'))
    this.#refuse(refusalOf(reason))
  }

  #move(to: OutgoingState): void {
    if (!MOVES[this.#state].includes(to))
      throw new Error(`outgoing session ${this.pair}: no way from ${this.#state} to ${to}`)
    this.#state = to
  }

  #startWhenRested(): void {
    const rest = this.rest
    if (rest === undefined) return void this.#connect()
    if (this.#state === 'resting') return
    this.#restUntil(rest)
  }

  #restUntil(rest: Rest): void {
    if (this.#state === 'idle') this.#move('resting')
    this.#cancelRest?.()
    this.#cancelRest = this.#context.clock.after(Math.max(0, rest.until - this.#context.clock.now()), () => {
      // Another pair of the domain may have failed meanwhile.
      const later = this.rest
      if (later === undefined) this.#restOver()
      else this.#restUntil(later)
    })
  }

  #restOver(): void {
    this.#cancelRest?.()
    this.#cancelRest = undefined
    if (this.#queue.length > 0) return void this.#connect()
    this.#move('idle')
  }

  async #connect(): Promise<void> {
    this.#cancelRest?.()
    this.#cancelRest = undefined
    this.#move('connecting')
    this.#aborter = new AbortController()
    const trace = this.#hooks.newTrace()
    try {
      const [stream, proof] = await this.#hooks.attempt(this.pair, trace, this.#aborter.signal)
      if ((this.#state as OutgoingState) === 'closed')
        return stream.closeUnlessUsed({ kind: 'shutdown', detail: 'stopping' })
      const { end } = stream.stream
      // A peer that ends the stream together with its yes has refused us: without a rest it would be dialed without a pause.
      if (end !== undefined) throw new StreamEnd(end.kind, end.detail, end.text)
      this.#record(trace, `established by ${proof}`, 'nobody')
      this.#establish(stream, proof)
    } catch (error) {
      if ((this.#state as OutgoingState) !== 'closed') this.#failed(endReasonOf(error), trace, error)
    }
  }

  #establish(stream: OutgoingStream, proof: Proof): void {
    this.#move('established')
    this.#stream = stream
    this.#proof = proof
    this.#backoff.clear(this.pair.remote)
    stream.carry(this.pair, proof, this)
    this.#withdraw = this.#hooks.publish(this.pair, this, proof, stream)
    const tls = stream.stream.transport.tls
    stream.log.info('s2s-out-established', {
      local: this.pair.local,
      remote: this.pair.remote,
      proof,
      tls: tls?.protocol,
      cipher: tls?.cipher,
      address: stream.stream.transport.addresses.remoteAddress,
    })
    this.#flush()
    if (!stream.usable) this.lost({ kind: 'stream', detail: 'closed' })
  }

  #flush(): void {
    while (this.#stream?.usable === true && !this.#stream.congested) {
      const next = this.#queue.shift()
      if (next === undefined) return
      if (this.#stream.exceeds(next.stanza)) {
        this.#hooks.refused(1)
        next.refused(next.stanza, refusalOf(TOO_LARGE))
      } else this.#stream.write(next.stanza, next.refused)
    }
  }

  #failed(reason: EndReason, trace: Trace, error: unknown): void {
    const { mends } = consequenceOf(reason)
    const rest = this.#backoff.failed(this.pair, reason)
    this.#record(trace, describeEnd(reason), mends)
    const level = reason.kind === 'internal' ? 'error' : 'warn'
    this.#context.log[level]('s2s-out-failed', {
      local: this.pair.local,
      remote: this.pair.remote,
      reason: describeEnd(reason),
      mends,
      nextTryMs: rest === undefined ? 0 : Math.round(rest.until - this.#context.clock.now()),
      ...(reason.kind === 'internal' && error instanceof Error && { stack: error.stack }),
    })
    this.#move(rest === undefined ? 'idle' : 'resting')
    if (rest !== undefined) this.#restUntil(rest)
    this.#refuse(refusalOf(reason))
  }

  #record(trace: Trace, outcome: string, mends: Side): void {
    this.attempts.push({ at: this.#context.clock.date(), outcome, mends, trace })
    if (this.attempts.length > MOST_TRACES) this.attempts.shift()
  }

  #refuse(refusal: Refusal): void {
    const waiting = this.#queue.takeAll()
    let next = 0
    const slice = (): void => {
      // At the end of a session there may be no later turn in which its senders are still there.
      const end = this.#state === 'closed' ? waiting.length : Math.min(next + REFUSED_PER_TURN, waiting.length)
      this.#hooks.refused(end - next)
      for (; next < end; next++) waiting[next]!.refused(waiting[next]!.stanza, refusal)
      if (next < waiting.length) setImmediate(slice)
    }
    slice()
  }
}

function resting(reason: EndReason, leftMs: number): Refusal {
  const refusal = refusalOf(reason)
  return { ...refusal, text: `${refusal.text}; the next try is due in ${Math.ceil(leftMs / 1000)} s` }
}
