import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { LoadResult } from './config.js'
import type { Settings } from './settings.js'

/** Where a service can be reached, once it has been started. */
export interface ServiceEndpoints {
  /** For other servers, STARTTLS. */
  readonly servers: readonly { readonly address: string; readonly port: number }[]
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

/** Answer of `GET /users`: a list of these. `POST /users` takes `{jid, password}`, `PUT /users/JID` `{password}`, `DELETE /users/JID` nothing. */
export interface UserRow {
  readonly jid: string
  readonly created: string
  readonly passwordChanged: string
}
