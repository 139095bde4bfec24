import { expect } from 'chai'
import { type AdminCall, AdminRefusal } from '../../lib/admin/admin-socket.js'
import { silentLog } from '../../lib/base/log.js'
import { loadConfig } from '../../lib/service/config.js'
import { ConfigInvalid } from '../../lib/service/config-problems.js'
import { propertyRoutes } from '../../lib/service/property-routes.js'
import { type Change, Settings, settingsOf } from '../../lib/service/settings.js'
import { openStore } from '../../lib/store/store.js'

describe('settings', () => {
  it('a change is checked, applied, told to listeners and says whether it counts at once', () => {
    const settings = settingsOf({})
    const changes: Change[] = []
    settings.onChange(change => changes.push(change))
    const levels: string[] = []
    const end = settings.onChangeOf('log.level', level => levels.push(level))

    expect(settings.apply('log.level', 'debug', 'stored')).to.deep.equal({
      ok: true,
      key: 'log.level',
      value: 'debug',
      source: 'stored',
      changed: true,
      takesEffect: 'now',
      atOnce: true,
    })
    expect(settings.apply('log.format', 'json', 'stored')).to.include({ takesEffect: 'restart', atOnce: false })
    expect(changes.map(({ key, value, previous }) => [key, value, previous])).to.deep.equal([
      ['log.level', 'debug', 'info'],
      ['log.format', 'json', 'auto'],
    ])
    end()
    expect(settings.unset('log.level', 'stored')).to.include({ value: 'info', source: 'default', changed: true })
    expect(levels).to.deep.equal(['debug'])
    expect(settings.get('log.level')).to.equal('info')
  })

  it('a wrong change changes nothing', () => {
    const settings = settingsOf({})
    settings.onChange(() => expect.fail('told of a change'))
    const wrong = [
      settings.apply('log.level', 'loud', 'stored'),
      settings.apply('log.levle', 'info', 'stored'),
      settings.apply('data.directory', 'x', 'stored'),
      settings.apply('xmpp.server.backoff.initial', '1h', 'stored'),
      settings.unset('nothing', 'stored'),
    ]
    expect(wrong.map(result => (result.ok ? '' : result.problem.problem))).to.deep.equal([
      'not one of the choices',
      'unknown key, did you mean log.level?',
      'cannot be a stored property, it is needed to find them; set it in the file',
      'greater than xmpp.server.backoff.max',
      'unknown key',
    ])
    expect(settings.rows()).to.deep.equal(settingsOf({}).rows())
  })

  it('a change below a stronger source stays hidden', () => {
    const settings = settingsOf({ 'log.level': 'warn' })
    expect(settings.apply('log.level', 'debug', 'stored')).to.include({ value: 'warn', source: 'set', changed: false })
    expect(settings.unset('log.level', 'set')).to.include({ value: 'debug', source: 'stored', changed: true })
  })

  it('stored properties are taken in together or not at all', () => {
    const settings = settingsOf({})
    expect(() =>
      settings.useStored(
        new Map([
          ['log.level', 'debug'],
          ['log.format', 'xml'],
        ]),
      ),
    ).to.throw(ConfigInvalid, /^log\.format: /)
    expect(settings.get('log.level')).to.equal('info')
    settings.useStored(new Map<string, unknown>([['ximss.channels', 7]]))
    expect([settings.get('ximss.channels'), settings.source('ximss.channels')]).to.deep.equal([7, 'stored'])
  })

  it('reading file and environment again keeps live changes', () => {
    const load = (level: string): Settings => {
      const loaded = loadConfig({ file: null, env: { COMITY_LOG_LEVEL: level }, sets: [] })
      if (!loaded.ok) throw new ConfigInvalid(loaded.problems)
      return new Settings(loaded.config)
    }
    const settings = load('warn')
    settings.apply('ximss.channels', 7, 'stored')
    const loaded = loadConfig({ file: null, env: { COMITY_LOG_LEVEL: 'error' }, sets: [] })
    if (!loaded.ok) throw new ConfigInvalid(loaded.problems)
    const changed: string[] = []
    settings.onChange(({ key }) => changed.push(key))
    const takeBack = settings.reload(loaded.config)
    expect(changed).to.deep.equal(['log.level'])
    expect([settings.get('log.level'), settings.get('ximss.channels')]).to.deep.equal(['error', 7])
    takeBack()
    expect(settings.get('log.level')).not.to.equal('error')
    expect(settings.get('ximss.channels')).to.equal(7)
  })

  it('dns.override: a pattern is a name, *.suffix or *', () => {
    const routed = (pattern: string): unknown =>
      settingsOf({ 'dns.override': { [pattern]: 'localhost:1' } }).get('dns.override')
    for (const pattern of ['north.example', '*.example', '*', '192.0.2.1'])
      expect(routed(pattern)).to.have.property(pattern)
    for (const pattern of ['', 'a*.example', '*.*', '**', 'x..y']) {
      expect(() => routed(pattern), pattern).to.throw(ConfigInvalid)
    }
  })

  it('refuses wrong values of a program that embeds the service', () => {
    expect(() => settingsOf({ 'ximss.channels': -1, nothing: 1 })).to.throw(
      ConfigInvalid,
      /ximss\.channels: out of range[\s\S]*nothing: unknown key/,
    )
  })

  it('property routes apply and store, and a change outlives the settings', async () => {
    const store = await openStore({ url: 'sqlite::memory:', dataDirectory: '.', log: silentLog })
    try {
      const settings = settingsOf({})
      const routes = propertyRoutes({ settings, properties: store.properties, log: silentLog, settled: async () => {} })
      const call = (route: string, key: string, body?: unknown): unknown =>
        routes[route]?.({ params: { key }, query: new URLSearchParams(), body } satisfies AdminCall)
      expect(await call('PUT /properties/:key', 'ximss.channels', { value: '7' })).to.include({
        value: '7',
        source: 'stored',
        atOnce: true,
      })
      expect(call('GET /properties/:key', 'ximss.channels')).to.include({
        value: '7',
        default: '100',
        source: 'stored',
      })
      const later = settingsOf({})
      later.useStored(await store.properties.all())
      expect(later.get('ximss.channels')).to.equal(7)
      expect(await call('DELETE /properties/:key', 'ximss.channels')).to.include({ value: '100', source: 'default' })
      expect((await store.properties.all()).size).to.equal(0)
      const refusal = await Promise.resolve(call('PUT /properties/:key', 'ximss.channels', { value: 'x' })).catch(
        (error: unknown) => error,
      )
      expect(refusal)
        .to.be.instanceOf(AdminRefusal)
        .with.property('message')
        .that.matches(/^ximss\.channels: not a whole number/)
      expect(() => call('PUT /properties/:key', 'ximss.channels', 'x')).to.throw(AdminRefusal, 'expected {"value": …}')
    } finally {
      await store.close()
    }
  })

  it('a change that cannot be stored is taken back', async () => {
    const settings = settingsOf({})
    const failing = {
      all: async () => new Map(),
      set: () => Promise.reject(new Error('disk full')),
      unset: async () => false,
    }
    const routes = propertyRoutes({ settings, properties: failing, log: silentLog, settled: async () => {} })
    const failure = await Promise.resolve(
      routes['PUT /properties/:key']?.({
        params: { key: 'log.level' },
        query: new URLSearchParams(),
        body: { value: 'debug' },
      }),
    ).catch((error: unknown) => error)
    expect(failure).to.have.property('message', 'disk full')
    expect(settings.get('log.level')).to.equal('info')
  })
})
