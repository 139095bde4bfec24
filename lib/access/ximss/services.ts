import type { SecureContext } from 'node:tls'
import type { Clock } from '../../base/clock.js'
import type { Log } from '../../base/log.js'
import type { RouteTable } from '../../routing/route-table.js'
import type { Jids } from '../../stanza/jid.js'
import type { Congestion } from '../../stanza/route.js'
import type { Stanza } from '../../stanza/stanza.js'
import type { Accounts } from '../../store/accounts.js'

/** Bounds of every connection; times in milliseconds. */
export interface XimssLimits {
  readonly messageBytes: number
  readonly messageBytesBeforeLogin: number
  /** From the connection to a successful login. */
  readonly loginTimeoutMs: number
  /** Without a message from the client. */
  readonly idleMs: number
  readonly failedLogins: number
  /** How long a failed login waits for its response. */
  readonly failedLoginDelayMs: number
  /** So many failures in a row, of one network or for one account; from the last of them on no password is looked at for a while. */
  readonly freeFailures: number
  /** The first such while; it doubles with each further failure. */
  readonly firstRestMs: number
  readonly longestRestMs: number
  readonly unsentBytes: number
  readonly writeTimeoutMs: number
  readonly closeTimeoutMs: number
}

export const defaultXimssLimits: XimssLimits = {
  messageBytes: 1024 * 1024,
  messageBytesBeforeLogin: 64 * 1024,
  loginTimeoutMs: 60_000,
  idleMs: 600_000,
  failedLogins: 3,
  failedLoginDelayMs: 1000,
  freeFailures: 5,
  firstRestMs: 1000,
  longestRestMs: 300_000,
  unsentBytes: 2 * 1024 * 1024,
  writeTimeoutMs: 30_000,
  closeTimeoutMs: 5000,
}

/** All that XIMSS connections need from the rest of the service. */
export interface XimssServices {
  readonly clock: Clock
  readonly log: Log
  readonly limits: XimssLimits
  readonly jids: Jids
  /** Domains served here in canonical form; names without domain are of the first one until the client names another. */
  readonly domains: readonly [string, ...string[]]
  readonly accounts: Pick<Accounts, 'verifyPassword' | 'credentials'>
  /** Secret of the installation, for the salts of accounts that do not exist. */
  readonly fakeSaltSecret: string
  /** The certificate of a domain; undefined: no TLS for it. */
  readonly contextFor: (domain: string) => SecureContext | undefined
  /** Whether passwords may be sent in clear text from this machine itself. */
  readonly clearTextOnLoopback: boolean
  readonly routes: Pick<RouteTable, 'addResource'>
  /** Takes a stanza of a client; the result asks the client to wait. */
  readonly route: (stanza: Stanza) => Congestion | undefined
  /** Takes a client's presence for its contacts. */
  readonly broadcast?: (stanza: Stanza) => void
  /** Name of this node, the last part of `urlID`. */
  readonly node: string
  /** What the `session` message says the server's version is. */
  readonly version: string
}
