import { expect } from 'chai'
import fc from 'fast-check'
import { Kysely } from 'kysely'
import { systemClock } from '../../lib/base/clock.js'
import { migrate } from '../../lib/store/migrate.js'
import { MIGRATIONS } from '../../lib/store/migrations/all.js'
import { type JsonValue, Properties } from '../../lib/store/properties.js'
import type { Schema } from '../../lib/store/schema.js'
import { openSqlite } from '../../lib/store/sqlite.js'
import type { StoreError } from '../../lib/store/store-error.js'

describe('Properties', () => {
  let db: Kysely<Schema>
  let properties: Properties
  beforeEach(async () => {
    db = new Kysely<Schema>({ dialect: await openSqlite(':memory:') })
    await migrate(db, MIGRATIONS, systemClock)
    properties = new Properties(db, systemClock)
  })
  afterEach(() => db.destroy())

  const failureOf = (attempt: Promise<unknown>): Promise<StoreError | undefined> =>
    attempt.then(
      () => undefined,
      (error: StoreError) => error,
    )

  it('sets, replaces, reads and forgets', async () => {
    expect(await properties.get('ximss.channels')).to.equal(undefined)
    await properties.set('ximss.channels', 5)
    await properties.set('ximss.channels', 6)
    await properties.set('xmpp.domains', ['north.example', 'south.example'])
    expect(await properties.get('ximss.channels')).to.equal(6)
    expect([...(await properties.all())]).to.have.deep.members([
      ['ximss.channels', 6],
      ['xmpp.domains', ['north.example', 'south.example']],
    ])
    expect(await properties.unset('ximss.channels')).to.equal(true)
    expect(await properties.unset('ximss.channels')).to.equal(false)
    expect(await properties.get('ximss.channels')).to.equal(undefined)
    expect((await properties.all()).size).to.equal(1)
  })

  it('stores null and false as values', async () => {
    for (const value of [null, false, 0, ''] as const) {
      await properties.set('key', value)
      expect(await properties.get('key')).to.equal(value)
    }
  })

  it('takes odd keys as data', async () => {
    const odd = ['__proto__', 'constructor', 'toString', "a'b", '%', ' ', 'Ключ', '😀']
    for (const key of odd) await properties.set(key, { key })
    for (const key of odd) expect(await properties.get(key)).to.deep.equal({ key })
    expect([...(await properties.all()).keys()]).to.have.members(odd)
    expect(await properties.get('hasOwnProperty')).to.equal(undefined)
  })

  it('brings every JSON value back as it was', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', minLength: 1 }),
        fc.jsonValue({ stringUnit: 'binary' }),
        async (key, value) => {
          fc.pre(!key.includes('\0'))
          const text = JSON.stringify(value)
          await properties.set(key, value as JsonValue)
          expect(JSON.stringify(await properties.get(key))).to.equal(text)
          expect(JSON.stringify((await properties.all()).get(key))).to.equal(text)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('keeps __proto__ inside a value as a name', async () => {
    const value: JsonValue = JSON.parse('{"__proto__":{"isAdmin":true}}')
    await properties.set('key', value)
    const back = await properties.get('key')
    expect(JSON.stringify(back)).to.equal('{"__proto__":{"isAdmin":true}}')
    expect(Object.getPrototypeOf(back)).to.equal(Object.prototype)
  })

  it('refuses keys that are empty or hold a NUL', async () => {
    for (const key of ['', 'a\0b']) expect((await failureOf(properties.set(key, 1)))?.code).to.equal('name')
    expect((await properties.all()).size).to.equal(0)
  })

  it('refuses what JSON would turn into something else', async () => {
    for (const value of [Number.NaN, [Number.POSITIVE_INFINITY], { a: Number.NaN }]) {
      expect((await failureOf(properties.set('key', value)))?.code).to.equal('value')
    }
    expect(await properties.get('key')).to.equal(undefined)
  })

  it('names the key of a value that is not JSON', async () => {
    await db.insertInto('properties').values({ key: 'broken', value: '{secret', changed_at: '' }).execute()
    for (const attempt of [properties.get('broken'), properties.all()]) {
      const error = await failureOf(attempt)
      expect(error?.code).to.equal('corrupt')
      expect(error?.message).to.contain('broken').and.not.contain('secret')
    }
  })
})
