import { Deadline, untilAborted } from '../base/deadline.js'
import type { Trace } from '../base/trace.js'
import type { Rules } from '../negotiation/rules.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import { describeEnd, type EndReason, endReasonOf, StreamEnd } from '../stream/end-reason.js'
import type { Gate, SessionContext } from './context.js'
import { unmetDemand } from './demands.js'
import type { VerifyOutcome } from './incoming-dialback.js'
import type { OutgoingStream } from './outgoing-stream.js'
import { unreachableName } from './remote-name.js'

/** How long a stream that was opened to verify a key is kept for the pair that is usually wanted next. */
const SPARE_MS = 10_000
/** Questions under way at once, over all streams: a peer must not use us to knock on other people's doors. */
const MOST_VERIFICATIONS = 512

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
}

interface Spare {
  readonly pair: DomainPair
  readonly stream: OutgoingStream
}

/** Has keys checked by the authoritative servers of other domains (XEP-0220 §2.2), over live streams or streams opened for it. */
export class KeyVerifier {
  readonly #options: KeyVerifierOptions
  /** Streams opened only to verify a key, by domain pair. */
  readonly #spares = new Map<string, Spare>()
  /** Streams being opened to verify a key, by remote domain: concurrent questions share one, whichever of our domains asks. */
  readonly #reaching = new Map<string, Promise<OutgoingStream>>()
  #underway = 0

  constructor(options: KeyVerifierOptions) {
    this.#options = options
  }

  /** Never rejects: what could not be asked is an error outcome. */
  async verify(pair: DomainPair, streamId: string, key: string, signal: AbortSignal): Promise<VerifyOutcome> {
    // The name is a stranger's: it must not make us knock at an address of its choice.
    if (unreachableName(pair.remote, this.#options.isRouted) !== undefined)
      return { kind: 'error', condition: 'remote-server-not-found' }
    if (this.#underway >= MOST_VERIFICATIONS) return { kind: 'error', condition: 'resource-constraint' }
    this.#underway++
    const { context, newTrace, liveStreamTo, heardFrom } = this.#options
    const trace = newTrace(pair)
    const deadline = this.#deadline(trace, signal)
    try {
      const gate = this.#gate(pair)
      if ('refused' in gate) throw new StreamEnd(gate.refused.kind, gate.refused.detail)
      const stream =
        liveStreamTo(pair.remote) ??
        this.#spareTo(pair.remote) ??
        (await untilAborted(this.#shared(pair, trace), deadline.signal))
      trace.waitFor('dialback verification')
      const outcome = await stream.verify(pair, streamId, key, deadline.signal)
      if (outcome.kind === 'valid') heardFrom(pair.remote)
      return outcome
    } catch (error) {
      const reason = endReasonOf(error)
      context.log.info('s2s-verify-failed', { local: pair.local, remote: pair.remote, reason: describeEnd(reason) })
      return { kind: 'error', condition: conditionOf(reason) }
    } finally {
      deadline.done()
      this.#underway--
    }
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
    for (const { pair, stream } of [...this.#spares.values()]) {
      const reason = unmetDemand(this.#gate(pair), stream, pair.remote)
      if (reason !== undefined) stream.close(reason)
    }
  }

  #spareTo(remote: string): OutgoingStream | undefined {
    for (const { stream } of this.#spares.values()) if (stream.remote === remote && stream.usable) return stream
    return undefined
  }

  #shared(pair: DomainPair, trace: Trace): Promise<OutgoingStream> {
    const underway = this.#reaching.get(pair.remote)
    if (underway !== undefined) return underway
    const reaching = this.#open(pair, trace).finally(() => this.#reaching.delete(pair.remote))
    this.#reaching.set(pair.remote, reaching)
    return reaching
  }

  async #open(pair: DomainPair, trace: Trace): Promise<OutgoingStream> {
    const { reach, stopping } = this.#options
    const deadline = this.#deadline(trace, stopping)
    try {
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

  #deadline(trace: Trace, outer: AbortSignal): Deadline {
    const { clock, settings } = this.#options.context
    return new Deadline(clock, settings.readTimeoutMs, () => new StreamEnd('deadline', trace.waitingFor), outer)
  }
}

/** What the initiator is told when its authoritative server could not be asked (XEP-0220 §2.4). */
function conditionOf(
  reason: EndReason,
): 'remote-server-not-found' | 'remote-connection-failed' | 'remote-server-timeout' {
  switch (reason.kind) {
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
