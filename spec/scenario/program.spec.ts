import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { XimssClient } from '../support/ximss-client.js'

interface Outcome {
  readonly status: number | null
  readonly output: string
  readonly errors: string
}

const PASSWORD = 'MARKED PASSWORD'

describe('the program, as people run it', () => {
  let directory: string
  let running: Program[] = []

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'comity-program-'))
  })
  afterEach(async () => {
    for (const program of running) program.kill('SIGKILL')
    await Promise.all(running.map(program => program.end))
    running = []
    rmSync(directory, { recursive: true })
  })

  it('demo --once shows SRV, TLS, proof, route, message and reply of both directions, and exits with 0', async () => {
    const { status, output, errors } = await run(['demo', '--once']).end
    expect(errors).to.equal('')
    expect(status).to.equal(0)
    const lines = output.trimEnd().split('\n')
    for (const [from, to] of [
      ['north', 'south'],
      ['south', 'north'],
    ] as const) {
      const place = (text: RegExp) => lines.findIndex(line => line.startsWith(from) && text.test(line))
      const steps = [
        new RegExp(`DNS +SRV _xmpp-server\\._tcp\\.${to}\\.example is xmpp\\.${to}\\.example port \\d+`),
        /TCP +connected to 127\.0\.0\.1 port \d+/,
        /TLS +TLSv1\.3 TLS_/,
        new RegExp(
          `proof +${from}\\.example proved itself to ${to}\\.example by (?:SASL EXTERNAL|Server Dialback) \\(TLSv1\\.3`,
        ),
      ].map(place)
      expect(steps, `${from}: ${steps.join(', ')}\n${output}`).to.satisfy((all: number[]) => all.every(at => at >= 0))
      expect([...steps].sort((a, b) => a - b)).to.deep.equal(steps)
      expect(place(new RegExp(`route +${from}\\.example → ${to}\\.example published`))).to.be.at.least(0)
    }
    expect(output).to.match(/^south +message +ivo@south\.example reads from olga@north\.example: Lunch at noon\?$/m)
    expect(output).to.match(
      /^north +message +olga@north\.example reads from ivo@south\.example: Gladly, see you there\.$/m,
    )
    expect(lines.at(-1)).to.match(/^demo /)
  })

  it('demo --once that fails says at which step and whose side must mend it, and exits with 1', async () => {
    const { status, output, errors } = await run(['demo', '--once', '--set', 'tls.trust=[]']).end
    expect([status, errors]).to.deep.equal([1, 'comity: the exchange failed\n'])
    expect(output).to.match(
      /^north +failed +north\.example → south\.example: certificate: .*; to be mended by: their admin$/m,
    )
    expect(output).to.match(/^demo +the exchange failed: the message came back: .*certificate of the remote server/m)
  })

  it('demo stays up until SIGTERM, and leaves nothing behind', async () => {
    const demo = run(['demo'])
    await demo.outputs(/south\.example: try npx comity sessions .*\n/)
    const data = /data\.directory=(\S+)/.exec(demo.output)?.[1] ?? ''
    expect(existsSync(data)).to.equal(true)
    demo.kill('SIGTERM')
    expect((await demo.end).status).to.equal(0)
    expect(existsSync(data)).to.equal(false)
  })

  it('start on embedded defaults: listeners, ready, accounts, sessions, routes, a setting, and SIGTERM exits with 0', async () => {
    const service = run(['start', ...settings()])
    await service.outputs(/^comity ready/m)
    const lines = service.output.trimEnd().split('\n')
    expect(lines).to.have.length(4)
    expect(lines[0]).to.match(/^listening for servers on 127\.0\.0\.1:\d+ \(STARTTLS\)$/)
    expect(lines[1]).to.match(/^listening for servers on 127\.0\.0\.1:\d+ \(Direct TLS\)$/)
    expect(lines[2]).to.match(/^listening for XIMSS on 127\.0\.0\.1:\d+$/)
    expect(lines[3]).to.match(/^comity ready: localhost; 3 listeners; data in .*; process \d+$/)
    expect(service.errors).to.include('certificate-self-signed').and.include('"domain":"localhost"')

    expect(await run(['user', 'add', 'olga@localhost', ...settings()], PASSWORD).end).to.deep.equal({
      status: 0,
      output: 'added olga@localhost\n',
      errors: '',
    })
    const port = Number(/XIMSS on 127\.0\.0\.1:(\d+)/.exec(service.output)?.[1])
    const olga = await XimssClient.connect({ port })
    await olga.login('olga@localhost', PASSWORD)
    await olga.request('signalBind', { presence: 'yes', readIM: '1', clientID: 'desk' })
    const [sessions, routes, set, get] = await Promise.all([
      run(['sessions', '--json', ...settings()]).end,
      run(['routes', ...settings()]).end,
      run(['property', 'set', 'xmpp.server.session.idle', '5m', ...settings()]).end,
      run(['property', 'get', 'ximss.listener.port', ...settings()]).end,
    ])
    expect(JSON.parse(sessions.output)).to.have.length(1).and.have.nested.property('[0].subject', 'olga@localhost')
    expect(routes.output).to.match(/^olga@localhost\/desk +session /m)
    expect(set).to.include({ status: 0, errors: '' }).and.property('output').that.includes('this takes effect at once')
    expect(get.output).to.match(/^ximss\.listener\.port +any +11024 +set /m)

    service.kill('SIGTERM')
    expect(await olga.nextWith('<bye')).to.include('shutting down')
    const { status, errors } = await service.end
    expect(status).to.equal(0)
    expect(errors).to.include('service-stopped').and.not.include(PASSWORD)
    expect(await run(['sessions', ...settings()]).end).to.include({ status: 1, output: '' })
  })

  it('the self-signed certificate, the accounts and the stored settings are kept over a restart', async () => {
    const first = run(['start', ...settings()])
    await first.outputs(/^comity ready/m)
    await run(['property', 'set', 'xmpp.domains', '[localhost, west.example]', ...settings()]).end
    await run(['user', 'add', 'olga@west.example', ...settings()], PASSWORD).end
    first.kill('SIGINT')
    expect((await first.end).status).to.equal(0)
    const certificate = readFileSync(join(directory, 'certs', 'localhost.crt'), 'utf8')

    const second = run(['start', ...settings()])
    await second.outputs(/^comity ready: localhost, west\.example;/m)
    expect(readFileSync(join(directory, 'certs', 'localhost.crt'), 'utf8')).to.equal(certificate)
    expect(second.errors).not.to.include('certificate-self-signed')
    expect((await run(['user', 'list', ...settings()]).end).output).to.include('olga@west.example')
    second.kill('SIGTERM')
    expect((await second.end).status).to.equal(0)
  })

  it('SIGHUP reads the settings file again, tells what is wrong with it, and ends nothing', async () => {
    const file = join(directory, 'comity.yaml')
    writeFileSync(file, 'log.level: info\n')
    const service = run(['start', '--config', file, ...settings()])
    await service.outputs(/^comity ready/m)
    writeFileSync(file, 'log.level: loud\n')
    service.kill('SIGHUP')
    await service.logs(/"problem":"log\.level: .*"event":"reload-refused"/)
    writeFileSync(file, 'log.level: debug\nxmpp.server.socket.remotePort: 5333\n')
    service.kill('SIGHUP')
    await service.logs(/"event":"service-reloaded"/)
    const { output } = await run(['property', 'get', 'xmpp.server.socket.remotePort', '--config', file, ...settings()])
      .end
    expect(output).to.match(/^xmpp\.server\.socket\.remotePort +5333 +5269 +file /m)
    service.kill('SIGTERM')
    expect((await service.end).status).to.equal(0)
  })

  it('start exits with 1 and says why when a port is taken', async () => {
    const taken = createServer()
    await once(taken.listen(0, '127.0.0.1'), 'listening')
    try {
      const address = taken.address()
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0
      const { status, output, errors } = await run(['start', ...settings(), '--set', `ximss.listener.port=${port}`]).end
      expect([status, output]).to.deep.equal([1, ''])
      expect(errors).to.include('EADDRINUSE').and.include(String(port)).and.not.include('    at ')
      expect(existsSync(join(directory, 'admin.sock'))).to.equal(false)
    } finally {
      taken.close()
    }
  })

  function settings(): string[] {
    const sets = {
      'data.directory': directory,
      'network.interface': '127.0.0.1',
      'xmpp.server.socket.port': 'any',
      'xmpp.server.socket.ssl.port': 'any',
      'ximss.listener.port': 'any',
      'log.format': 'json',
    }
    return Object.entries(sets).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  }

  function run(args: readonly string[], input = ''): Program {
    const program = new Program(args, input)
    running.push(program)
    return program
  }
}).timeout(60_000)

/** A run of the program. */
class Program {
  output = ''
  errors = ''
  readonly end: Promise<Outcome>
  readonly #child: ChildProcess
  #watcher: (() => void) | undefined

  constructor(args: readonly string[], input: string) {
    const child = spawn(process.execPath, ['--import', 'tsx', 'bin/comity.ts', ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH },
    })
    this.#child = child
    child.stdin?.end(input)
    child.stdout?.on('data', part => {
      this.output += part
      this.#watcher?.()
    })
    child.stderr?.on('data', part => {
      this.errors += part
      this.#watcher?.()
    })
    this.end = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', status => resolve({ status, output: this.output, errors: this.errors }))
    })
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves when the output fits; rejects when the program ends first. */
  outputs(wanted: RegExp): Promise<void> {
    return this.#until(wanted, () => this.output)
  }

  /** The same for what it logs. */
  logs(wanted: RegExp): Promise<void> {
    return this.#until(wanted, () => this.errors)
  }

  #until(wanted: RegExp, text: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#watcher = () => {
        if (wanted.test(text())) resolve()
      }
      this.#watcher()
      void this.end.then(({ output, errors }) => reject(new Error(`ended before ${wanted}: ${output}${errors}`)))
    })
  }
}
