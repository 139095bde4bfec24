import type { Log } from '../../base/log.js'
import { BoundedExchange } from './bounded-exchange.js'
import {
  type AccountNameReader,
  failure,
  isOwnIdentity,
  NOBODY,
  type PasswordVerifier,
  type SaslStep,
} from './exchange.js'
import { readUtf8 } from './strict-text.js'

/** What {@link PlainExchange} needs. */
export interface PlainOptions {
  readonly accounts: PasswordVerifier
  readonly readName: AccountNameReader
  readonly log: Log
}

/** Server side of PLAIN (RFC 4616). It shows the password to the server: to be offered under TLS only (RFC 6120 §13.9.4). */
export class PlainExchange extends BoundedExchange {
  readonly mechanism = 'PLAIN'
  readonly #options: PlainOptions

  constructor(options: PlainOptions) {
    super(options.log)
    this.#options = options
  }

  protected async step(data: Buffer): Promise<SaslStep> {
    // RFC 4616 §2: [authzid] NUL authcid NUL passwd
    const parts = readUtf8(data)?.split('\0')
    const [authzid, authcid, password] = parts ?? []
    if (parts?.length !== 3 || authzid === undefined || !authcid || !password) return failure('malformed-request')
    const { accounts, readName } = this.#options
    const account = readName(authcid)
    const { local, domain } = account ?? NOBODY
    const isProven = await accounts.verifyPassword(local, domain, password)
    if (!isProven || account === undefined) return failure('not-authorized')
    if (authzid !== '' && !isOwnIdentity(authzid, account, readName)) return failure('invalid-authzid')
    return { kind: 'success', account }
  }
}
