import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Kysely, Transaction } from 'kysely'
import type { Clock } from '../base/clock.js'
import type { Schema, ScramKeysTable } from './schema.js'
import {
  deriveScramKeys,
  preparePassword,
  SALT_BYTES,
  SCRAM_MECHANISMS,
  type ScramCredentials,
  type ScramKeys,
  type ScramMechanism,
} from './scram-keys.js'
import { StoreError } from './store-error.js'

/** The two parts of an account's bare JID, already prepared as RFC 7622 says: `Olga` and `olga` are different names here. */
export interface AccountName {
  readonly local: string
  readonly domain: string
}

/** One line of the list of accounts. */
export interface AccountEntry extends AccountName {
  readonly createdAt: Date
  readonly passwordChangedAt: Date
}

/**
 * The local accounts. Of a password only its SCRAM keys are kept.
 *
 * `add`, `setPassword` and `verifyPassword` each cost several milliseconds of a worker thread: callers bound how often strangers may ask.
 */
export class Accounts {
  readonly #db: Kysely<Schema>
  readonly #clock: Clock
  /** Salt for accounts that do not exist; never seen outside, so it need not last. */
  readonly #fakeSalt = randomBytes(SALT_BYTES)

  constructor(db: Kysely<Schema>, clock: Clock) {
    this.#db = db
    this.#clock = clock
  }

  /** Makes an account. @throws StoreError `name` for an empty part or a NUL, `password` for one that SASLprep refuses. */
  async add(local: string, domain: string, password: string): Promise<'added' | 'exists'> {
    for (const part of [local, domain]) {
      if (part === '' || part.includes('\0')) throw new StoreError('name', 'an account name has two parts without NUL')
    }
    const keys = await deriveAll(password)
    return this.#db.transaction().execute(async transaction => {
      const now = this.#clock.date().toISOString()
      const made = await transaction
        .insertInto('accounts')
        .values({ local, domain, created_at: now, password_changed_at: now })
        .onConflict(conflict => conflict.columns(['domain', 'local']).doNothing())
        .returning('local')
        .execute()
      if (made.length === 0) return 'exists'
      await insertKeys(transaction, { local, domain }, keys)
      return 'added'
    })
  }

  /** Replaces the password; `false` when there is no such account. @throws StoreError `password`. */
  async setPassword(local: string, domain: string, password: string): Promise<boolean> {
    const keys = await deriveAll(password)
    return this.#db.transaction().execute(async transaction => {
      const changed = await transaction
        .updateTable('accounts')
        .set({ password_changed_at: this.#clock.date().toISOString() })
        .where('domain', '=', domain)
        .where('local', '=', local)
        .returning('local')
        .execute()
      if (changed.length === 0) return false
      await transaction.deleteFrom('scram_keys').where('domain', '=', domain).where('local', '=', local).execute()
      await insertKeys(transaction, { local, domain }, keys)
      return true
    })
  }

  /** Removes the account and all that belongs to it; `false` when there is none. */
  async remove(local: string, domain: string): Promise<boolean> {
    const gone = await this.#db
      .deleteFrom('accounts')
      .where('domain', '=', domain)
      .where('local', '=', local)
      .returning('local')
      .execute()
    return gone.length > 0
  }

  /** All accounts, or those of one domain, by domain and then name. */
  async list(domain?: string): Promise<readonly AccountEntry[]> {
    const all = this.#db.selectFrom('accounts').selectAll()
    const rows = await (domain === undefined ? all : all.where('domain', '=', domain)).execute()
    return (
      rows
        .map(row => ({
          local: row.local,
          domain: row.domain,
          createdAt: new Date(row.created_at),
          passwordChangedAt: new Date(row.password_changed_at),
        }))
        // Sorted here, because each database has its own idea of the order of letters.
        .sort((a, b) => compare(a.domain, b.domain) || compare(a.local, b.local))
    )
  }

  /** The SCRAM keys, `undefined` when there is no such account. */
  async credentials(local: string, domain: string): Promise<ScramCredentials | undefined> {
    const rows = await this.#db
      .selectFrom('scram_keys')
      .selectAll()
      .where('domain', '=', domain)
      .where('local', '=', local)
      .execute()
    if (rows.length === 0) return undefined
    const credentials: Partial<Record<ScramMechanism, ScramKeys>> = {}
    for (const mechanism of SCRAM_MECHANISMS) {
      const row = rows.find(candidate => candidate.mechanism === mechanism)
      if (row) credentials[mechanism] = keysOf(row)
    }
    return credentials
  }

  /** Whether this is the account's password: compared in constant time, and with the same work when there is no such account. */
  async verifyPassword(local: string, domain: string, password: string): Promise<boolean> {
    // That a password can be nobody's says nothing about the account.
    const prepared = preparePassword(password)
    if (prepared === undefined) return false
    const kept = (await this.credentials(local, domain))?.['SCRAM-SHA-256']
    const derived = await deriveScramKeys('SCRAM-SHA-256', prepared, kept?.salt ?? this.#fakeSalt, kept?.iterations)
    const isEqual = timingSafeEqual(derived.storedKey, kept?.storedKey ?? Buffer.alloc(derived.storedKey.length))
    return kept !== undefined && isEqual
  }
}

type KeyRow = Omit<ScramKeysTable, keyof AccountName>

async function deriveAll(password: string): Promise<readonly KeyRow[]> {
  const prepared = preparePassword(password)
  if (prepared === undefined) {
    const text = 'the password is empty, too long, or holds characters that SASLprep (RFC 4013) forbids'
    throw new StoreError('password', text)
  }
  return Promise.all(
    SCRAM_MECHANISMS.map(async mechanism => {
      const keys = await deriveScramKeys(mechanism, prepared)
      return {
        mechanism,
        salt: keys.salt.toString('base64'),
        iterations: keys.iterations,
        stored_key: keys.storedKey.toString('base64'),
        server_key: keys.serverKey.toString('base64'),
      }
    }),
  )
}

async function insertKeys(transaction: Transaction<Schema>, name: AccountName, keys: readonly KeyRow[]): Promise<void> {
  await transaction
    .insertInto('scram_keys')
    .values(keys.map(row => ({ ...name, ...row })))
    .execute()
}

function keysOf(row: ScramKeysTable): ScramKeys {
  return {
    salt: Buffer.from(row.salt, 'base64'),
    iterations: row.iterations,
    storedKey: Buffer.from(row.stored_key, 'base64'),
    serverKey: Buffer.from(row.server_key, 'base64'),
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
