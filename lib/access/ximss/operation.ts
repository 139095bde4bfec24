import type { Jid } from '../../stanza/jid.js'
import type { AccountName } from '../../store/accounts.js'
import type { SaslExchange } from '../sasl/exchange.js'
import type { SaslMechanisms } from '../sasl/mechanisms.js'
import type { UserSession } from '../user-session.js'
import type { DataMessage } from './data-message.js'
import type { GuardedAccounts } from './guarded-accounts.js'
import type { Request } from './request.js'
import type { XimssServices } from './services.js'

/** How one connection stands while it authenticates: the `login` request whose exchange is under way. */
export interface RunningExchange {
  readonly loginId: string
  readonly version: string | undefined
  readonly exchange: SaslExchange
  /** Set when all is proven and the client has only to take the server's last words. */
  proven?: AccountName
}

/** The connection as operations see it. */
export interface Client {
  readonly id: number
  readonly services: XimssServices
  readonly isSecure: boolean
  /** Whether passwords may cross this connection as they are. */
  readonly mayShowPassword: boolean
  readonly mechanisms: SaslMechanisms
  readonly accounts: GuardedAccounts
  readonly user: UserSession | undefined
  /** The domain that names without domain mean. */
  targetDomain: string
  exchange: RunningExchange | undefined
  /** Sends a synchronous data message of the request that runs. */
  send(message: DataMessage): void
  /** What follows a proven identity: the session begins, and its `session` data message is sent. */
  logIn(account: Jid, version: string | undefined): void
  /** A login has failed; after the last one that is allowed the connection ends with the response. */
  countFailedLogin(): void
  /** Gives the session another resource. False when `clientID` is no resource. */
  rebind(clientId: string): boolean
  setIdleTime(seconds: number): void
  setClientName(name: string): void
  /** The connection ends after the response. */
  endAfterResponse(): void
  /** The connection changes to TLS after the response. */
  startTlsAfterResponse(): void
}

/** `continues`: no response yet, another request goes on with it. */
export type Outcome = undefined | 'continues'

/** One operation; it fails by throwing a XimssError. */
export interface Operation {
  /** In which part of a connection's life it is allowed. */
  readonly when: 'before-login' | 'after-login' | 'always'
  run(client: Client, request: Request): Outcome | Promise<Outcome>
}

/** Operations by name. */
export type Operations = Readonly<Record<string, Operation>>
