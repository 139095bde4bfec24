import { resolve } from 'node:path'
import { Kysely } from 'kysely'
import { type Clock, systemClock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import { Accounts } from './accounts.js'
import { migrate } from './migrate.js'
import { MIGRATIONS } from './migrations/all.js'
import { Permissions } from './permissions.js'
import { Properties } from './properties.js'
import type { Schema } from './schema.js'
import { Secrets } from './secrets.js'
import { IN_MEMORY, openSqlite } from './sqlite.js'
import { StoreError } from './store-error.js'

/** File in the data directory that `sqlite:` means. */
const DEFAULT_FILE = 'comity.sqlite'

/** What {@link openStore} needs. */
export interface StoreOptions {
  /** `sqlite:` (a file in the data directory), `sqlite:FILE` (relative to the data directory), or `:memory:` (gone after `close`). */
  readonly url: string
  readonly dataDirectory: string
  readonly log: Log
  /** Stamps rows; default the machine's clock. */
  readonly clock?: Clock
}

/** Everything that must survive a restart. Made by {@link openStore}. */
export class Store {
  readonly accounts: Accounts
  readonly properties: Properties
  readonly permissions: Permissions
  readonly secrets: Secrets
  readonly #db: Kysely<Schema>
  #closing: Promise<void> | undefined

  constructor(db: Kysely<Schema>, clock: Clock) {
    this.#db = db
    this.accounts = new Accounts(db, clock)
    this.properties = new Properties(db, clock)
    this.permissions = new Permissions(db, clock)
    this.secrets = new Secrets(db)
  }

  /** Ends the store; later calls of its parts reject. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#db.destroy()
    return this.#closing
  }
}

/**
 * Opens the store and brings its schema up to date.
 *
 * @throws StoreError `url`, `open`, or `newer` when a newer program has written the database.
 */
export async function openStore({ url, dataDirectory, log, clock = systemClock }: StoreOptions): Promise<Store> {
  const file = sqliteFile(url, dataDirectory)
  const dialect = await openSqlite(file).catch((error: unknown) => {
    throw new StoreError('open', `the database ${file} cannot be opened: ${reasonOf(error)}`, error)
  })
  const db = new Kysely<Schema>({ dialect })
  try {
    const { from, to } = await migrate(db, MIGRATIONS, clock)
    log.info('store-opened', { file, schemaVersion: to, migratedFrom: from })
  } catch (error) {
    await db.destroy()
    if (error instanceof StoreError) throw error
    throw new StoreError('open', `the database ${file} cannot be brought up to date: ${reasonOf(error)}`, error)
  }
  return new Store(db, clock)
}

function sqliteFile(url: string, dataDirectory: string): string {
  const name = url.startsWith('sqlite:') ? url.slice('sqlite:'.length) : url
  if (name === IN_MEMORY) return IN_MEMORY
  // The address itself is not repeated: a database URL may hold a password.
  if (name === url) throw new StoreError('url', 'store.url: expected sqlite:, sqlite:FILE or :memory:')
  return resolve(dataDirectory, name === '' ? DEFAULT_FILE : name)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
