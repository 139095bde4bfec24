import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { AdminRefusal, AdminSocket } from '../../lib/admin/admin-socket.js'
import { systemClock } from '../../lib/base/clock.js'
import { silentLog } from '../../lib/base/log.js'
import type { PasswordInput } from '../../lib/service/cli/io.js'
import { main } from '../../lib/service/cli/main.js'
import { table } from '../../lib/service/cli/table.js'
import type { RouteRow, SessionRow } from '../../lib/service/contract.js'
import { propertyRoutes } from '../../lib/service/property-routes.js'
import { settingsOf } from '../../lib/service/settings.js'
import { StoredUsers, userRoutes } from '../../lib/service/users.js'
import { openStore } from '../../lib/store/store.js'

interface Outcome {
  readonly status: number
  readonly output: string
  readonly errors: string
}

const PASSWORD = 'MARKED-PASSWORD'

describe('command line', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'comity-cli-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const runWith = async (args: readonly string[], input: PasswordInput): Promise<Outcome> => {
    let output = ''
    let errors = ''
    const status = await main(
      [...args, ...(args.includes('--help') ? [] : ['--set', `data.directory=${directory}`])],
      {
        input,
        output: { write: text => (output += text) },
        errors: { write: text => (errors += text) },
        env: {},
      },
      {
        version: '1.2.3',
        loadService: () => Promise.reject(new Error('not in this spec')),
        loadDemo: async () => options => {
          options.print(`once ${options.once} \u001b[2J`)
          return Promise.resolve(options.sets.some(([key]) => key === 'log.level'))
        },
      },
    )
    return { status, output, errors }
  }
  const run = (args: readonly string[], input = ''): Promise<Outcome> => {
    const stream = new PassThrough()
    stream.end(input)
    return runWith(args, stream)
  }

  it('wrong usage exits with 2, help with 0', async () => {
    for (const args of [
      ['frobnicate'],
      ['user'],
      ['user', 'add'],
      ['sessions', '--kind', 'x'],
      ['sessions', '--frob'],
      ['close'],
      ['property', 'set', 'a'],
      ['check-config', '--set', 'x'],
    ]) {
      const { status, output, errors } = await run(args)
      expect([args, status, output]).to.deep.equal([args, 2, ''])
      expect(errors).not.to.equal('')
    }
    for (const command of [
      'start',
      'demo',
      'check-config',
      'user add',
      'user passwd',
      'user remove',
      'user list',
      'sessions',
      'close',
      'routes',
      'property list',
      'property get',
      'property set',
      'property unset',
    ]) {
      const { status, output } = await run([...command.split(' '), '--help'])
      expect(status, command).to.equal(0)
      expect(output).to.include(`comity ${command}`).and.include('--config').and.include('--set')
    }
    expect(await run(['--help'])).to.include({ status: 0, errors: '' })
  })

  it('commands that need a service say plainly that none runs', async () => {
    for (const args of [
      ['sessions'],
      ['close', 'S2SI-00001'],
      ['routes'],
      ['property', 'list'],
      ['property', 'set', 'log.level', 'debug'],
    ]) {
      const { status, output, errors } = await run(args)
      expect([status, output]).to.deep.equal([1, ''])
      expect(errors).to.match(
        /^comity: no service runs here: nobody answers at .*admin\.sock\. Start one with "comity start"/,
      )
    }
  })

  it('user: without a service the accounts of the store are managed, and no password is shown', async () => {
    const all = [
      await run(['user', 'add', 'Olga@localhost'], `${PASSWORD}\nmore\n`),
      await run(['user', 'add', 'olga@localhost'], PASSWORD),
      await run(['user', 'passwd', 'olga@localhost'], `${PASSWORD}2\r\n`),
      await run(['user', 'passwd', 'ivan@localhost'], PASSWORD),
      await run(['user', 'add', 'ivan@elsewhere.example'], PASSWORD),
      await run(['user', 'add', 'localhost'], PASSWORD),
      await run(['user', 'add', 'ivan@localhost'], '\n'),
      await run(['user', 'list', '--json']),
    ]
    expect(all.map(({ status }) => status)).to.deep.equal([0, 1, 0, 1, 1, 1, 1, 0])
    expect(all.map(({ errors }) => errors)).to.deep.equal([
      '',
      'comity: olga@localhost exists already\n',
      '',
      'comity: there is no ivan@localhost\n',
      'comity: elsewhere.example is not served here, xmpp.domains is localhost\n',
      'comity: not the address of an account, expected name@domain\n',
      'comity: the password is empty, nothing was changed\n',
      '',
    ])
    expect(JSON.parse(all[7]?.output ?? ''))
      .to.have.length(1)
      .and.have.nested.property('[0].jid', 'olga@localhost')
    expect(JSON.stringify(all)).not.to.include(PASSWORD)
    const store = await openStore({ url: 'sqlite:', dataDirectory: directory, log: silentLog })
    expect(await store.accounts.verifyPassword('olga', 'localhost', `${PASSWORD}2`)).to.equal(true)
    await store.close()
    expect((await run(['user', 'remove', 'olga@localhost'])).output).to.equal('removed olga@localhost\n')
    expect((await run(['user', 'list'])).output).to.equal('ACCOUNT  CREATED  PASSWORD CHANGED\n')
  })

  it('user: on a terminal the password is asked for twice and not shown', async () => {
    const modes: boolean[] = []
    const type = (...keys: string[]): PasswordInput => {
      const stream = new PassThrough()
      for (const key of keys) stream.write(key)
      return Object.assign(stream, { isTTY: true, setRawMode: (raw: boolean) => modes.push(raw) })
    }
    const added = await runWith(
      ['user', 'add', 'olga@localhost'],
      type(`wrong\u0015${PASSWORD}x\u007f\r`, `${PASSWORD}\n`),
    )
    expect(added).to.deep.equal({ status: 0, output: 'added olga@localhost\n', errors: 'Password: \nOnce more: \n' })
    expect(modes).to.deep.equal([true, false, true, false])
    const differing = await runWith(['user', 'passwd', 'olga@localhost'], type('a\r', 'b\r'))
    expect(differing).to.include({ status: 1 }).and.have.property('errors').that.includes('the two passwords differ')
    const cancelled = await runWith(['user', 'passwd', 'olga@localhost'], type('a\u0003'))
    expect(cancelled).to.include({ status: 1 }).and.have.property('errors').that.includes('cancelled')
    expect(modes.at(-1)).to.equal(false)
  })

  it('talks to the running service: sessions, close, routes, users, properties', async () => {
    const store = await openStore({ url: 'sqlite::memory:', dataDirectory: directory, log: silentLog })
    const settings = settingsOf({ 'log.format': 'json' })
    const sessions: SessionRow[] = [
      {
        id: 'S2SI-00001',
        kind: 's2s-in',
        subject: 'north.example → sou\u001bth.example',
        address: '192.0.2.1',
        connected: '2026-01-01T00:00:00.000Z',
        state: 'established',
      },
    ]
    const routes: RouteRow[] = [
      { target: 'olga@north.example/x', kind: 'local', via: 'XIMSS-00001', since: '2026-01-01T00:00:00.000Z' },
    ]
    const socket = new AdminSocket({
      path: join(directory, 'admin.sock'),
      log: silentLog,
      clock: systemClock,
      routes: {
        'GET /sessions': ({ query }) => sessions.filter(({ kind }) => kind === (query.get('kind') ?? kind)),
        'DELETE /sessions/:id': ({ params }) => {
          if (params.id !== 'S2SI-00001') throw new AdminRefusal(404, `there is no session ${params.id}`)
        },
        'GET /routes': () => routes,
        ...userRoutes(new StoredUsers(store.accounts, () => settings.get('xmpp.domains'))),
        ...propertyRoutes({ settings, properties: store.properties, log: silentLog, settled: async () => {} }),
      },
    })
    await socket.open()
    try {
      expect((await run(['sessions'])).output).to.equal(
        'ID          KIND    ADDRESS    CONNECTED                 STATE        SUBJECT\n' +
          'S2SI-00001  s2s-in  192.0.2.1  2026-01-01T00:00:00.000Z  established  north.example → sou\\u001bth.example\n',
      )
      expect(JSON.parse((await run(['sessions', '--json', '--kind', 's2s-in'])).output)).to.deep.equal(sessions)
      expect(JSON.parse((await run(['sessions', '--json', '--kind', 'ximss'])).output)).to.deep.equal([])
      expect(await run(['close', 'S2SI-00001'])).to.deep.equal({ status: 0, output: 'closed S2SI-00001\n', errors: '' })
      expect(await run(['close', 'x/y'])).to.deep.equal({
        status: 1,
        output: '',
        errors: 'comity: there is no session x/y\n',
      })
      expect((await run(['routes'])).output).to.include(
        'olga@north.example/x  local  2026-01-01T00:00:00.000Z  XIMSS-00001\n',
      )

      expect(await run(['user', 'add', 'olga@localhost'], PASSWORD)).to.include({ status: 0 })
      expect((await run(['user', 'add', 'olga@localhost'], PASSWORD)).errors).to.equal(
        'comity: olga@localhost exists already\n',
      )
      expect(await run(['user', 'passwd', 'olga@localhost'], 'other')).to.include({ status: 0 })
      expect(await store.accounts.verifyPassword('olga', 'localhost', 'other')).to.equal(true)
      expect((await run(['user', 'list'])).output).to.match(/\nolga@localhost {2}2/)
      expect(await run(['user', 'remove', 'olga@localhost'])).to.include({ status: 0 })

      expect((await run(['property', 'set', 'log.level', 'debug'])).output).to.equal(
        'log.level is debug, this takes effect at once\n',
      )
      expect((await run(['property', 'set', 'log.level', 'debug'])).output).to.equal('log.level is debug as before\n')
      expect((await run(['property', 'set', 'log.format', 'pretty'])).output).to.equal(
        'log.format stays json: --set on the command line of the service is stronger\n',
      )
      expect(await run(['property', 'set', 'log.level', 'loud'])).to.deep.equal({
        status: 1,
        output: '',
        errors: 'comity: log.level: not one of the choices (got "loud", expected one of error, warn, info, debug)\n',
      })
      expect((await run(['property', 'get', 'log.level'])).output).to.match(
        /\nlog\.level {2}debug {2}info {5}stored {2}at once\n$/,
      )
      expect(JSON.parse((await run(['property', 'list', '--json'])).output)).to.deep.equal(settings.rows())
      expect((await run(['property', 'unset', 'log.level'])).output).to.equal(
        'log.level is info, this takes effect at once\n',
      )
      expect(settings.get('log.level')).to.equal('info')
    } finally {
      await socket.close()
      await store.close()
    }
  })

  it('property unset works without a service: what is stored may keep it from starting', async () => {
    const store = await openStore({ url: 'sqlite:', dataDirectory: directory, log: silentLog })
    await store.properties.set('tls.trust', ['/nowhere.pem'])
    await store.close()
    const unset = ['property', 'unset', 'tls.trust']
    expect((await run(unset)).output).to.equal('tls.trust is no longer stored; no service runs\n')
    expect((await run(unset)).output).to.equal('tls.trust was not stored; no service runs\n')
  })

  it('demo: prints the transcript, exits by its outcome', async () => {
    expect(await run(['demo', '--once', '--set', 'log.level=debug'])).to.deep.equal({
      status: 0,
      output: 'once true \\u001b[2J\n',
      errors: '',
    })
    expect(await run(['demo'])).to.include({ status: 1, errors: 'comity: the exchange failed\n' })
  })

  it('tables: columns are as wide as their widest cell, the last one is never cut', () => {
    const long = 'x'.repeat(500)
    expect(
      table(
        ['A', 'LONG HEADING', 'C'],
        [
          ['你好', '', long],
          ['e\u0301', 'b'],
        ],
      ),
    ).to.equal(`A     LONG HEADING  C\n你好                ${long}\ne\u0301     b\n`)
  })
})

describe('the program comity', () => {
  let directory: string
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'comity-bin-'))
  })
  after(() => rmSync(directory, { recursive: true }))

  it('check-config: 0 for good settings', async () => {
    expect(await finished(node('bin/comity.ts', 'check-config', '--config', 'conf/comity.sample.yaml'))).to.deep.equal({
      status: 0,
      output:
        'localhost: no certificate; a self-signed one will be made, and servers that check will refuse it\n' +
        'conf/comity.sample.yaml: the settings can be used\n',
      errors: '',
    })
  })

  it('check-config: looks into the files that settings name, and makes none', async () => {
    const data = join(directory, 'files')
    mkdirSync(join(data, 'certs'), { recursive: true })
    writeFileSync(join(data, 'certs', 'localhost.crt'), 'no certificate')
    const sets = [`data.directory=${data}`, 'tls.trust=/nowhere.pem', 'ximss.listener.tls.port=0'].flatMap(set => [
      '--set',
      set,
    ])
    const { status, errors } = await finished(node('bin/comity.ts', 'check-config', ...sets))
    expect(status).to.equal(1)
    expect(errors).to.match(/^tls\.trust: \/nowhere\.pem cannot be used: ENOENT/)
    expect(errors).to.match(/\ntls\.directory: localhost: localhost\.key is missing/)
    expect(readdirSync(data)).to.deep.equal(['certs'])
  })

  it('check-config: two listeners cannot have one port', async () => {
    const shared = ['--set', 'ximss.listener.port=5269', '--set', `data.directory=${directory}`]
    const { status, errors } = await finished(node('bin/comity.ts', 'check-config', ...shared))
    expect([status, errors]).to.deep.equal([
      1,
      'ximss.listener.port: the same port as xmpp.server.socket.port (got 5269, expected another port)\n',
    ])
  })

  it('check-config: 1 with every error in its form, as JSON when asked', async () => {
    const file = join(directory, 'wrong.yaml')
    writeFileSync(file, 'xmpp.server.socket.port: 99999\nxmpp: {domain: a}\nhttp.port: 8100\nsasl.mechs: EXTERNAL\n')
    const expected = [
      'xmpp.server.socket.port: out of range (got 99999, expected a port from 1 to 65535, or any for a free one)',
      'xmpp.domain: unknown key, did you mean xmpp.domains?',
      'http.port: not available in this version',
      'sasl.mechs: not used here: servers authenticate with SASL EXTERNAL only, and after three failures the stream ends',
    ]
    const [text, json] = await Promise.all([
      finished(node('bin/comity.ts', 'check-config', '--config', file)),
      finished(node('bin/comity.ts', 'check-config', '--config', file, '--json')),
    ])
    expect(text).to.deep.equal({ status: 1, output: '', errors: `${expected.join('\n')}\n` })
    expect(json.status).to.equal(1)
    expect(JSON.parse(json.output).problems.map((problem: { text: string }) => problem.text)).to.deep.equal(expected)
  })

  it('--version is that of the package; wrong usage exits with 2', async () => {
    const [version, wrong] = await Promise.all([
      finished(node('bin/comity.ts', '--version')),
      finished(node('bin/comity.ts', 'check-config', '--frob')),
    ])
    expect(version).to.include({ status: 0, output: `${JSON.parse(readFileSync('package.json', 'utf8')).version}\n` })
    expect(wrong.status).to.equal(2)
  })

  it('start: a line per listener, then "comity ready"; SIGHUP reads again; SIGTERM ends with 0', async () => {
    const service = node(
      'spec/service/cli-service.ts',
      'start',
      '--set',
      `data.directory=${directory}`,
      '--set',
      'log.format=json',
    )
    const end = finished(service)
    await lineOf(service, /^comity ready/m)
    service.kill('SIGHUP')
    await lineOf(service, /reloaded/)
    service.kill('SIGTERM')
    const { status, output, errors } = await end
    expect(output).to.match(
      /^first listener\nsecond listener\ncomity ready: localhost; 2 listeners; data in .*; process \d+\nreloaded\nstopped\n$/,
    )
    expect(errors).to.include('"event":"reload-refused"').and.include('"problem":"log.level: wrong"')
    expect(status).to.equal(0)
  })

  it('start: a second signal ends at once with 1', async () => {
    const service = node(
      'spec/service/cli-service.ts',
      'start',
      '--set',
      `data.directory=${directory}`,
      '--set',
      'xmpp.domains=never-stops.example',
    )
    const end = finished(service)
    await lineOf(service, /^comity ready/m)
    service.kill('SIGINT')
    await lineOf(service, /stopping/)
    service.kill('SIGINT')
    expect((await end).status).to.equal(1)
  })

  it('start: settings that cannot be used stop it before anything is opened', async () => {
    const { status, output, errors } = await finished(
      node('spec/service/cli-service.ts', 'start', '--set', 'log.level=loud'),
    )
    expect([status, output]).to.deep.equal([1, ''])
    expect(errors).to.equal(
      'log.level: not one of the choices, in --set (got "loud", expected one of error, warn, info, debug)\n',
    )
  })
}).timeout(60_000)

function node(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  })
}

function finished(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    let output = ''
    let errors = ''
    child.stdout?.on('data', part => (output += part))
    child.stderr?.on('data', part => (errors += part))
    child.once('error', reject)
    child.once('close', code => resolve({ status: code ?? -1, output, errors }))
  })
}

function lineOf(child: ChildProcess, wanted: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    const take = (part: Buffer): void => {
      output += part
      if (!wanted.test(output)) return
      child.stdout?.off('data', take)
      resolve()
    }
    child.stdout?.on('data', take)
    child.once('close', () => reject(new Error(`ended before ${wanted}: ${output}`)))
  })
}
