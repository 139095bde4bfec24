import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { AdminSocket } from '../../lib/admin/admin-socket.js'
import { systemClock } from '../../lib/base/clock.js'
import { silentLog } from '../../lib/base/log.js'
import { main } from '../../lib/service/cli/main.js'
import { IMPORT_ROUTE, permissionRoutes } from '../../lib/service/permission-routes.js'
import { StoredPermissions } from '../../lib/service/permissions.js'
import { openStore } from '../../lib/store/store.js'

interface Outcome {
  readonly status: number
  readonly output: string
  readonly errors: string
}

describe('comity domain', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'comity-domain-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  async function run(...args: string[]): Promise<Outcome> {
    let output = ''
    let errors = ''
    const status = await main(
      ['domain', ...args, '--set', `data.directory=${directory}`],
      {
        input: new PassThrough().end(),
        output: { write: text => (output += text) },
        errors: { write: text => (errors += text) },
        env: {},
      },
      {
        version: '1.2.3',
        loadService: () => Promise.reject(new Error('not in this spec')),
        loadDemo: () => Promise.reject(new Error('not in this spec')),
      },
    )
    return { status, output, errors }
  }

  function fileOf(text: string | Buffer): string {
    const path = join(directory, 'list.txt')
    writeFileSync(path, text)
    return path
  }

  async function roundTrip(): Promise<void> {
    expect((await run('list')).output).to.equal('PATTERN  DIRECTION  ACTION  DEMANDS  EXPIRES  REASON\n')
    expect(await run('block', 'Spam.example', '--reason', 'sends \u001bspam')).to.deep.equal({
      status: 0,
      output: 'blocked spam.example (both directions)\n',
      errors: '',
    })
    expect((await run('block', '*.example.org', '--direction', 'in', '--expires', '2999-12-31')).output).to.equal(
      'blocked *.example.org (incoming, until 2999-12-31T00:00:00.000Z)\n',
    )
    expect(
      (await run('allow', 'bücher.example', '--tls', 'required', '--proof', 'external', '--strict')).output,
    ).to.equal('allowed bücher.example (both directions)\n')
    expect(JSON.parse((await run('allow', 'old.example', '--direction=out', '--lax', '--json')).output)).to.include({
      pattern: 'old.example',
      direction: 'out',
      certificates: 'lax',
    })
    expect((await run('list')).output).to.equal(
      [
        'PATTERN         DIRECTION  ACTION  DEMANDS                               EXPIRES                   REASON',
        '*.example.org   in         block                                         2999-12-31T00:00:00.000Z',
        'bücher.example  both       allow   TLS required, proof external, strict',
        'old.example     out        allow   lax',
        'spam.example    both       block                                                                   sends \\u001bspam\n',
      ].join('\n'),
    )
    expect(
      (await run('import', fileOf('one.example\ntwo.example\nold.example\n'), '--reason', 'list')).output,
    ).to.equal('blocked 3 entries, 0 of them said before\n')
    expect((await run('import', fileOf('bücher.example\n'))).output).to.equal(
      'blocked 1 entry, 1 of them said before\nno longer allowed: bücher.example\n',
    )
    expect(await run('import', fileOf('three.example\nnot so\n'))).to.deep.equal({
      status: 1,
      output: '',
      errors: 'comity: nothing was imported: line 2: not a domain name: "not so"\n',
    })
    expect((await run('remove', 'XN--BCHER-KVA.example')).output).to.equal('removed XN--BCHER-KVA.example\n')
    expect((await run('remove', '*.example.org', '--direction', 'out')).errors).to.equal(
      'comity: there is no entry for *.example.org, direction out\n',
    )
    expect(await run('remove', '*.example.org', '--direction', 'in')).to.include({ status: 0 })
    expect((await run('remove', 'nobody.example')).status).to.equal(1)
    const rows: { pattern: string; reason: string }[] = JSON.parse((await run('list', '--json')).output)
    expect(rows.map(({ pattern, reason }) => `${pattern} ${reason}`)).to.deep.equal([
      'old.example list',
      'old.example ',
      'one.example list',
      'spam.example sends \u001bspam',
      'two.example list',
    ])
  }

  it('without a service the store itself is changed', roundTrip)

  it('a running service is asked over its admin socket', async () => {
    const store = await openStore({ url: 'sqlite::memory:', dataDirectory: directory, log: silentLog })
    const permissions = new StoredPermissions(store.permissions, systemClock)
    const socket = new AdminSocket({
      path: join(directory, 'admin.sock'),
      log: silentLog,
      clock: systemClock,
      routes: permissionRoutes(permissions, silentLog),
      longBodies: [IMPORT_ROUTE],
    })
    await socket.open()
    try {
      await roundTrip()
      expect(await permissions.list()).to.have.length(5)
      const long = Array.from({ length: 20_000 }, (_, index) => `domain-${index}.example`).join('\n')
      expect((await run('import', fileOf(long))).output).to.include('blocked 20000 entries')
    } finally {
      await socket.close()
      await store.close()
    }
  })

  it('files that cannot be lists', async () => {
    expect((await run('import', join(directory, 'missing.txt'))).errors).to.include('ENOENT')
    expect(await run('import', fileOf(Buffer.from([0x61, 0xff, 0x62])))).to.include({ status: 1 })
    const tooLong = await run('import', fileOf(Buffer.alloc(4 * 1_048_576 + 1, 0x61)))
    expect(tooLong.errors).to.match(/^comity: .*list\.txt is longer than 4194304 bytes\n$/)
  })

  it('wrong usage exits with 2', async () => {
    for (const args of [
      [],
      ['allow'],
      ['block', 'a.example', '--tls', 'required'],
      ['allow', 'a.example', '--tls', 'maybe'],
      ['allow', 'a.example', '--strict', '--lax'],
      ['block', 'a.example', '--direction', 'up'],
      ['import'],
    ]) {
      expect([args, (await run(...args)).status]).to.deep.equal([args, 2])
    }
  })
})
