import type { SecureContext } from 'node:tls'
import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { Trace } from '../base/trace.js'
import type { DialTarget } from '../dial/dial-target.js'
import type { DomainVerdict } from '../negotiation/certificate/domain-proof.js'
import type { CertificateVerdict } from '../negotiation/certificate/verdict.js'
import type { Rules } from '../negotiation/rules.js'
import type { Rate } from '../policy/token-buckets.js'
import type { Jids } from '../stanza/jid.js'
import type { Congestion } from '../stanza/route.js'
import type { Stanza } from '../stanza/stanza.js'
import type { EndReason } from '../stream/end-reason.js'

/** The certificate that a server shows whom we call, and where it was met. */
export interface RemoteCertificate {
  readonly domain: string
  readonly chain: readonly Buffer[]
  /** Absent where no DNS answer led there. */
  readonly target?: DialTarget | undefined
  readonly trace: Trace
  readonly signal: AbortSignal
}

export type Direction = 'incoming' | 'outgoing'

/**
 * What policy says of one domain pair: rules to follow, or why nothing may be done. `proof` is set where an entry for the domain demands
 * it: then a pair that was proven otherwise does not stay.
 */
export type Gate = { readonly rules: Rules; readonly proof?: 'external' | 'dialback' } | { readonly refused: EndReason }

/** Numbers that sessions follow; read when they are used, so that a change takes effect while running. Times in milliseconds. */
export interface SessionSettings {
  readonly initialiseTimeoutMs: number
  /** Infinity: never. */
  readonly idleMs: number
  readonly readTimeoutMs: number
  readonly resolutionTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly queueStanzas: number
  readonly queueBytes: number
  /** In the queues of all pairs; for one local sender a quarter of it. */
  readonly queueBytesTotal: number
  readonly maxAttempts: number
  readonly backoffInitialMs: number
  readonly backoffMaxMs: number
  readonly stanzaBytes: number
  readonly unauthenticatedBytes: number
  /** Whether peers are not told our limits (XEP-0478). */
  readonly limitsHidden: boolean
  readonly streamsPerAddress: number
  /** New incoming connections of one address; ten times as many in all. Undefined: no bound. */
  readonly newConnections?: Rate | undefined
  readonly unauthenticatedStreams: number
  readonly requireAuthzid: boolean
  readonly skipSendingAuthzid: boolean
}

/** Our certificate for one served domain. */
export interface Credentials {
  readonly context: SecureContext
  /** Whether it verifies by our own validator; a side that cannot be verified itself does not insist on others. */
  readonly verified: boolean
}

/** What every server session is given: the world around it as functions and values. */
export interface SessionContext {
  readonly clock: Clock
  readonly log: Log
  readonly settings: SessionSettings
  readonly jids: Jids
  /** `served`, `gone` when it was served earlier in this run, `foreign` otherwise; names in canonical form. */
  domainState(domain: string): 'served' | 'gone' | 'foreign'
  /** `remote` is empty for a stream that has not named its domain: only what holds for everybody holds for it. */
  /** Canonical names of the domains served, in the order of the configuration. */
  servedDomains(): readonly string[]
  gate(local: string, remote: string, direction: Direction): Gate
  credentials(domain: string): Credentials | undefined
  /** By our trusted authorities and names alone (PKIX). */
  judge(chain: readonly Buffer[], domain: string): CertificateVerdict
  /** By all proofs that count, for a server that we call. Rejects only when the signal aborts. */
  judgeRemote(certificate: RemoteCertificate): Promise<DomainVerdict>
  /** The current dialback secret first, then the previous one while it is still good. */
  dialbackSecrets(): readonly string[]
  /** Hands a stanza to the router; what comes back is set while its destination's pile is above the mark. */
  route(stanza: Stanza): Congestion | undefined
}
