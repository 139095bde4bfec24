import type { Log } from '../../base/log.js'
import type { AccountName } from '../../store/accounts.js'
import type { ScramCredentials } from '../../store/scram-keys.js'
import type { LoginGuard } from './login-guard.js'
import type { XimssServices } from './services.js'

/** The accounts as one connection may ask for them: what the guard does not admit looks like a wrong password. */
export class GuardedAccounts {
  readonly #accounts: XimssServices['accounts']
  readonly #guard: LoginGuard
  readonly #address: string
  readonly #log: Log
  /** Whose keys the exchange under way was given, to check a proof with. */
  #asked: AccountName | undefined

  constructor(options: { accounts: XimssServices['accounts']; guard: LoginGuard; address: string; log: Log }) {
    this.#accounts = options.accounts
    this.#guard = options.guard
    this.#address = options.address
    this.#log = options.log
  }

  /** Keys are given in any case, because others in their place would tell that the account exists. */
  credentials(local: string, domain: string): Promise<ScramCredentials | undefined> {
    this.#asked = { local, domain }
    return this.#accounts.credentials(local, domain)
  }

  async verifyPassword(local: string, domain: string, password: string): Promise<boolean> {
    const leave = await this.#guard.enter(this.#address)
    if (leave === undefined) return false
    try {
      if (!this.#guard.admits(this.#address, { local, domain })) return false
      const isProven = await this.#accounts.verifyPassword(local, domain, password)
      this.#record({ local, domain }, isProven)
      return isProven
    } finally {
      leave()
    }
  }

  /** An exchange begins; no keys have been asked for in it. */
  beginExchange(): void {
    this.#asked = undefined
  }

  /** Whether the next step of the exchange may be taken. */
  get admitsStep(): boolean {
    return this.#asked === undefined || this.#guard.admits(this.#address, this.#asked)
  }

  /** The exchange has ended; counts when it was one that checks a proof. */
  endExchange(isProven: boolean): void {
    const asked = this.#asked
    this.#asked = undefined
    if (asked !== undefined) this.#record(asked, isProven)
  }

  #record(account: AccountName, isProven: boolean): void {
    const restMs = this.#guard.record(this.#address, account, isProven)
    if (restMs > 0) this.#log.warn('ximss-login-rest', { address: this.#address, restMs })
  }
}
