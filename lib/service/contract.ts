import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { TraceStep } from '../base/trace.js'
import type { Proof, TlsPolicy } from '../negotiation/rules.js'
import type { PermissionDirection } from '../policy/permission.js'
import type { Side } from '../stream/end-reason.js'
import type { LoadResult } from './config.js'
import type { Settings } from './settings.js'

/** Where a service can be reached, once it has been started. */
export interface ServiceEndpoints {
  /** For other servers: STARTTLS first, then Direct TLS. */
  readonly servers: readonly { readonly address: string; readonly port: number; readonly tls: boolean }[]
  readonly ximss: readonly { readonly address: string; readonly port: number; readonly tls: boolean }[]
}

/** A running service. */
export interface Service {
  readonly endpoints: ServiceEndpoints
  /** Opens everything; one line per listener. Rejects, with nothing left open, when something cannot be opened. */
  start(): Promise<readonly string[]>
  /** Ends everything in order; may be called again. */
  stop(): Promise<void>
  /** Reads the settings file and the certificates again without dropping a connection. Rejects when they cannot be used; the old ones stay. */
  reload(): Promise<void>
  /** Tries whether a remote domain can be reached, step by step. Before `start` only as far as no answer from there is needed. Rejects only when a name cannot be used. */
  probe(request: ProbeRequest): Promise<ProbeReport>
}

/** What to try. */
export interface ProbeRequest {
  readonly remote: string
  /** A served domain; the first one unless given. */
  readonly local?: string | undefined
  /** Hears each step when it is done. */
  readonly onStep?: ((step: TraceStep) => void) | undefined
}

/** What came of a probe. */
export interface ProbeReport {
  readonly local: string
  readonly remote: string
  readonly outcome: 'works' | 'failed'
  /** The step that failed, such as `certificate`; empty when all went well. */
  readonly failed: string
  /** Why, as the log says it. */
  readonly reason: string
  readonly words: string
  readonly mends: Side
  /** What that side can do; also what was left out of a probe that went well. */
  readonly hint: string
  /** How our domain was proven to the other side; empty when it was not. */
  readonly proof: Proof | ''
  /** Round trip of a ping in milliseconds; absent when no answer came or none was asked for. */
  readonly pingMs?: number
  readonly steps: readonly TraceStep[]
}

/** Answer of `POST /probes`, which takes `{remote, local}`. */
export interface ProbeStarted {
  readonly id: string
}

/** Answer of `GET /probes/ID?after=N`, which waits for news: the steps after the first N, and the report (without steps) once there is one. */
export interface ProbeNews {
  readonly steps: readonly TraceStep[]
  readonly report?: Omit<ProbeReport, 'steps'>
}

export interface ServiceOptions {
  readonly settings: Settings
  readonly log: Log
  readonly clock?: Clock
  /** Reads file and environment again, for `reload`. */
  readonly reread?: () => LoadResult
}

export type CreateService = (options: ServiceOptions) => Promise<Service>

export interface DemoOptions {
  /** End after the exchange instead of staying up. */
  readonly once: boolean
  /** Shows one line of the transcript. */
  readonly print: (line: string) => void
  /** Settings for both services, stronger than those the demo needs. */
  readonly sets: readonly (readonly [key: string, text: string])[]
  /** Aborted when the demo is to end. */
  readonly signal: AbortSignal
}

/** Runs the demo to its end; true when the exchange went well. */
export type RunDemo = (options: DemoOptions) => Promise<boolean>

/** The kinds of live sessions. */
export const SESSION_KINDS = ['ximss', 'xmpp', 's2s-in', 's2s-out'] as const

export type SessionKind = (typeof SESSION_KINDS)[number]

/** Answer of `GET /sessions` (`?kind=` narrows it): a list of these. `DELETE /sessions/ID` ends one. */
export interface SessionRow {
  readonly id: string
  readonly kind: SessionKind
  /** The account, or the domain pair as `local → remote`. */
  readonly subject: string
  readonly address: string
  /** When it was connected (ISO 8601). */
  readonly connected: string
  readonly state: string
}

/** Answer of `GET /routes`: a list of these. */
export interface RouteRow {
  /** Address or domain pair that the route is for. */
  readonly target: string
  readonly kind: string
  /** Who carries it, such as a session's identifier. */
  readonly via: string
  /** When it was published (ISO 8601). */
  readonly since: string
}

/** Answer of `GET /queue`: a list of these, one for each domain pair for which something waits or which rests after a failure. */
export interface QueueRow {
  /** `local → remote` */
  readonly pair: string
  readonly state: string
  readonly waiting: number
  readonly bytes: number
  /** How long the oldest has been waiting, in milliseconds. */
  readonly oldestMs: number
  /** What it waits for, or the last failure. */
  readonly reason: string
  /** Milliseconds; 0: at once, or under way. */
  readonly nextTryMs: number
  readonly mends: Side | ''
}

/** Answer of `GET /users`: a list of these. `POST /users` takes `{jid, password}`, `PUT /users/JID` `{password}`, `DELETE /users/JID` nothing. */
export interface UserRow {
  readonly jid: string
  readonly created: string
  readonly passwordChanged: string
}

/** Answer of `GET /domains`: a list of these. What is empty the general settings decide. `DELETE /domains/PATTERN` (`?direction=`) removes one. */
export interface PermissionRow {
  /** `name`, `*.suffix` or `*`, in canonical spelling. */
  readonly pattern: string
  readonly direction: PermissionDirection
  readonly action: 'allow' | 'block'
  readonly tls: TlsPolicy | ''
  readonly proof: 'external' | 'dialback' | ''
  readonly certificates: 'strict' | 'lax' | ''
  readonly reason: string
  /** When it ends (ISO 8601); empty: never. */
  readonly expires: string
  /** Whether it has ended, so that it does not count any more. */
  readonly expired: boolean
  readonly changed: string
}

/** Body of `POST /domains`, which answers with the row. It replaces the entry of the same pattern and direction. */
export interface PermissionChange {
  readonly pattern: string
  readonly action: 'allow' | 'block'
  /** Default: both. */
  readonly direction?: PermissionDirection | undefined
  readonly tls?: TlsPolicy | undefined
  readonly proof?: 'external' | 'dialback' | 'any' | undefined
  /** A bad certificate ends the attempt; false: its owner may still prove itself by dialback over TLS. */
  readonly strict?: boolean | undefined
  readonly reason?: string | undefined
  /** A span such as `30d`, or a moment such as `2030-12-31`. */
  readonly expires?: string | undefined
}

/** Body of `POST /domains/import`: a list of names to block, one per line. */
export interface PermissionImport extends Pick<PermissionChange, 'direction' | 'reason' | 'expires'> {
  readonly text: string
}

/** Answer of `POST /domains/import`. */
export interface PermissionImported {
  readonly imported: number
  /** How many of them took the place of another entry. */
  readonly replaced: number
  /** Patterns that had been allowed until then. */
  readonly noLongerAllowed: readonly string[]
}
