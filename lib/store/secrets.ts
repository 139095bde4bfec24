import { randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Schema } from './schema.js'

/** Bytes of a secret: 256 bit. */
const SECRET_BYTES = 32

/** Random values made once per installation. */
export class Secrets {
  readonly #db: Kysely<Schema>

  constructor(db: Kysely<Schema>) {
    this.#db = db
  }

  /** What dialback keys are derived from (XEP-0185): 64 lower-case hexadecimal digits, the same after every restart. */
  dialbackSecret(): Promise<string> {
    return this.#madeOnce('dialback')
  }

  /** What the salts of accounts that do not exist are derived from: 64 lower-case hexadecimal digits. */
  fakeSaltSecret(): Promise<string> {
    return this.#madeOnce('fake-salt')
  }

  async #madeOnce(name: string): Promise<string> {
    // Insert first, then read: whoever comes second, in this process or another, gets the first one's value.
    await this.#db
      .insertInto('secrets')
      .values({ name, value: randomBytes(SECRET_BYTES).toString('hex') })
      .onConflict(conflict => conflict.column('name').doNothing())
      .execute()
    const row = await this.#db.selectFrom('secrets').select('value').where('name', '=', name).executeTakeFirstOrThrow()
    return row.value
  }
}
