import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import Database from 'libsql'
import { silentLog } from '../../lib/base/log.js'
import { MIGRATIONS } from '../../lib/store/migrations/all.js'
import { openStore, type Store } from '../../lib/store/store.js'
import { StoreError } from '../../lib/store/store-error.js'
import { inDirectory } from './directory.js'

const open = (dataDirectory: string, url = 'sqlite:'): Promise<Store> =>
  openStore({ url, dataDirectory, log: silentLog })

async function refusal(attempt: Promise<unknown>): Promise<StoreError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof StoreError)) throw new Error(`expected a StoreError, got ${String(error)}`)
  return error
}

async function withStore(directory: string, action: (store: Store) => Promise<unknown>, url?: string): Promise<void> {
  const store = await open(directory, url)
  try {
    await action(store)
  } finally {
    await store.close()
  }
}

describe('openStore', () => {
  it('makes the data directory and the database, both for the owner only', () =>
    inDirectory(async directory => {
      const data = join(directory, 'deep', 'data')
      await withStore(data, async store => {
        await store.properties.set('key', 1)
        expect((await stat(data)).mode & 0o777).to.equal(0o700)
        for (const file of await readdir(data))
          expect((await stat(join(data, file))).mode & 0o777, file).to.equal(0o600)
        expect(await readdir(data)).to.include.members(['comity.sqlite', 'comity.sqlite-wal'])
      })
    }))

  it('narrows a database that others may read', () =>
    inDirectory(async directory => {
      await withStore(directory, async () => {})
      const file = join(directory, 'comity.sqlite')
      await chmod(file, 0o644)
      await withStore(directory, async () => expect((await stat(file)).mode & 0o777).to.equal(0o600))
    }))

  it('takes a file relative to the data directory, or an absolute one', () =>
    inDirectory(async directory => {
      await withStore(directory, store => store.properties.set('key', 'relative'), 'sqlite:other/a.db')
      await withStore(
        '/nowhere',
        async store => expect(await store.properties.get('key')).to.equal('relative'),
        `sqlite:${join(directory, 'other', 'a.db')}`,
      )
    }))

  it('keeps everything over close and open', () =>
    inDirectory(async directory => {
      let secret = ''
      await withStore(directory, async store => {
        await store.accounts.add('olga', 'north.example', 'pencil')
        await store.properties.set('ximss.channels', 7)
        secret = await store.secrets.dialbackSecret()
      })
      await withStore(directory, async store => {
        expect(await store.accounts.verifyPassword('olga', 'north.example', 'pencil')).to.equal(true)
        expect(await store.properties.get('ximss.channels')).to.equal(7)
        expect(await store.secrets.dialbackSecret()).to.equal(secret)
      })
    }))

  it('keeps what was written when the process ends without a close', () =>
    inDirectory(async directory => {
      const crashed = await open(directory)
      await crashed.properties.set('key', 'written')
      await withStore(directory, async store => expect(await store.properties.get('key')).to.equal('written'))
      await crashed.close()
    }))

  it('leaves nothing in the log file at close: the database file is whole by itself', () =>
    inDirectory(async directory => {
      await withStore(directory, store => store.properties.set('key', 1))
      const sizes = await Promise.all(
        (await readdir(directory)).filter(name => name.endsWith('-wal')).map(name => stat(join(directory, name))),
      )
      expect(sizes.map(({ size }) => size).filter(size => size > 0)).to.deep.equal([])
    }))

  it('serves two programs at once', () =>
    inDirectory(async directory => {
      const [one, two] = await Promise.all([open(directory), open(directory)])
      await Promise.all([one.properties.set('one', 1), two.properties.set('two', 2)])
      expect([...(await one.properties.all()).keys()]).to.have.members(['one', 'two'])
      expect(await one.secrets.dialbackSecret()).to.equal(await two.secrets.dialbackSecret())
      await Promise.all([one.close(), two.close()])
    }))

  it('refuses a database that a newer program has written, and leaves it as it is', () =>
    inDirectory(async directory => {
      await withStore(directory, store => store.properties.set('key', 1))
      const newest = MIGRATIONS.length
      const database = new Database(join(directory, 'comity.sqlite'))
      database.exec(`update schema_version set version = ${newest + 1}`)
      const error = await refusal(open(directory))
      expect(error.code).to.equal('newer')
      expect(error.message)
        .to.contain(`version ${newest + 1}`)
        .and.contain(`up to ${newest}`)
      expect(database.prepare('select version from schema_version').all()).to.deep.equal([{ version: newest + 1 }])
      database.close()
    }))

  it('refuses what is not a database', () =>
    inDirectory(async directory => {
      await writeFile(join(directory, 'comity.sqlite'), 'a text that is long enough to be read as a header '.repeat(4))
      const error = await refusal(open(directory))
      expect(error.code).to.equal('open')
      expect(error.message).to.contain('comity.sqlite').and.contain('not a database')
      expect(error.cause).to.be.instanceOf(Error)
    }))

  it('refuses a file that is a directory', () =>
    inDirectory(async directory => {
      await mkdir(join(directory, 'comity.sqlite'))
      expect((await refusal(open(directory))).code).to.equal('open')
    }))

  it('refuses an address it does not know, without repeating it', async () => {
    for (const url of ['postgres://comity:hidden@db/comity', 'mysql:hidden', 'hidden', '']) {
      const error = await refusal(open('/nowhere', url))
      expect(error.code, url).to.equal('url')
      expect(error.message).to.not.contain('hidden')
    }
  })

  it('in memory: begins empty, and is gone after close', async () => {
    for (const url of [':memory:', 'sqlite::memory:']) {
      const store = await open('/nowhere', url)
      expect(await store.accounts.list()).to.deep.equal([])
      await store.accounts.add('olga', 'north.example', 'pencil')
      await store.close()
    }
  })

  it('may be closed twice; afterwards its parts reject', async () => {
    const store = await open('/nowhere', ':memory:')
    await Promise.all([store.close(), store.close()])
    const error = await store.accounts.list().catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(Error)
  })
})
