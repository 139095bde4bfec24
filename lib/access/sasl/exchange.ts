import type { AccountName, Accounts } from '../../store/accounts.js'

/** Why an authentication failed, in the words of RFC 6120 §6.5. */
export type SaslFailure =
  | 'aborted'
  | 'account-disabled'
  | 'credentials-expired'
  | 'encryption-required'
  | 'incorrect-encoding'
  | 'invalid-authzid'
  | 'invalid-mechanism'
  | 'malformed-request'
  | 'mechanism-too-weak'
  | 'not-authorized'
  | 'temporary-auth-failure'

/** The server's answer to one message of the client. `success` and `failure` end the exchange. */
export type SaslStep =
  | { readonly kind: 'challenge'; readonly data: Buffer }
  | { readonly kind: 'success'; readonly account: AccountName; readonly data?: Buffer }
  | { readonly kind: 'failure'; readonly condition: SaslFailure }

/** One authentication attempt, seen from the server. The protocol around it does the Base64, the deadline and the count of attempts. */
export interface SaslExchange {
  /** The registered name, for example `SCRAM-SHA-256`. */
  readonly mechanism: string
  /**
   * Takes the client's next message, decoded; for the first one its initial response (RFC 6120 §6.4.2). Never rejects. A message
   * after the end, or while another one is being answered, is a failure.
   */
  respond(data: Buffer): Promise<SaslStep>
}

/**
 * Turns the name a client gave (`olga` or `olga@north.example`) into the account it means; `undefined` when it can mean none here:
 * a name that RFC 7622 refuses, or a domain not served.
 */
export type AccountNameReader = (name: string) => AccountName | undefined

/** The part of the accounts that authentication needs. */
export type PasswordVerifier = Pick<Accounts, 'verifyPassword'>

/** The part of the accounts that SCRAM needs. */
export type CredentialSource = Pick<Accounts, 'credentials'>

/** Stands in for a name that means no account, so that the same work is done for it: no account has empty parts. */
export const NOBODY: AccountName = { local: '', domain: '' }

export const failure = (condition: SaslFailure): SaslStep => ({ kind: 'failure', condition })

/** Whether an authorization identity means the account that authenticated; acting for another one is not offered (RFC 6120 §6.3.8). */
export function isOwnIdentity(authzid: string, account: AccountName, read: AccountNameReader): boolean {
  const asked = read(authzid)
  return asked !== undefined && asked.local === account.local && asked.domain === account.domain
}
