import { setMaxListeners } from 'node:events'
import { LRUCache } from 'lru-cache'
import { Deadline, untilAborted } from '../base/deadline.js'
import { Trace } from '../base/trace.js'
import type { SecuredStream } from '../negotiation/initiate.js'
import type { Proof, Rules } from '../negotiation/rules.js'
import { DomainPair } from '../stanza/domain-pair.js'
import type { Refusal, Refused, Route } from '../stanza/route.js'
import type { Stanza } from '../stanza/stanza.js'
import { type EndReason, refusalOf, StreamEnd } from '../stream/end-reason.js'
import type { XmlStream } from '../stream/xml-stream.js'
import { type AttemptOptions, attempt, reach } from './attempt.js'
import { AttemptTurns } from './attempt-turns.js'
import { Backoff } from './backoff.js'
import type { Connect } from './connect.js'
import type { SessionContext } from './context.js'
import { unmetDemand } from './demands.js'
import type { LeadsTo } from './dns-evidence.js'
import type { VerifyOutcome } from './incoming-dialback.js'
import { KeyVerifier } from './key-verifier.js'
import { type OutgoingRow, rowOf } from './outgoing-row.js'
import { OutgoingSession } from './outgoing-session.js'
import { OutgoingStream } from './outgoing-stream.js'
import { QueueBudget } from './queue-budget.js'
import { unreachableName } from './remote-name.js'
import { extendStream } from './reuse.js'

/** Pairs in use at once; names come from strangers. */
const MOST_SESSIONS = 10_000
/** Above so many, a pair that is not in use is forgotten, with its history, for each new one. */
const KEPT_SESSIONS = 1000
const PROVEN_MEMORY = 10_000
const PROVEN_LATELY_MS = 30 * 24 * 3600 * 1000
/** Addresses that are dialed because a stranger gave a key; an attempt of our own dials more. */
const MOST_ADDRESSES_FOR_KEYS = 4

export interface OutgoingSessionsOptions {
  readonly context: SessionContext
  readonly connect: Connect
  /** Whether `dns.override`, a rule or the proxy leads to this domain, so that it need not be a usable public name. */
  readonly isRouted: (domain: string) => boolean
  readonly leadsTo: LeadsTo
  /** Whether one live incoming stream has proven both remote domains. */
  readonly provenTogether: (one: string, other: string) => boolean
  readonly publish: (pair: DomainPair, route: Route, proof: Proof, stream: OutgoingStream) => () => void
  readonly random?: () => number
}

/** Every stanza that was accepted here is in exactly one of these: accepted = delivered + refused + waiting. */
export interface OutgoingCounters {
  accepted: number
  delivered: number
  refused: number
}

/** What an attempt apart from all sessions is made with. */
export interface ProbeAttempt {
  readonly trace: Trace
  readonly signal: AbortSignal
  /** False: dialback is not asked for, as nobody here would confirm a key. */
  readonly dialback: boolean
}

/** All outgoing sessions, by domain pair; also the way to the authoritative server of a domain. */
export class OutgoingSessions {
  readonly counters: OutgoingCounters = { accepted: 0, delivered: 0, refused: 0 }
  readonly #options: OutgoingSessionsOptions
  readonly #context: SessionContext
  readonly #backoff: Backoff
  readonly #turns: AttemptTurns
  readonly #budget: QueueBudget
  readonly #sessions = new Map<string, OutgoingSession>()
  readonly #streams = new Set<OutgoingStream>()
  readonly #verifier: KeyVerifier
  readonly #proven = new LRUCache<string, number>({ max: PROVEN_MEMORY })
  readonly #stopping = new AbortController()
  #lastTag = 0

  constructor(options: OutgoingSessionsOptions) {
    this.#options = options
    // Every attempt and question under way listens to it.
    setMaxListeners(0, this.#stopping.signal)
    this.#context = options.context
    this.#backoff = new Backoff(options.context.clock, options.context.settings, options.random)
    const { clock, settings } = options.context
    this.#turns = new AttemptTurns(
      clock,
      () => settings.maxAttempts,
      remote => this.#provenLately(remote),
    )
    this.#budget = new QueueBudget(() => settings.queueBytesTotal)
    this.#verifier = new KeyVerifier({
      context: options.context,
      newTrace: pair => this.#newTrace(pair),
      liveStreamTo: remote => this.#liveStreamTo(remote),
      reach: (pair, rules, trace, signal) =>
        reach({ ...this.#attemptOptions(pair, rules, trace, signal), mostAddresses: MOST_ADDRESSES_FOR_KEYS }),
      heardFrom: remote => this.heardFrom(remote),
      isRouted: options.isRouted,
      stopping: this.#stopping.signal,
      random: options.random,
    })
  }

  /** Takes a stanza for a pair that no route in the table carries yet. */
  deliver(stanza: Stanza, refused: Refused): Refusal | undefined {
    const local = stanza.from!.domain
    const remote = stanza.to!.domain
    const pair = new DomainPair(local, remote)
    const session = this.#sessions.get(pair.key) ?? this.#open(pair)
    if (session instanceof OutgoingSession) {
      const senders = session.senders.size
      const refusal = session.deliver(stanza, refused)
      if (refusal === undefined) this.counters.accepted++
      if (session.senders.size > senders) this.#turns.reconsider(pair)
      return refusal
    }
    return refusalOf(session)
  }

  /** Why there can be no attempt (first rows of the decision tree). */
  #whyNone(pair: DomainPair): EndReason | undefined {
    if (this.#stopping.signal.aborted) return { kind: 'shutdown', detail: 'stopping' }
    const unreachable = unreachableName(pair.remote, this.#options.isRouted)
    if (unreachable !== undefined) return unreachable
    if (this.#context.domainState(pair.remote) === 'served') return { kind: 'address', detail: 'loop' }
    const gate = this.#context.gate(pair.local, pair.remote, 'outgoing')
    return 'refused' in gate ? gate.refused : undefined
  }

  /** The pair's session, or why there can be none. */
  #open(pair: DomainPair): OutgoingSession | EndReason {
    const reason = this.#whyNone(pair)
    if (reason !== undefined) return reason
    if (this.#sessions.size >= KEPT_SESSIONS) this.#forgetOne()
    if (this.#sessions.size >= MOST_SESSIONS) return { kind: 'overload', detail: 'too-many-pairs' }
    const session = new OutgoingSession(pair, this.#context, this.#backoff, {
      attempt: (_, trace, signal) => this.#attempt(pair, trace, signal),
      newTrace: () => this.#newTrace(pair),
      budget: this.#budget,
      publish: (_, route, proof, stream) => {
        this.heardFrom(pair.remote)
        return this.#options.publish(pair, this.#counted(route), proof, stream)
      },
      refused: count => {
        this.counters.refused += count
      },
    })
    this.#sessions.set(pair.key, session)
    return session
  }

  #newTrace(pair: DomainPair): Trace {
    const { clock, log } = this.#context
    return new Trace(clock, ({ step, facts, atMs }) => {
      log.debug('s2s-out-step', { local: pair.local, remote: pair.remote, step, atMs, facts })
    })
  }

  #forgetOne(): void {
    for (const [key, session] of this.#sessions) {
      if (!session.spent) continue
      session.close({ kind: 'idle', detail: 'forgotten' })
      this.#sessions.delete(key)
      return
    }
  }

  #counted(route: Route): Route {
    const { counters } = this
    return {
      deliver(stanza, refused) {
        const refusal = route.deliver(stanza, refused)
        if (refusal === undefined) counters.accepted++
        return refusal
      },
      get congestion() {
        return route.congestion
      },
    }
  }

  /**
   * One attempt apart from the pair's session and its rests, on a connection of its own, for whoever wants to watch. The stream carries
   * nothing and is to be closed by the caller. Rejects as the attempts of sessions do.
   */
  async probe(pair: DomainPair, { trace, signal, dialback }: ProbeAttempt): Promise<readonly [OutgoingStream, Proof]> {
    const reason = this.#whyNone(pair)
    if (reason !== undefined) throw new StreamEnd(reason.kind, reason.detail, reason.text)
    const either = AbortSignal.any([signal, this.#stopping.signal])
    const proven = await this.#attempt(pair, trace, either, { isApart: true, dialback })
    this.heardFrom(pair.remote)
    return proven
  }

  /** Hands a stanza to a stream of a probe; it is counted like any other. */
  writeApart(stream: OutgoingStream, stanza: Stanza, refused: Refused): void {
    this.counters.accepted++
    stream.write(stanza, refused)
  }

  async #attempt(
    pair: DomainPair,
    trace: Trace,
    signal: AbortSignal,
    { isApart = false, dialback = true } = {},
  ): Promise<readonly [OutgoingStream, Proof]> {
    const session = isApart ? undefined : this.#sessions.get(pair.key)
    const free = await this.#turns.take({ pair, senders: session && (() => session.senders) }, signal)
    const { clock, settings } = this.#context
    const total = settings.resolutionTimeoutMs + settings.initialiseTimeoutMs
    const deadline = new Deadline(clock, total, () => new StreamEnd('deadline', trace.waitingFor), signal)
    try {
      const gate = this.#context.gate(pair.local, pair.remote, 'outgoing')
      if ('refused' in gate) throw new StreamEnd(gate.refused.kind, gate.refused.detail, gate.refused.text)
      const rules = dialback ? gate.rules : { ...gate.rules, dialback }
      trace.note('rules', { ...rules })
      const spare = isApart ? undefined : this.#verifier.takeSpare(pair)
      if (spare !== undefined) trace.note('reuse', { stream: spare.tag })
      const extended =
        spare !== undefined || isApart
          ? undefined
          : await extendStream({
              context: this.#context,
              pair,
              rules,
              demanded: gate.proof,
              streams: this.#streams,
              leadsTo: this.#options.leadsTo,
              provenTogether: this.#options.provenTogether,
              trace,
              signal: deadline.signal,
            })
      const proven: readonly [OutgoingStream, Proof] =
        extended === undefined
          ? await attempt(this.#attemptOptions(pair, rules, trace, deadline.signal), spare)
          : [extended, 'dialback']
      const now = this.#context.gate(pair.local, pair.remote, 'outgoing')
      const [stream, proof] = proven
      const unmet = unmetDemand(now, stream, pair.remote, proof)
      if (unmet !== undefined) {
        if (stream.pairs.size === 0) stream.stream.fail('policy-violation')
        throw new StreamEnd(unmet.kind, unmet.detail, unmet.text)
      }
      return proven
    } finally {
      deadline.done()
      free()
    }
  }

  #attemptOptions(pair: DomainPair, rules: Rules, trace: Trace, signal: AbortSignal): AttemptOptions {
    return {
      context: this.#context,
      connect: this.#options.connect,
      pair,
      rules,
      trace,
      signal,
      provenLately: this.#provenLately(pair.remote),
      history: { tlsBegun: false },
      wrap: (stream, secured) => this.#wrap(pair.remote, stream, secured),
    }
  }

  #provenLately(remote: string): boolean {
    const provenAt = this.#proven.get(remote)
    return provenAt !== undefined && this.#context.clock.now() - provenAt < PROVEN_LATELY_MS
  }

  #wrap(remote: string, stream: XmlStream, secured: SecuredStream): OutgoingStream {
    this.#lastTag++
    const tag = `S2SO-${String(this.#lastTag).padStart(5, '0')}`
    const wrapped: OutgoingStream = new OutgoingStream(tag, remote, stream, secured, this.#context, {
      delivered: count => {
        this.counters.delivered += count
      },
      cut: count => {
        this.counters.refused += count
      },
      ended: () => this.#streams.delete(wrapped),
    })
    this.#streams.add(wrapped)
    return wrapped
  }

  /** See `KeyVerifier.verify`. */
  verify(...question: Parameters<KeyVerifier['verify']>): Promise<VerifyOutcome> {
    return this.#verifier.verify(...question)
  }

  #liveStreamTo(remote: string): OutgoingStream | undefined {
    for (const stream of this.#streams) {
      if (stream.remote === remote && stream.usable && stream.pairs.size > 0) return stream
    }
    return undefined
  }

  /** The domain has proven itself to us, or answered us: nothing about it rests any more. */
  heardFrom(remote: string): void {
    this.#proven.set(remote, this.#context.clock.now())
    this.#backoff.clear(remote)
    this.#verifier.heardFrom(remote)
    for (const session of this.#sessions.values()) if (session.pair.remote === remote) session.retry()
  }

  /** Applies changed policy or served domains to what is connected or under way. */
  reconsider(): void {
    // What was changed may have mended what failed.
    this.#backoff.clearAll()
    this.#verifier.reconsider()
    for (const session of [...this.#sessions.values()]) {
      const reason = this.#noLongerAllowed(session)
      if (reason === undefined) {
        session.retry()
        continue
      }
      const { stream } = session
      session.close(reason)
      stream?.release(session.pair, reason)
      this.#sessions.delete(session.pair.key)
    }
  }

  #noLongerAllowed({ pair, stream, proof }: OutgoingSession): EndReason | undefined {
    if (this.#context.domainState(pair.local) !== 'served') return { kind: 'policy', detail: 'domain-removed' }
    const gate = this.#context.gate(pair.local, pair.remote, 'outgoing')
    if (stream !== undefined) return unmetDemand(gate, stream, pair.remote, proof)
    return 'refused' in gate ? gate.refused : undefined
  }

  /** Stanzas in the queues of pairs. */
  get queued(): number {
    let count = 0
    for (const session of this.#sessions.values()) count += session.waiting
    return count
  }

  /** Stanzas that are ours to answer for: queued, or handed to a socket and not yet taken by the operating system. */
  get waiting(): number {
    let count = this.queued
    for (const stream of this.#streams) count += stream.underway
    return count
  }

  session(local: string, remote: string): OutgoingSession | undefined {
    return this.#sessions.get(new DomainPair(local, remote).key)
  }

  rows(): OutgoingRow[] {
    const now = this.#context.clock.now()
    return [...this.#sessions.values()].map(session => rowOf(session, now))
  }

  /** Ends one stream in order, by its tag; false when there is none. */
  close(tag: string): boolean {
    for (const stream of this.#streams) {
      if (stream.tag !== tag) continue
      stream.close({ kind: 'admin', detail: 'closed' })
      return true
    }
    return false
  }

  /** First part of the end: no more streams are opened, and what waits for one is answered. Those that live go on. */
  openNoMore(): void {
    this.#stopping.abort(new StreamEnd('shutdown', 'stopping'))
    for (const session of this.#sessions.values()) {
      if (session.state !== 'established') session.close({ kind: 'shutdown', detail: 'stopping' })
    }
  }

  /** Answers what waits, closes every stream in order; resolves when all are gone or `signal` aborts. */
  async stop(signal: AbortSignal): Promise<void> {
    const reason: EndReason = { kind: 'shutdown', detail: 'stopping' }
    this.openNoMore()
    for (const session of this.#sessions.values()) session.close(reason)
    const ends = [...this.#streams].map(stream => stream.finished)
    for (const stream of this.#streams) stream.close(reason)
    await untilAborted(Promise.all(ends), signal).catch(() => {})
    for (const stream of this.#streams) stream.stream.abort(reason)
    this.#sessions.clear()
  }
}
