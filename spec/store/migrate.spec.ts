import { expect } from 'chai'
import { Kysely, sql } from 'kysely'
import { systemClock } from '../../lib/base/clock.js'
import { type Migration, migrate } from '../../lib/store/migrate.js'
import { MIGRATIONS } from '../../lib/store/migrations/all.js'
import type { Schema } from '../../lib/store/schema.js'
import { openSqlite } from '../../lib/store/sqlite.js'

describe('migrate', () => {
  let db: Kysely<Schema>
  beforeEach(async () => {
    db = new Kysely<Schema>({ dialect: await openSqlite(':memory:') })
  })
  afterEach(() => db.destroy())

  const tableStep = (version: number, table: string): Migration => ({
    version,
    up: async transaction => {
      await transaction.schema.createTable(table).addColumn('id', 'integer').execute()
    },
  })
  const tables = async () => (await db.introspection.getTables()).map(table => table.name)

  it('runs every step once, on a fresh database and on an older one', async () => {
    expect(await migrate(db, [tableStep(1, 'a')], systemClock)).to.deep.equal({ from: 0, to: 1 })
    expect(await migrate(db, [tableStep(1, 'a')], systemClock)).to.deep.equal({ from: 1, to: 1 })
    const all = [tableStep(1, 'a'), tableStep(2, 'b'), tableStep(3, 'c')]
    expect(await migrate(db, all, systemClock)).to.deep.equal({ from: 1, to: 3 })
    expect(await tables()).to.have.members(['schema_version', 'a', 'b', 'c'])
  })

  it('undoes all steps when one fails', async () => {
    await migrate(db, [tableStep(1, 'a')], systemClock)
    const failing: Migration = {
      version: 3,
      up: async transaction => {
        await sql`select no_such_column from a`.execute(transaction)
      },
    }
    const error = await migrate(db, [tableStep(1, 'a'), tableStep(2, 'b'), failing], systemClock).catch(
      (reason: unknown) => reason,
    )
    expect(error).to.be.instanceOf(Error)
    expect(await tables()).to.have.members(['schema_version', 'a'])
    expect(await migrate(db, [tableStep(1, 'a'), tableStep(2, 'b')], systemClock)).to.deep.equal({ from: 1, to: 2 })
  })

  it('refuses a database newer than the program', async () => {
    await migrate(db, [tableStep(1, 'a'), tableStep(2, 'b')], systemClock)
    const error = await migrate(db, [tableStep(1, 'a')], systemClock).catch((reason: unknown) => reason)
    expect(error).to.include({ name: 'StoreError', code: 'newer' })
  })

  it('the steps of the program are numbered 1, 2, 3 …', () => {
    expect(MIGRATIONS.map(step => step.version)).to.deep.equal(MIGRATIONS.map((_, index) => index + 1))
  })
})
