import type { Kysely } from 'kysely'
import type { Clock } from '../base/clock.js'
import type { Schema } from './schema.js'
import { StoreError } from './store-error.js'

/** What JSON can say. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue }

/** Settings changed while running, as raw JSON values: what a key means and which values it takes is the service's to check. */
export class Properties {
  readonly #db: Kysely<Schema>
  readonly #clock: Clock

  constructor(db: Kysely<Schema>, clock: Clock) {
    this.#db = db
    this.#clock = clock
  }

  /** Every stored property. @throws StoreError `corrupt` naming the key of an unreadable value. */
  async all(): Promise<ReadonlyMap<string, JsonValue>> {
    const rows = await this.#db.selectFrom('properties').select(['key', 'value']).execute()
    return new Map(rows.map(row => [row.key, read(row.key, row.value)]))
  }

  /** The stored value, `undefined` when there is none. @throws StoreError `corrupt`. */
  async get(key: string): Promise<JsonValue | undefined> {
    const row = await this.#db.selectFrom('properties').select('value').where('key', '=', key).executeTakeFirst()
    return row && read(key, row.value)
  }

  /** Stores or replaces. @throws StoreError `name` for an empty key or one with a NUL, `value` for what JSON cannot say. */
  async set(key: string, value: JsonValue): Promise<void> {
    if (key === '' || key.includes('\0')) throw new StoreError('name', 'a property key may not be empty or hold a NUL')
    const row = { value: write(key, value), changed_at: this.#clock.date().toISOString() }
    await this.#db
      .insertInto('properties')
      .values({ key, ...row })
      .onConflict(conflict => conflict.column('key').doUpdateSet(row))
      .execute()
  }

  /** Forgets the stored value, so that the next lower source counts again; `false` when there was none. */
  async unset(key: string): Promise<boolean> {
    const rows = await this.#db.deleteFrom('properties').where('key', '=', key).returning('key').execute()
    return rows.length > 0
  }
}

function read(key: string, text: string): JsonValue {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new StoreError('corrupt', `the stored property ${key} is not JSON`, error)
  }
}

function write(key: string, value: JsonValue): string {
  // The types forbid them, values that arrive from outside may still bring them: JSON would turn them into null or leave them out.
  const text = JSON.stringify(value, (name, part: unknown) => {
    if (part === undefined || (typeof part === 'number' && !Number.isFinite(part))) {
      throw new StoreError('value', `the property ${key} cannot be stored: ${name || 'its value'} is not JSON`)
    }
    return part
  })
  if (text === undefined) throw new StoreError('value', `the property ${key} cannot be stored: its value is not JSON`)
  return text
}
