import { expect } from 'chai'
import { Kysely } from 'kysely'
import type { PermissionEntry } from '../../lib/policy/permission.js'
import { migrate } from '../../lib/store/migrate.js'
import { MIGRATIONS } from '../../lib/store/migrations/all.js'
import { Permissions } from '../../lib/store/permissions.js'
import type { Schema } from '../../lib/store/schema.js'
import { openSqlite } from '../../lib/store/sqlite.js'
import { ManualClock } from '../support/manual-clock.js'

describe('Permissions', () => {
  const clock = new ManualClock()
  let db: Kysely<Schema>
  let permissions: Permissions
  beforeEach(async () => {
    db = new Kysely<Schema>({ dialect: await openSqlite(':memory:') })
    await migrate(db, MIGRATIONS, clock)
    permissions = new Permissions(db, clock)
  })
  afterEach(() => db.destroy())

  const block = (pattern: string, more: Partial<PermissionEntry> = {}): PermissionEntry => ({
    pattern,
    direction: 'both',
    action: 'block',
    demands: {},
    reason: '',
    ...more,
  })

  it('brings every part of an entry back as it was', async () => {
    const entries: PermissionEntry[] = [
      block('*', { reason: "it's “so”" }),
      block('*.bücher.example', { direction: 'in', expires: new Date('2030-12-31T12:00:00.000Z') }),
      {
        pattern: 'a.example',
        direction: 'out',
        action: 'allow',
        demands: { tls: 'optional', proof: 'dialback', strict: false },
        reason: '',
      },
      { pattern: 'b.example', direction: 'both', action: 'allow', demands: { strict: true }, reason: '' },
    ]
    await permissions.put([...entries].reverse())
    expect(await permissions.all()).to.deep.equal(entries.map(entry => ({ ...entry, changedAt: clock.date() })))
  })

  it('pattern and direction name an entry: the same one is replaced, others stay', async () => {
    await permissions.put([
      block('a.example', { reason: 'one', expires: clock.date() }),
      block('a.example', { direction: 'in' }),
    ])
    clock.advance(1000)
    await permissions.put([block('a.example', { reason: 'two' })])
    const all = await permissions.all()
    expect(all.map(({ direction, reason, expires }) => [direction, reason, expires])).to.deep.equal([
      ['both', 'two', undefined],
      ['in', '', undefined],
    ])
    expect(all[0]?.changedAt).to.deep.equal(clock.date())
    expect(await permissions.remove('a.example', 'out')).to.equal(0)
    expect(await permissions.remove('a.example', 'in')).to.equal(1)
    await permissions.put([block('a.example', { direction: 'out' })])
    expect(await permissions.remove('a.example')).to.equal(2)
    expect(await permissions.all()).to.deep.equal([])
  })

  it('stores thousands at once, and nothing when one cannot be stored', async () => {
    const many = Array.from({ length: 2500 }, (_, index) => block(`d${index}.example`))
    await permissions.put(many)
    expect(await permissions.all()).to.have.length(2500)
    const wrong = { ...block('last.example'), reason: null as unknown as string }
    const error = await permissions.put([block('new.example'), ...many, wrong]).catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(Error)
    expect((await permissions.all()).some(({ pattern }) => pattern === 'new.example')).to.equal(false)
  })

  it('an entry that cannot be read stops the reading, and its pattern is named', async () => {
    for (const broken of [
      { action: 'perhaps' },
      { direction: 'up' },
      { tls: 'maybe' },
      { proof: 'word' },
      { expires_at: 'soon' },
    ]) {
      await permissions.put([block('broken.example')])
      await db.updateTable('permissions').set(broken).execute()
      const error = await permissions.all().catch((reason: unknown) => reason)
      expect(error).to.include({ name: 'StoreError', code: 'corrupt' })
      expect(String(error)).to.include('broken.example')
    }
  })
})
