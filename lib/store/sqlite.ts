import { chmod, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SqliteDialect } from 'kysely'
import Database from 'libsql'

/** The name under which SQLite keeps a database in memory only. */
export const IN_MEMORY = ':memory:'

/** How long a statement waits for another process (`comity user` beside a running service) before it fails. */
const BUSY_MILLIS = 5000

/** Files that SQLite puts beside a database in WAL mode; it creates them with the mode of the database. */
const COMPANIONS = ['', '-wal', '-shm']

/**
 * Opens (or makes) the SQLite database in `file`, an absolute path or {@link IN_MEMORY}: write-ahead log, one sync per commit, foreign keys
 * enforced, readable by its owner only.
 *
 * @throws whatever the file system or SQLite says: no permission, not a database, no write-ahead log on this file system.
 */
export async function openSqlite(file: string): Promise<SqliteDialect> {
  if (file !== IN_MEMORY) await makePrivate(file)
  const database = new Database(file)
  try {
    database.pragma(`busy_timeout = ${BUSY_MILLIS}`)
    const mode = database.prepare('pragma journal_mode = wal').all()
    if (file !== IN_MEMORY && !isWal(mode[0])) throw new Error('the file system does not support a write-ahead log')
    database.pragma('synchronous = full')
    database.pragma('foreign_keys = on')
  } catch (error) {
    database.close()
    throw error
  }
  return new SqliteDialect({
    database: {
      prepare: sql => database.prepare(sql),
      // libsql lets go of its files only when the last statement is garbage collected. Emptying the log first means that the
      // database file is whole by itself from here on, whenever that is.
      close: () => {
        database.prepare('pragma wal_checkpoint(truncate)').all()
        database.close()
      },
    },
  })
}

function isWal(row: unknown): boolean {
  return typeof row === 'object' && row !== null && 'journal_mode' in row && row.journal_mode === 'wal'
}

/** The database holds keys that stand for passwords: it is made with mode 0600, and an existing one is narrowed to it. */
async function makePrivate(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await (await open(file, 'a', 0o600)).close()
  for (const companion of COMPANIONS) {
    await chmod(file + companion, 0o600).catch((error: unknown) => {
      if (companion === '' || !isMissing(error)) throw error
    })
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
