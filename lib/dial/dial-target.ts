import type { Candidate } from './candidates.js'
import type { DnssecState } from './dns-record.js'

/** One address of one candidate, or its name where a proxy resolves. */
export interface DialTarget {
  readonly candidate: Candidate
  readonly address: string
  /** That of the address; 0 for a name. */
  readonly family: 0 | 4 | 6
  readonly port: number
  /** Whether the answers with host and address were both validated; a name that a proxy resolves has only the former. */
  readonly dnssec: DnssecState
}

/** Limits of an attempt; read each time they are needed, so that a change takes effect at once. */
export interface DialSettings {
  /** One TCP attempt (`xmpp.server.read.timeout`). */
  readonly readTimeoutMs: number
  /** From the start of the attempt to the first connected socket (`xmpp.server.resolution-timeout`). */
  readonly resolutionTimeoutMs: number
  /** Between the starts of two attempts (`xmpp.server.connection-attempt-delay`; RFC 8305 §5). */
  readonly attemptDelayMs: number
  /** How long IPv4 waits for the AAAA answer (RFC 8305 §3). */
  readonly resolutionDelayMs: number
  /** Most sockets under way at once. */
  readonly maxWorkers: number
  /** Whether loopback, private and link-local addresses are dialed (`xmpp.server.private-targets`). */
  readonly privateTargets: boolean
  /** Local addresses to dial from, at most one of each family (`xmpp.server.source-address`). */
  readonly sourceAddresses: readonly string[]
}
