import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { AdminError, AdminUnreachable, adminRequest } from '../../lib/admin/admin-client.js'
import { AdminRefusal, type AdminRoutes, AdminSocket } from '../../lib/admin/admin-socket.js'
import { createLog } from '../../lib/admin/log-sink.js'
import { systemClock } from '../../lib/base/clock.js'
import { ManualClock } from '../support/manual-clock.js'

describe('admin socket', () => {
  let directory: string
  let path: string
  const logged: string[] = []
  const opened: AdminSocket[] = []
  const log = createLog({ level: 'debug', format: 'json', write: line => logged.push(line) })
  const open = async (routes: AdminRoutes, clock = systemClock): Promise<AdminSocket> => {
    const socket = new AdminSocket({ path, routes, log, clock })
    await socket.open()
    opened.push(socket)
    return socket
  }
  const failure = (request: Promise<unknown>): Promise<Error> =>
    request.then(
      () => expect.fail('no failure'),
      (error: Error) => error,
    )

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'comity-admin-'))
    path = join(directory, 'admin.sock')
    logged.length = 0
  })
  afterEach(async () => {
    for (const socket of opened.splice(0)) await socket.close()
    rmSync(directory, { recursive: true })
  })

  it('answers with JSON: path, query and body reach the handler', async () => {
    await open({
      'GET /sessions': ({ query }) => [{ kind: query.get('kind') }],
      'PUT /users/:jid': async ({ params, body }) => ({ params, body }),
      'DELETE /users/:jid': () => undefined,
    })
    expect(await adminRequest(path, 'GET', '/sessions?kind=s2s-in')).to.deep.equal([{ kind: 's2s-in' }])
    expect(
      await adminRequest(path, 'PUT', `/users/${encodeURIComponent('o/lga@ü.example')}`, { a: ['ü'] }),
    ).to.deep.equal({
      params: { jid: 'o/lga@ü.example' },
      body: { a: ['ü'] },
    })
    expect(await adminRequest(path, 'DELETE', '/users/x')).to.equal(null)
  })

  it('is open to its owner only, and gone after close', async () => {
    const mask = process.umask()
    const socket = await open({})
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    expect(process.umask()).to.equal(mask)
    await socket.close()
    expect(existsSync(path)).to.equal(false)
  })

  it('refusals carry their status and text; other failures only say where to look', async () => {
    await open({
      'GET /no': () => {
        throw new AdminRefusal(409, 'exists already')
      },
      'GET /broken': () => Promise.reject(new Error('MARKED detail')),
    })
    expect(await failure(adminRequest(path, 'GET', '/no')))
      .to.be.instanceOf(AdminError)
      .and.include({ status: 409, message: 'exists already' })
    expect(await failure(adminRequest(path, 'GET', '/broken'))).to.include({
      status: 500,
      message: 'internal error, see the log of the service',
    })
    expect(logged.join('')).to.include('admin-request-failed').and.include('MARKED detail')
    expect(await failure(adminRequest(path, 'GET', '/absent'))).to.include({ status: 404 })
    expect(await failure(adminRequest(path, 'POST', '/no'))).to.include({ status: 405 })
    expect(await failure(adminRequest(path, 'GET', '/%ff'))).to.include({ status: 404 })
  })

  it('takes bodies of 64 KiB and no more', async () => {
    await open({ 'POST /echo': ({ body }) => String(body).length, 'GET /': () => 'alive' })
    const room = 65_536 - 2
    expect(await adminRequest(path, 'POST', '/echo', 'x'.repeat(room))).to.equal(room)
    const error = await failure(adminRequest(path, 'POST', '/echo', 'x'.repeat(room + 1)))
    expect(error).to.include({ status: 413 })
    expect(await adminRequest(path, 'GET', '/')).to.equal('alive')
  })

  it('a handler without an end is answered for', async () => {
    const clock = new ManualClock()
    await open({ 'GET /never': () => new Promise(() => clock.advance(30_000)) }, clock)
    expect(await failure(adminRequest(path, 'GET', '/never'))).to.include({ status: 504 })
  })

  it('says plainly when no service runs, and how to start one', async () => {
    const error = await failure(adminRequest(path, 'GET', '/'))
    expect(error).to.be.instanceOf(AdminUnreachable).and.include({ isAbsent: true })
    expect(error.message).to.include('no service runs here').and.include(path).and.include('comity start')
  })

  it('replaces the socket of a service that was killed', async () => {
    leaveStaleSocket(path)
    expect(statSync(path).isSocket()).to.equal(true)
    expect(await failure(adminRequest(path, 'GET', '/'))).to.include({ isAbsent: true })
    await open({ 'GET /': () => 'new' })
    expect(await adminRequest(path, 'GET', '/')).to.equal('new')
  })

  it('leaves a service alone that answers, and a file that is no socket', async () => {
    await open({ 'GET /': () => 'first' })
    const second = new AdminSocket({ path, routes: {}, log, clock: systemClock })
    expect((await failure(second.open())).message).to.include('another service runs with this data directory')
    expect(await adminRequest(path, 'GET', '/')).to.equal('first')

    const file = join(directory, 'file')
    writeFileSync(file, 'precious')
    expect(
      (await failure(new AdminSocket({ path: file, routes: {}, log, clock: systemClock }).open())).message,
    ).to.include('is no socket')
    expect(existsSync(file)).to.equal(true)
  })

  it('refuses a path that the kernel would cut', async () => {
    const long = join(directory, 'x'.repeat(110))
    expect(
      (await failure(new AdminSocket({ path: long, routes: {}, log, clock: systemClock }).open())).message,
    ).to.include('shorter data.directory')
  })

  it('the client has a deadline, and tells answers that are none', async () => {
    const clock = new ManualClock()
    const server = createServer(connection => {
      connection.once('data', data => {
        if (data.toString().startsWith('GET /never')) clock.advance(35_000)
        else connection.end('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nno!')
      })
    })
    await new Promise<void>(resolve => server.listen(path, resolve))
    try {
      expect(await failure(adminRequest(path, 'GET', '/never', undefined, { clock }))).to.include({ status: 504 })
      expect(await failure(adminRequest(path, 'GET', '/other', undefined, { clock }))).to.include({ status: 502 })
      expect(clock.waiting).to.equal(0)
    } finally {
      await new Promise(resolve => server.close(resolve))
    }
  })
})

/** A process that binds the path and is killed, as a crash leaves it. */
function leaveStaleSocket(path: string): void {
  const program =
    'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))'
  spawnSync(process.execPath, ['-e', program, path])
}
