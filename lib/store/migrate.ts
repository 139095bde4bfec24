import type { Kysely } from 'kysely'
import type { Clock } from '../base/clock.js'
import type { Schema } from './schema.js'
import { StoreError } from './store-error.js'

/** One numbered step of the schema. A published step is never edited: a change is a new step. */
export interface Migration {
  readonly version: number
  up(db: Kysely<Schema>): Promise<void>
}

/** The schema version found and the one left behind. */
export interface MigrationResult {
  readonly from: number
  readonly to: number
}

/**
 * Brings the database to the last of `migrations` (numbered 1, 2, 3 …) in one transaction: all steps happen or none.
 *
 * @throws StoreError `newer` when the database is newer than the program; nothing is changed then.
 */
export async function migrate(
  db: Kysely<Schema>,
  migrations: readonly Migration[],
  clock: Clock,
): Promise<MigrationResult> {
  const newest = migrations.at(-1)?.version ?? 0
  await db.schema
    .createTable('schema_version')
    .ifNotExists()
    .addColumn('id', 'integer', column => column.primaryKey())
    .addColumn('version', 'integer', column => column.notNull())
    .addColumn('changed_at', 'text', column => column.notNull())
    .execute()
  return db.transaction().execute(async transaction => {
    const changed_at = clock.date().toISOString()
    // The first statement writes, so two programs that start at the same time migrate one after the other on every database.
    await transaction
      .insertInto('schema_version')
      .values({ id: 1, version: 0, changed_at })
      .onConflict(conflict => conflict.column('id').doNothing())
      .execute()
    const { version: from } = await transaction
      .selectFrom('schema_version')
      .select('version')
      .where('id', '=', 1)
      .executeTakeFirstOrThrow()
    if (from > newest) {
      const text = `the database has schema version ${from}, this program knows versions up to ${newest}: start the newer program, or restore a backup made before the upgrade`
      throw new StoreError('newer', text)
    }
    const steps = migrations.filter(step => step.version > from)
    for (const step of steps) await step.up(transaction)
    if (steps.length > 0) {
      await transaction.updateTable('schema_version').set({ version: newest, changed_at }).where('id', '=', 1).execute()
    }
    return { from, to: newest }
  })
}
