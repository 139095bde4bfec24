import { loggableFields } from '../admin/loggable.js'
import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import { Trace, type TraceStep } from '../base/trace.js'
import type { Proof } from '../negotiation/rules.js'
import type { OutgoingStream } from '../session/outgoing-stream.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import type { Jids } from '../stanza/jid.js'
import { readError } from '../stanza/stanza-error.js'
import {
  consequenceOf,
  describeEnd,
  type EndKind,
  type EndReason,
  endReasonOf,
  StreamEnd,
} from '../stream/end-reason.js'
import type { ProbeReport } from './contract.js'
import type { Federation } from './federation.js'
import { hintOf } from './probe-hints.js'

/** How long the answer to a ping may take; the peer may have to open a stream to us first. */
const PING_MS = 10_000

export interface ProberOptions {
  readonly federation: Pick<Federation, 'outgoing' | 'incoming' | 'permissions' | 'requests'>
  readonly clock: Clock
  readonly log: Log
  readonly jids: Jids
  /** Whether peers can reach us, as dialback and the answer to a ping need. */
  readonly isListening: () => boolean
}

/** How the steps are called where the kind of an end would not say it to people. */
const STEPS: Readonly<Partial<Record<EndKind, string>>> = { dns: 'DNS', tcp: 'TCP', tls: 'TLS', sasl: 'SASL' }

const CALL_US =
  'Their server must be able to call us: check that the SRV record of our domain leads here and that the port is open to the outside.'
const NO_ANSWER_HINT =
  'Their server neither answers a ping nor refuses it (RFC 6120 §8.2.3): its admin looks at its log.'

const NOT_LISTENING = 'dialback and the ping were left out: they need the running service'

/** Tries whether a domain can be reached: a real attempt, on a connection of its own, and a ping over it. */
export class Prober {
  readonly #options: ProberOptions

  constructor(options: ProberOptions) {
    this.#options = options
  }

  /** Both names are canonical. Never rejects: whatever goes wrong is in the report. It has the deadlines of any attempt, and 10 s for the ping. */
  async run(pair: DomainPair, onStep: (step: TraceStep) => void = () => {}): Promise<ProbeReport> {
    const { clock, log, federation } = this.#options
    const isListening = this.#options.isListening()
    const steps: TraceStep[] = []
    const trace = new Trace(clock, ({ atMs, step, facts }) => {
      const shown = { atMs, step, facts: loggableFields(facts) }
      steps.push(shown)
      onStep(shown)
    })
    const aborter = new AbortController()
    let stream: OutgoingStream | undefined
    let proof: Proof | undefined
    try {
      trace.note('pair', { local: pair.local, remote: pair.remote })
      ;[stream, proof] = await federation.outgoing.probe(pair, {
        trace,
        signal: aborter.signal,
        dialback: isListening,
      })
      trace.note('proven', { proof })
      if (!isListening) trace.note('ping', { skipped: NOT_LISTENING })
      const pingMs = isListening ? await this.#ping(pair, stream, trace) : undefined
      log.info('probe-ended', { local: pair.local, remote: pair.remote, outcome: 'works', proof })
      return {
        local: pair.local,
        remote: pair.remote,
        outcome: 'works',
        failed: '',
        reason: '',
        words: '',
        mends: 'nobody',
        hint: isListening ? '' : `Proven so far; ${NOT_LISTENING}.`,
        proof,
        ...(pingMs !== undefined && { pingMs }),
        steps,
      }
    } catch (error) {
      const reason = endReasonOf(error)
      log.info('probe-ended', { local: pair.local, remote: pair.remote, outcome: describeEnd(reason) })
      return { ...failure(pair, reason, trace, isListening), proof: proof ?? '', steps }
    } finally {
      aborter.abort()
      stream?.close({ kind: 'admin', detail: 'closed' })
    }
  }

  /** Our stream is one-way: the answer shows that the peer reaches us, too. */
  async #ping(pair: DomainPair, stream: OutgoingStream, trace: Trace): Promise<number> {
    const { federation, clock, jids } = this.#options
    const back = federation.permissions.ask(pair.remote, 'incoming')
    if ('refused' in back)
      throw new StreamEnd('policy', back.refused.detail, 'what the domain sends to us is refused; it was not pinged')
    const request = federation.requests.ping(jids.from('', pair.local)!, jids.from('', pair.remote)!, PING_MS)
    if (request === undefined) throw new StreamEnd('overload', 'too-many-attempts', 'too many pings are under way')
    const lost = new AbortController()
    // It is not recorded as carrying the pair: no other pair, nor this one's session, is to come onto it.
    void stream.finished.then(() => {
      const { kind, detail, text } = stream.stream.end ?? { kind: 'stream', detail: 'closed' }
      lost.abort(new StreamEnd(kind, detail, text))
    })
    const start = clock.now()
    trace.waitFor('ping')
    trace.note('ping', { asked: true })
    const answer = request.answer(lost.signal)
    federation.outgoing.writeApart(stream, request.stanza, () => {})
    try {
      const given = await answer
      const condition = readError(given)?.condition
      const ms = Math.round(clock.now() - start)
      trace.note('ping', { answer: given.type, ms, ...(condition !== undefined && { condition }) })
      return ms
    } catch (error) {
      if (error instanceof StreamEnd) throw error
      throw this.#unanswered(pair)
    }
  }

  #unanswered({ local, remote }: DomainPair): StreamEnd {
    const streams = this.#options.federation.incoming.rows().filter(row => row.remote === remote && row.local === local)
    const isProven = streams.some(({ proofs }) => proofs.length > 0)
    const text = isProven
      ? 'they have a proven stream to us and do not answer'
      : 'they take what we send, and no proven stream of theirs to us came'
    return new StreamEnd('deadline', 'ping', text, undefined, isProven ? 'their admin' : 'our admin')
  }
}

function failure(
  pair: DomainPair,
  reason: EndReason,
  trace: Trace,
  isListening: boolean,
): Omit<ProbeReport, 'proof' | 'steps'> {
  const { mends, words } = consequenceOf(reason)
  const noted = lastFacts(trace, 'certificate')?.defects
  const features = lastFacts(trace, 'features')
  const defects = Array.isArray(noted) ? noted.map(defect => String(defect.code)) : []
  const { local, remote } = pair
  const report = { local, remote, outcome: 'failed', reason: describeEnd(reason), words, mends } as const
  if (reason.kind === 'deadline' && reason.detail === 'ping') {
    const hint = mends === 'our admin' ? CALL_US : NO_ANSWER_HINT
    return { ...report, failed: 'ping', words: 'the remote server did not answer a ping', hint }
  }
  if (reason.kind === 'sasl' && !isListening && features?.dialback !== undefined)
    return { ...report, failed: 'proof', hint: `Start the service and probe again: ${NOT_LISTENING}.` }
  const failed = reason.kind === 'deadline' ? reason.detail : (STEPS[reason.kind] ?? reason.kind)
  return { ...report, failed, hint: hintOf(reason, defects) }
}

function lastFacts(trace: Trace, name: string): TraceStep['facts'] | undefined {
  return trace.steps.findLast(({ step }) => step === name)?.facts
}
