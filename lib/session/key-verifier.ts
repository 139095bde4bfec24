import type { Clock } from '../base/clock.js'
import { Deadline, untilAborted } from '../base/deadline.js'
import { Slots } from '../base/slots.js'
import type { Trace } from '../base/trace.js'
import type { Rules } from '../negotiation/rules.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import { describeEnd, type EndReason, endReasonOf, StreamEnd } from '../stream/end-reason.js'
import { siteOf } from './attempt-turns.js'
import { Backoff } from './backoff.js'
import type { Gate, SessionContext } from './context.js'
import { unmetDemand } from './demands.js'
import type { VerifyOutcome } from './incoming-dialback.js'
import type { OutgoingStream } from './outgoing-stream.js'
import { unreachableName } from './remote-name.js'
import { VerificationLimits } from './verification-limits.js'

/** How long a stream that was opened to verify a key is kept for the pair that is usually wanted next. */
const SPARE_MS = 10_000
/** Streams being opened to verify keys at once. */
const MOST_OPENING = 64
/** A domain that could not be asked rests; but one that has come back is to get in soon, also before it proves itself otherwise. */
const LONGEST_REST_MS = 60_000

export interface KeyVerifierOptions {
  readonly context: SessionContext
  readonly newTrace: (pair: DomainPair) => Trace
  /** A live stream to the domain that has proven a pair already. */
  readonly liveStreamTo: (remote: string) => OutgoingStream | undefined
  /** Opens a stream as safe as the rules demand, which has proven nothing. */
  readonly reach: (pair: DomainPair, rules: Rules, trace: Trace, signal: AbortSignal) => Promise<OutgoingStream>
  readonly heardFrom: (remote: string) => void
  /** Whether something of ours leads to this domain, so that it need not be a usable public name. */
  readonly isRouted: (domain: string) => boolean
  /** Aborts when the service stops. */
  readonly stopping: AbortSignal
  readonly random?: (() => number) | undefined
}

interface Spare {
  readonly pair: DomainPair
  readonly stream: OutgoingStream
}

/** A stream that is being opened for those who wait for it; given up when nobody does any more. */
interface Opening {
  readonly stream: Promise<OutgoingStream>
  readonly aborter: AbortController
  askers: number
  /** Its turn has come: from now on it is the other side that is waited for. */
  begun: boolean
}

/** Has keys checked by the authoritative servers of other domains (XEP-0220 §2.2), over live streams or streams opened for it. */
export class KeyVerifier {
  readonly #options: KeyVerifierOptions
  /** Streams opened only to verify a key, by domain pair. */
  readonly #spares = new Map<string, Spare>()
  /** By remote domain: concurrent questions share one, whichever of our domains asks. */
  readonly #openings = new Map<string, Opening>()
  readonly #slots = new Slots(() => MOST_OPENING)
  readonly #limits: VerificationLimits
  /** Apart from the rests of our own attempts: what strangers have us try must not keep our stanzas waiting. */
  readonly #backoff: Backoff

  constructor(options: KeyVerifierOptions) {
    this.#options = options
    const { clock, settings } = options.context
    this.#limits = new VerificationLimits(clock)
    const rests = {
      get backoffInitialMs() {
        return Math.min(LONGEST_REST_MS, settings.backoffInitialMs)
      },
      get backoffMaxMs() {
        return Math.min(LONGEST_REST_MS, settings.backoffMaxMs)
      },
    }
    this.#backoff = new Backoff(clock, rests, options.random)
    options.stopping.addEventListener('abort', () => {
      for (const { aborter } of this.#openings.values()) aborter.abort(options.stopping.reason)
    })
  }

  /** `place` is where the question came from. Never rejects: what could not be asked is an error outcome. */
  async verify(
    pair: DomainPair,
    streamId: string,
    key: string,
    signal: AbortSignal,
    place: string,
  ): Promise<VerifyOutcome> {
    // The name is a stranger's: it must not make us knock at an address of its choice.
    if (unreachableName(pair.remote, this.#options.isRouted) !== undefined)
      return { kind: 'error', condition: 'remote-server-not-found' }
    const leave = this.#limits.enter(place)
    if (leave === undefined) return { kind: 'error', condition: 'resource-constraint' }
    const { context, newTrace, liveStreamTo, heardFrom } = this.#options
    const trace = newTrace(pair)
    const deadline = this.#deadline(trace, signal, () => this.#openings.get(pair.remote)?.begun === false)
    try {
      const gate = this.#gate(pair)
      if ('refused' in gate) throw new StreamEnd(gate.refused.kind, gate.refused.detail)
      const stream =
        liveStreamTo(pair.remote) ??
        this.#spareTo(pair.remote) ??
        (await this.#opened(pair, place, trace, deadline.signal))
      trace.waitFor('dialback verification')
      const outcome = await stream.verify(pair, streamId, key, deadline.signal)
      if (outcome.kind === 'valid') heardFrom(pair.remote)
      return outcome
    } catch (error) {
      const reason = endReasonOf(error)
      context.log.info('s2s-verify-failed', { local: pair.local, remote: pair.remote, reason: describeEnd(reason) })
      // Whoever hangs up says nothing about the domain.
      if (!signal.aborted) this.#backoff.failed(pair, reason)
      return { kind: 'error', condition: conditionOf(reason) }
    } finally {
      deadline.done()
      leave()
    }
  }

  /** The domain has been heard from: nothing about it rests any more. */
  heardFrom(remote: string): void {
    this.#backoff.clear(remote)
  }

  /** The stream of a finished verification, for the pair that now needs one; it has proven nothing. */
  takeSpare(pair: DomainPair): OutgoingStream | undefined {
    const spare = this.#spares.get(pair.key)?.stream
    if (spare === undefined || !spare.usable || spare.busy) return undefined
    this.#spares.delete(pair.key)
    return spare
  }

  /** Closes what was opened under rules that hold no longer. */
  reconsider(): void {
    this.#backoff.clearAll()
    for (const { pair, stream } of [...this.#spares.values()]) {
      const reason = unmetDemand(this.#gate(pair), stream, pair.remote)
      if (reason !== undefined) stream.close(reason)
    }
  }

  #spareTo(remote: string): OutgoingStream | undefined {
    for (const { stream } of this.#spares.values()) if (stream.remote === remote && stream.usable) return stream
    return undefined
  }

  /** A stream from an opening that is under way, or from a new one. */
  async #opened(pair: DomainPair, place: string, trace: Trace, signal: AbortSignal): Promise<OutgoingStream> {
    const opening = this.#openings.get(pair.remote) ?? this.#begin(pair, place, trace)
    opening.askers++
    try {
      return await untilAborted(opening.stream, signal)
    } finally {
      opening.askers--
      if (opening.askers === 0) {
        this.#forget(pair.remote, opening)
        opening.aborter.abort(new StreamEnd('idle', 'nobody waits for it'))
      }
    }
  }

  #begin(pair: DomainPair, place: string, trace: Trace): Opening {
    const { context, stopping } = this.#options
    stopping.throwIfAborted()
    const rest = this.#backoff.restOf(pair)
    const restMs = rest === undefined ? 0 : rest.until - context.clock.now()
    if (rest !== undefined && restMs > context.settings.readTimeoutMs / 2)
      throw new StreamEnd('idle', 'resting', describeEnd(rest.reason))
    if (!this.#limits.mayOpen(place)) throw new StreamEnd('overload', 'too-many-verifications')
    const aborter = new AbortController()
    // Assigned below, before anything of it has run.
    const opening: Opening = {
      stream: Promise.resolve().then(() => this.#open(pair, place, restMs, trace, opening)),
      aborter,
      askers: 0,
      begun: false,
    }
    const forget = (): void => this.#forget(pair.remote, opening)
    opening.stream.then(forget, forget)
    this.#openings.set(pair.remote, opening)
    return opening
  }

  #forget(remote: string, opening: Opening): void {
    if (this.#openings.get(remote) === opening) this.#openings.delete(remote)
  }

  async #open(
    pair: DomainPair,
    place: string,
    restMs: number,
    trace: Trace,
    opening: Opening,
  ): Promise<OutgoingStream> {
    const { reach, context } = this.#options
    const deadline = this.#deadline(trace, opening.aborter.signal, () => !opening.begun)
    let free = (): void => {}
    try {
      if (restMs > 0) await pause(context.clock, restMs, deadline.signal)
      free = await this.#slots.take(deadline.signal, { group: siteOf(pair.remote), wantedBy: () => [place] })
      opening.begun = true
      const gate = this.#gate(pair)
      if ('refused' in gate) throw new StreamEnd(gate.refused.kind, gate.refused.detail)
      const stream = await reach(pair, gate.rules, trace, deadline.signal)
      stream.listen()
      const unmet = unmetDemand(this.#gate(pair), stream, pair.remote)
      if (unmet !== undefined) {
        stream.close(unmet)
        throw new StreamEnd(unmet.kind, unmet.detail)
      }
      this.#keep(pair, stream)
      return stream
    } finally {
      deadline.done()
      free()
    }
  }

  #keep(pair: DomainPair, stream: OutgoingStream): void {
    const { clock } = this.#options.context
    this.#spares.set(pair.key, { pair, stream })
    let cancel = (): void => {}
    const expire = (): void => {
      if (this.#spares.get(pair.key)?.stream !== stream) return
      if (stream.busy) {
        cancel = clock.after(SPARE_MS, expire)
        return
      }
      this.#spares.delete(pair.key)
      stream.close({ kind: 'idle', detail: 'verification-only' })
    }
    cancel = clock.after(SPARE_MS, expire)
    void stream.finished.then(() => {
      cancel()
      if (this.#spares.get(pair.key)?.stream === stream) this.#spares.delete(pair.key)
    })
  }

  #gate({ local, remote }: DomainPair): Gate {
    return this.#options.context.gate(local, remote, 'outgoing')
  }

  #deadline(trace: Trace, outer: AbortSignal, waitsForTurn: () => boolean): Deadline {
    const { clock, settings } = this.#options.context
    const late = (): StreamEnd =>
      waitsForTurn() ? new StreamEnd('overload', 'too-many-verifications') : new StreamEnd('deadline', trace.waitingFor)
    return new Deadline(clock, settings.readTimeoutMs, late, outer)
  }
}

/** Resolves after `ms`; rejects with the signal's reason. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const aborted = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', aborted)
      resolve()
    })
    signal.addEventListener('abort', aborted, { once: true })
  })
}

/** What the initiator is told when its authoritative server could not be asked (XEP-0220 §2.4). */
function conditionOf(
  reason: EndReason,
): 'remote-server-not-found' | 'remote-connection-failed' | 'remote-server-timeout' | 'resource-constraint' {
  switch (reason.kind) {
    case 'overload':
      return 'resource-constraint'
    case 'address':
      return 'remote-server-not-found'
    case 'dns':
      return reason.detail.startsWith('no-') ? 'remote-server-not-found' : 'remote-server-timeout'
    case 'stream':
      return reason.detail.startsWith('host-') ? 'remote-server-not-found' : 'remote-server-timeout'
    case 'tcp':
      // Cut while the answer was awaited, or before: there is a server, and it did not answer.
      return reason.detail === 'reset' ? 'remote-server-timeout' : 'remote-connection-failed'
    case 'tls':
    case 'certificate':
    case 'policy':
      return 'remote-connection-failed'
    default:
      return 'remote-server-timeout'
  }
}
