import type { DialTarget } from './dial-target.js'
import type { DnsFailureReason } from './dns-record.js'

/** Why a socket was not connected, in the words of an end of kind `tcp`. */
export type TcpDetail = 'refused' | 'unreachable' | 'timeout' | 'reset' | 'forbidden-target' | 'proxy-refused'

/** Why a host has no address, in the words of an end of kind `dns`. */
export type AddressDetail = 'no-address' | 'servfail' | 'timeout' | 'bogus' | 'too-many-records'

export type DialFailure =
  | {
      readonly kind: 'tcp'
      readonly detail: TcpDetail
      readonly text: string
      readonly cause?: unknown
      /** Nothing is known of the remote side: our own proxy or source address failed. */
      readonly isOurs?: boolean
    }
  | { readonly kind: 'dns'; readonly detail: AddressDetail; readonly text: string; readonly cause?: unknown }
  /** The socket was connected; `cause` is what opening it rejected with. */
  | { readonly kind: 'open'; readonly detail: 'failed' | 'final'; readonly text: string; readonly cause: unknown }

/** No candidate became usable: the failure that came furthest, and where. The text is for our admin, not for strangers. */
export class DialError extends Error {
  readonly failure: DialFailure
  /** Where it happened; undefined when there was no address to dial. */
  readonly target: DialTarget | undefined

  constructor(failure: DialFailure, target: DialTarget | undefined) {
    super(`${failure.kind}: ${failure.detail} (${failure.text})`, { cause: failure.cause })
    this.name = 'DialError'
    this.failure = failure
    this.target = target
  }
}

const TELLING = [
  'dns no-address',
  'dns too-many-records',
  'dns timeout',
  'dns servfail',
  'dns bogus',
  'tcp forbidden-target',
  'tcp proxy-refused',
  'tcp unreachable',
  'tcp timeout',
  'tcp refused',
  'tcp reset',
  'open failed',
  'open final',
]

/** Whether `failure` says more than `other`: it came further, or a host answered at all. */
export function saysMore(failure: DialFailure, other: DialFailure): boolean {
  return rank(failure) > rank(other)
}

function rank({ kind, detail }: DialFailure): number {
  return TELLING.indexOf(`${kind} ${detail}`)
}

/** The failure behind an error of a socket that was being connected. */
export function tcpFailure(error: NodeJS.ErrnoException): Extract<DialFailure, { kind: 'tcp' }> {
  const detail = error.code === undefined ? undefined : TCP_DETAILS[error.code]
  return { kind: 'tcp', detail: detail ?? 'unreachable', text: error.code ?? error.message, cause: error }
}

const TCP_DETAILS: Readonly<Record<string, TcpDetail>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timeout',
}

/** The failure behind a host without an address; `undefined` when the DNS says that it has none. */
export function addressFailure(host: string, reason: DnsFailureReason | undefined): DialFailure {
  if (reason === undefined) return { kind: 'dns', detail: 'no-address', text: `${host} has no address` }
  return { kind: 'dns', detail: DNS_DETAILS[reason] ?? 'servfail', text: `${host}: ${reason}` }
}

const DNS_DETAILS: Readonly<Partial<Record<DnsFailureReason, AddressDetail>>> = {
  timeout: 'timeout',
  bogus: 'bogus',
  'too-many-records': 'too-many-records',
}
