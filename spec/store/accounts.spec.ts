import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import Database from 'libsql'
import { type Clock, systemClock } from '../../lib/base/clock.js'
import { silentLog } from '../../lib/base/log.js'
import { openStore, type Store } from '../../lib/store/store.js'
import type { StoreError } from '../../lib/store/store-error.js'
import { inDirectory } from './directory.js'

describe('Accounts', () => {
  let today = new Date(0)
  const clock: Clock = { ...systemClock, date: () => today }
  let store: Store
  beforeEach(async () => {
    today = new Date('2024-02-29T12:00:00Z')
    store = await openStore({ url: ':memory:', dataDirectory: '.', log: silentLog, clock })
  })
  afterEach(() => store.close())

  const codeOf = (attempt: Promise<unknown>): Promise<string | undefined> =>
    attempt.then(
      () => undefined,
      (error: StoreError) => error.code,
    )
  const names = async (domain?: string) =>
    (await store.accounts.list(domain)).map(entry => `${entry.local}@${entry.domain}`)

  it('adds an account once', async () => {
    expect(await store.accounts.add('olga', 'north.example', 'pencil')).to.equal('added')
    expect(await store.accounts.add('olga', 'north.example', 'other')).to.equal('exists')
    expect(await store.accounts.add('olga', 'south.example', 'other')).to.equal('added')
    expect(await store.accounts.verifyPassword('olga', 'north.example', 'pencil')).to.equal(true)
    expect(await store.accounts.verifyPassword('olga', 'north.example', 'other')).to.equal(false)
  })

  it('lets exactly one of many concurrent additions win, with its own password', async () => {
    const passwords = ['a', 'b', 'c', 'd', 'e', 'f']
    const results = await Promise.all(passwords.map(word => store.accounts.add('olga', 'north.example', word)))
    expect(results.filter(result => result === 'added')).to.have.length(1)
    const fits = await Promise.all(passwords.map(word => store.accounts.verifyPassword('olga', 'north.example', word)))
    expect(fits).to.deep.equal(results.map(result => result === 'added'))
  })

  it('lets exactly one win between two programs, too', () =>
    inDirectory(async dataDirectory => {
      const open = () => openStore({ url: 'sqlite:', dataDirectory, log: silentLog })
      const stores = [await open(), await open()]
      const results = await Promise.all(stores.map(each => each.accounts.add('olga', 'north.example', 'pencil')))
      expect(results).to.have.members(['added', 'exists'])
      await Promise.all(stores.map(each => each.close()))
    }))

  it('changes the password of an account that exists', async () => {
    await store.accounts.add('olga', 'north.example', 'old')
    const before = await store.accounts.credentials('olga', 'north.example')
    today = new Date('2024-03-01T12:00:00Z')
    expect(await store.accounts.setPassword('olga', 'north.example', 'new')).to.equal(true)
    expect(await store.accounts.verifyPassword('olga', 'north.example', 'old')).to.equal(false)
    expect(await store.accounts.verifyPassword('olga', 'north.example', 'new')).to.equal(true)
    const after = await store.accounts.credentials('olga', 'north.example')
    for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-1'] as const) {
      expect(after?.[mechanism]?.salt.equals(before![mechanism]!.salt), mechanism).to.equal(false)
    }
    expect(await store.accounts.list()).to.deep.equal([
      {
        local: 'olga',
        domain: 'north.example',
        createdAt: new Date('2024-02-29T12:00:00Z'),
        passwordChangedAt: new Date('2024-03-01T12:00:00Z'),
      },
    ])
    expect(await store.accounts.setPassword('nobody', 'north.example', 'new')).to.equal(false)
    expect(await store.accounts.credentials('nobody', 'north.example')).to.equal(undefined)
  })

  it('removes an account with its keys', async () => {
    await store.accounts.add('olga', 'north.example', 'pencil')
    await store.accounts.add('pavel', 'north.example', 'pencil')
    expect(await store.accounts.remove('olga', 'north.example')).to.equal(true)
    expect(await store.accounts.remove('olga', 'north.example')).to.equal(false)
    expect(await store.accounts.credentials('olga', 'north.example')).to.equal(undefined)
    expect(await store.accounts.verifyPassword('olga', 'north.example', 'pencil')).to.equal(false)
    expect(await names()).to.deep.equal(['pavel@north.example'])
    expect(await store.accounts.add('olga', 'north.example', 'again')).to.equal('added')
  })

  it('lists by domain and then name, all or one domain', async () => {
    for (const [local, domain] of [
      ['b', 'y.example'],
      ['a', 'y.example'],
      ['é', 'x.example'],
      ['z', 'x.example'],
    ]) {
      await store.accounts.add(local!, domain!, 'pencil')
    }
    expect(await names()).to.deep.equal(['z@x.example', 'é@x.example', 'a@y.example', 'b@y.example'])
    expect(await names('y.example')).to.deep.equal(['a@y.example', 'b@y.example'])
    expect(await names('none.example')).to.deep.equal([])
  })

  it('takes odd names as data', async () => {
    const odd = [
      '__proto__',
      'constructor',
      "o'neill",
      '"; drop table accounts; --',
      '%',
      '_',
      ' ',
      'a\nb',
      '日本',
      '😀',
      '1',
      'a@b',
    ]
    for (const local of odd) {
      expect(await store.accounts.add(local, 'north.example', 'pencil'), local).to.equal('added')
      expect(await store.accounts.verifyPassword(local, 'north.example', 'pencil'), local).to.equal(true)
    }
    expect(await names()).to.have.members(odd.map(local => `${local}@north.example`))
    for (const local of odd) expect(await store.accounts.remove(local, 'north.example'), local).to.equal(true)
    expect(await names()).to.deep.equal([])
  })

  it('tells names apart that differ in case or form only', async () => {
    await store.accounts.add('olga', 'north.example', 'pencil')
    expect(await store.accounts.credentials('Olga', 'north.example')).to.equal(undefined)
    expect(await store.accounts.credentials('olga', 'north.example.')).to.equal(undefined)
    expect(await store.accounts.credentials('olga\0', 'north.example')).to.equal(undefined)
  })

  it('refuses names with an empty part or a NUL', async () => {
    for (const [local, domain] of [
      ['', 'x.example'],
      ['a', ''],
      ['a\0b', 'x.example'],
      ['a', 'x\0'],
    ]) {
      expect(await codeOf(store.accounts.add(local!, domain!, 'pencil'))).to.equal('name')
    }
    expect(await names()).to.deep.equal([])
  })

  describe('RFC 4013: passwords', () => {
    it('§3: are stored prepared, so that every way to type them fits', async () => {
      await store.accounts.add('olga', 'north.example', 'I\u00adX \u00aa')
      for (const typed of ['IX a', '\u2168 a', 'IX\u00a0\u00aa']) {
        expect(await store.accounts.verifyPassword('olga', 'north.example', typed), typed).to.equal(true)
      }
      expect(await store.accounts.verifyPassword('olga', 'north.example', 'ix a')).to.equal(false)
    })

    for (const [title, password] of [
      ['§3: a control character', '\u0007'],
      ['§3: mixed directions', '\u06271'],
      ['§2.5: a character unassigned in Unicode 3.2', 'pencil😀\u{1fae0}'],
      ['§2.3: half of a surrogate pair', 'pencil\ud800'],
      ['empty', ''],
      ['empty once prepared', '\u00ad'],
      ['longer than 1024 octets', 'é'.repeat(513)],
    ] as const) {
      it(`are refused: ${title}`, async () => {
        expect(await codeOf(store.accounts.add('olga', 'north.example', password))).to.equal('password')
        await store.accounts.add('olga', 'north.example', 'pencil')
        expect(await codeOf(store.accounts.setPassword('olga', 'north.example', password))).to.equal('password')
        expect(await store.accounts.verifyPassword('olga', 'north.example', password)).to.equal(false)
        expect(await store.accounts.verifyPassword('olga', 'north.example', 'pencil')).to.equal(true)
      })
    }

    it('may be 1024 octets long', async () => {
      const password = 'é'.repeat(512)
      expect(await store.accounts.add('olga', 'north.example', password)).to.equal('added')
      expect(await store.accounts.verifyPassword('olga', 'north.example', password)).to.equal(true)
    })
  })

  it('RFC 5802 §5.1, RFC 7677 §4: has keys for both mechanisms, with salts of their own', async () => {
    await store.accounts.add('olga', 'north.example', 'pencil')
    await store.accounts.add('pavel', 'north.example', 'pencil')
    const olga = await store.accounts.credentials('olga', 'north.example')
    const pavel = await store.accounts.credentials('pavel', 'north.example')
    expect(olga?.['SCRAM-SHA-256']?.iterations).to.equal(10_000)
    expect(olga?.['SCRAM-SHA-1']?.iterations).to.equal(4096)
    const all = [olga, pavel].flatMap(each => [each!['SCRAM-SHA-256']!, each!['SCRAM-SHA-1']!])
    expect(all.map(keys => keys.storedKey.length)).to.deep.equal([32, 20, 32, 20])
    expect(all.map(keys => keys.serverKey.length)).to.deep.equal([32, 20, 32, 20])
    expect(all.map(keys => keys.salt.length)).to.deep.equal([16, 16, 16, 16])
    expect(new Set(all.map(keys => keys.salt.toString('hex'))).size).to.equal(4)
  })

  it('keeps the password nowhere on disk', () =>
    inDirectory(async dataDirectory => {
      const onDisk = await openStore({ url: 'sqlite:', dataDirectory, log: silentLog })
      await onDisk.accounts.add('olga', 'north.example', 'unmistakable-pencil')
      await onDisk.close()
      const file = join(dataDirectory, 'comity.sqlite')
      const bytes = await readFile(file)
      expect(bytes.includes('north.example')).to.equal(true)
      expect(bytes.includes('unmistakable')).to.equal(false)
      const database = new Database(file)
      expect(database.prepare('select count(*) as keys from scram_keys').all()).to.deep.equal([{ keys: 2 }])
      database.close()
    }))
})
