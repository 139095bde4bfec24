import type { Kysely } from 'kysely'
import type { Clock } from '../base/clock.js'
import type { PermissionDirection, PermissionEntry } from '../policy/permission.js'
import type { PermissionsTable, Schema } from './schema.js'
import { StoreError } from './store-error.js'

/** An entry and when it was last said. */
export interface StoredPermission extends PermissionEntry {
  readonly changedAt: Date
}

/** Rows of one statement: databases bound the number of values. */
const ROWS_PER_STATEMENT = 100

/** The permission entries for remote domains. Patterns are canonical: what they mean is the policy's to know. */
export class Permissions {
  readonly #db: Kysely<Schema>
  readonly #clock: Clock

  constructor(db: Kysely<Schema>, clock: Clock) {
    this.#db = db
    this.#clock = clock
  }

  /** Every entry by pattern and direction. @throws StoreError `corrupt` naming the pattern of an entry that cannot be read. */
  async all(): Promise<readonly StoredPermission[]> {
    const rows = await this.#db.selectFrom('permissions').selectAll().execute()
    // Sorted here, because each database has its own idea of the order of letters.
    return rows.map(read).sort((a, b) => compare(a.pattern, b.pattern) || compare(a.direction, b.direction))
  }

  /** Stores entries, all or none; each replaces the one of its pattern and direction. */
  async put(entries: readonly PermissionEntry[]): Promise<void> {
    const changed_at = this.#clock.date().toISOString()
    await this.#db.transaction().execute(async transaction => {
      for (let start = 0; start < entries.length; start += ROWS_PER_STATEMENT) {
        await transaction
          .insertInto('permissions')
          .values(entries.slice(start, start + ROWS_PER_STATEMENT).map(entry => write(entry, changed_at)))
          .onConflict(conflict =>
            conflict.columns(['pattern', 'direction']).doUpdateSet(row => ({
              action: row.ref('excluded.action'),
              tls: row.ref('excluded.tls'),
              proof: row.ref('excluded.proof'),
              strict: row.ref('excluded.strict'),
              reason: row.ref('excluded.reason'),
              expires_at: row.ref('excluded.expires_at'),
              changed_at: row.ref('excluded.changed_at'),
            })),
          )
          .execute()
      }
    })
  }

  /** Removes the entries of a pattern, or that of one direction; the result is how many there were. */
  async remove(pattern: string, direction?: PermissionDirection): Promise<number> {
    const all = this.#db.deleteFrom('permissions').where('pattern', '=', pattern)
    const rows = await (direction === undefined ? all : all.where('direction', '=', direction))
      .returning('pattern')
      .execute()
    return rows.length
  }
}

function write(
  { pattern, direction, action, demands, reason, expires }: PermissionEntry,
  changed_at: string,
): PermissionsTable {
  const { tls = null, proof = null, strict } = demands
  return {
    pattern,
    direction,
    action,
    tls,
    proof,
    strict: strict === undefined ? null : Number(strict),
    reason,
    expires_at: expires?.toISOString() ?? null,
    changed_at,
  }
}

function read(row: PermissionsTable): StoredPermission {
  const fail = (): never => {
    throw new StoreError('corrupt', `the stored permission of ${row.pattern} cannot be read`)
  }
  const date = (text: string): Date => {
    const moment = new Date(text)
    return Number.isNaN(moment.getTime()) ? fail() : moment
  }
  const demands = {
    ...(row.tls !== null && { tls: oneOf(row.tls, ['disabled', 'optional', 'required']) ?? fail() }),
    ...(row.proof !== null && { proof: oneOf(row.proof, ['external', 'dialback']) ?? fail() }),
    ...(row.strict !== null && { strict: row.strict === 1 }),
  }
  return {
    pattern: row.pattern,
    direction: oneOf(row.direction, ['in', 'out', 'both']) ?? fail(),
    action: oneOf(row.action, ['allow', 'block']) ?? fail(),
    demands,
    reason: row.reason,
    ...(row.expires_at !== null && { expires: date(row.expires_at) }),
    changedAt: date(row.changed_at),
  }
}

function oneOf<const W extends string>(text: string, words: readonly W[]): W | undefined {
  return words.find(word => word === text)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
