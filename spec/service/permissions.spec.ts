import { expect } from 'chai'
import { AdminRefusal } from '../../lib/admin/admin-socket.js'
import { silentLog } from '../../lib/base/log.js'
import type { PermissionEntry } from '../../lib/policy/permission.js'
import { readExpiry } from '../../lib/service/expiry.js'
import { permissionRoutes } from '../../lib/service/permission-routes.js'
import { StoredPermissions } from '../../lib/service/permissions.js'
import { openStore, type Store } from '../../lib/store/store.js'
import { ManualClock } from '../support/manual-clock.js'

describe('permission entries as an admin manages them', () => {
  const clock = new ManualClock()
  let store: Store
  let told: (readonly PermissionEntry[])[]
  let permissions: StoredPermissions
  beforeEach(async () => {
    store = await openStore({ url: 'sqlite::memory:', dataDirectory: '/', log: silentLog, clock })
    told = []
    permissions = new StoredPermissions(store.permissions, clock, entries => told.push(entries))
  })
  afterEach(() => store.close())

  const refusalOf = async (attempt: Promise<unknown>): Promise<string> => {
    const error = await attempt.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).to.be.instanceOf(AdminRefusal)
    return String((error as AdminRefusal).message)
  }
  const brief = async (): Promise<string[]> =>
    (await permissions.list()).map(({ action, pattern, direction }) => `${action} ${pattern} ${direction}`)

  it('every spelling of a name is one entry', async () => {
    for (const pattern of ['Bücher.Example', 'xn--bcher-kva.example', 'BÜCHER．example.'])
      await permissions.set({ pattern, action: 'block' })
    expect(await brief()).to.deep.equal(['block bücher.example both'])
    await permissions.remove('XN--BCHER-KVA.EXAMPLE')
    expect(await brief()).to.deep.equal([])
  })

  it('the row says what was understood; what is not said stays with the settings', async () => {
    const row = await permissions.set({
      pattern: '*.Old.example',
      action: 'allow',
      direction: 'out',
      tls: 'optional',
      proof: 'dialback',
      strict: false,
      reason: 'until they have TLS',
      expires: '30d',
    })
    expect(row).to.deep.equal({
      pattern: '*.old.example',
      direction: 'out',
      action: 'allow',
      tls: 'optional',
      proof: 'dialback',
      certificates: 'lax',
      reason: 'until they have TLS',
      expires: new Date(clock.date().getTime() + 30 * 86_400_000).toISOString(),
      expired: false,
      changed: clock.date().toISOString(),
    })
    const plain = await permissions.set({ pattern: 'a.example', action: 'allow', proof: 'any' })
    expect(plain).to.include({ direction: 'both', tls: '', proof: '', certificates: '', reason: '', expires: '' })
    clock.advance(31 * 86_400_000)
    expect((await permissions.list()).map(({ expired }) => expired)).to.deep.equal([true, false])
  })

  it('each change is told with all entries, also when changes come at once', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'].map(name => `${name}.example`)
    await Promise.all(names.map(pattern => permissions.set({ pattern, action: 'block' })))
    await permissions.remove('c.example')
    expect(told.map(entries => entries.length)).to.deep.equal([1, 2, 3, 4, 5, 4])
    expect(told.at(-1)?.map(({ pattern }) => pattern)).to.deep.equal(names.filter(name => name !== 'c.example'))
  })

  it('what cannot be is refused in words, and changes nothing', async () => {
    const reasons = [
      await refusalOf(permissions.set({ pattern: 'a b', action: 'block' })),
      await refusalOf(permissions.set({ pattern: 'a.example', action: 'block', tls: 'required' })),
      await refusalOf(permissions.set({ pattern: 'a.example', action: 'allow', tls: 'disabled', proof: 'external' })),
      await refusalOf(permissions.set({ pattern: 'a.example', action: 'block', reason: 'x'.repeat(501) })),
      await refusalOf(permissions.set({ pattern: 'a.example', action: 'block', expires: 'soon' })),
      await refusalOf(permissions.remove('a.example')),
      await refusalOf(permissions.remove('a.example', 'in')),
      await refusalOf(permissions.remove('?')),
    ]
    expect(reasons).to.deep.equal([
      'not a pattern, expected a domain name, *.suffix or *',
      'a blocked domain cannot be asked for a proof, TLS or a certificate',
      'a certificate cannot be shown without TLS',
      'the reason is longer than 500 characters',
      'not a time to come, expected such as 12h, 30d, 2w, 2030-12-31 or 2030-12-31T12:00:00Z',
      'there is no entry for a.example',
      'there is no entry for a.example, direction in',
      'not a pattern, expected a domain name, *.suffix or *',
    ])
    expect(told).to.deep.equal([])
    await permissions.set({ pattern: 'a.example', action: 'block' })
    expect(await brief()).to.deep.equal(['block a.example both'])
  })

  describe('import', () => {
    it('blocks every name, and says what it replaced', async () => {
      await permissions.set({ pattern: 'one.example', action: 'allow' })
      await permissions.set({ pattern: 'two.example', action: 'block', reason: 'old' })
      await permissions.set({ pattern: 'three.example', action: 'allow', direction: 'in' })
      const text = 'One.example\ntwo.example # again\n\nthree.example\n*.four.example\n'
      expect(await permissions.import({ text, reason: 'list', expires: '1w' })).to.deep.equal({
        imported: 4,
        replaced: 2,
        noLongerAllowed: ['one.example'],
      })
      expect(await brief()).to.deep.equal([
        'block *.four.example both',
        'block one.example both',
        'block three.example both',
        'allow three.example in',
        'block two.example both',
      ])
      const imported = (await permissions.list()).filter(({ reason }) => reason === 'list')
      expect(imported).to.have.length(4)
      expect(imported.every(({ expires }) => expires !== '')).to.equal(true)
      expect(told).to.have.length(4)
    })

    it('all or nothing: wrong lines are told with their numbers', async () => {
      const text = 'good.example\nnot a name\n\nfine.example\n*\n'
      expect(await refusalOf(permissions.import({ text }))).to.equal(
        'nothing was imported: line 2: not a domain name: "not a name"; line 5: * would block everybody',
      )
      const long = await refusalOf(permissions.import({ text: '?\n'.repeat(1000) }))
      expect(long).to.match(/line 20: [^;]*; and 980 more$/)
      expect(long.length).to.be.lessThan(2000)
      expect(await brief()).to.deep.equal([])
      expect(told).to.deep.equal([])
    })

    it('a list that would be too long changes nothing', async () => {
      const text = Array.from({ length: 100_001 }, (_, index) => `d${index}.example`).join('\n')
      expect(await refusalOf(permissions.import({ text }))).to.include('more than 100000 entries')
      expect(await brief()).to.deep.equal([])
    })
  })

  it('requests that say something else are refused, and unknown words are not overlooked', async () => {
    const routes = permissionRoutes(permissions, silentLog)
    const ask = async (route: string, body: unknown, query = ''): Promise<unknown> =>
      routes[route]?.({ params: { pattern: 'a.example' }, query: new URLSearchParams(query), body })
    for (const body of [
      undefined,
      [],
      {},
      { pattern: 'a.example' },
      { pattern: 'a.example', action: 'ban' },
      { pattern: 'a.example', action: 'block', direction: 'up' },
      { pattern: 'a.example', action: 'block', port: 1 },
      { pattern: 'a.example', action: 'allow', tls: true },
    ]) {
      await refusalOf(ask('POST /domains', body))
      await refusalOf(ask('POST /domains/import', body))
    }
    await refusalOf(ask('DELETE /domains/:pattern', undefined, 'direction=up'))
    expect(await ask('GET /domains', undefined)).to.deep.equal([])
  })

  describe('expiry', () => {
    const now = new Date('2026-03-01T10:00:00Z')
    for (const [text, moment] of [
      ['45m', '2026-03-01T10:45:00.000Z'],
      ['12h', '2026-03-01T22:00:00.000Z'],
      ['30d', '2026-03-31T10:00:00.000Z'],
      [' 2w ', '2026-03-15T10:00:00.000Z'],
      ['2030-12-31', '2030-12-31T00:00:00.000Z'],
      ['2030-12-31T12:00Z', '2030-12-31T12:00:00.000Z'],
      ['2030-12-31T12:00:01.5Z', '2030-12-31T12:00:01.500Z'],
      ['2026-03-01', undefined],
      ['2026-03-01T10:00:00Z', undefined],
      ['2030-02-30', undefined],
      ['2030-13-01', undefined],
      ['2030-12-31T12:00:00', undefined],
      ['0d', undefined],
      ['-1d', undefined],
      ['1.5d', undefined],
      ['30', undefined],
      ['9999999d', undefined],
      ['', undefined],
      ['tomorrow', undefined],
    ] as const) {
      it(`${JSON.stringify(text)}: ${moment ?? 'not a time to come'}`, () =>
        expect(readExpiry(text, now)?.toISOString()).to.equal(moment))
    }
  })
})
