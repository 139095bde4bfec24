import { consequenceOf, describeEnd, type Side } from '../stream/end-reason.js'
import type { OutgoingSession } from './outgoing-session.js'

/** What an admin sees of one domain pair. */
export interface OutgoingRow {
  readonly id: string
  readonly kind: 's2s-out'
  readonly address: string
  readonly local: string
  readonly remote: string
  readonly state: string
  readonly proof: string
  readonly tls: string
  readonly waiting: number
  readonly waitingBytes: number
  /** For how long the oldest of what waits has been waiting. */
  readonly oldestMs: number
  readonly stanzas: number
  readonly connectedMs: number
  /** The pair's own, else the one that its whole domain rests for. */
  readonly lastFailure: string
  /** Whose side mends the last failure; empty without one. */
  readonly mends: Side | ''
  readonly restMs: number
}

/** `now` is the clock's. */
export function rowOf(session: OutgoingSession, now: number): OutgoingRow {
  const { pair, stream, rest } = session
  const transport = stream?.stream.transport
  const failure = session.attempts.filter(({ outcome }) => !outcome.startsWith('established')).at(-1)
  return {
    id: stream?.tag ?? '',
    kind: 's2s-out',
    address: transport?.addresses.remoteAddress ?? '',
    local: pair.local,
    remote: pair.remote,
    state: session.state,
    proof: session.proof ?? '',
    tls: transport?.tls?.protocol ?? '',
    waiting: session.waiting,
    waitingBytes: session.waitingBytes,
    oldestMs: session.oldestMs,
    stanzas: stream?.sent ?? 0,
    connectedMs: stream === undefined ? 0 : stream.connectedMs,
    lastFailure: failure?.outcome ?? (rest === undefined ? '' : describeEnd(rest.reason)),
    mends: failure?.mends ?? (rest === undefined ? '' : consequenceOf(rest.reason).mends),
    restMs: rest === undefined ? 0 : Math.max(0, rest.until - now),
  }
}
