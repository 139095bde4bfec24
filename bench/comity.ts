import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Identity } from '../spec/peers/surroundings.js'
import { pinned } from './cpu.js'
import type { ServerRequest, ServerUnderTest } from './server.js'
import { ximssUser } from './users.js'

const PROGRAM = fileURLToPath(new URL('../dist/bin/comity.js', import.meta.url))
const START_MS = 20_000
const STOP_MS = 15_000

/** Starts Comity from dist/ as an operator would: TLS required, certificates verified, no dialback needed. */
export async function startComity(request: ServerRequest, profile: string | undefined): Promise<ServerUnderTest> {
  const { domain, user, password, identity, dnsPort, pin } = request
  const directory = await mkdtemp(join(tmpdir(), 'comity-bench-'))
  const settings = await prepare(directory, domain, identity, dnsPort)
  await addUser(directory, settings, `${user}@${domain}`, password)
  const profiling = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', resolve(profile)]
  const command = pinned(process.execPath, [...profiling, PROGRAM, 'start', ...settings], pin)
  const child = spawn(command.file, command.args, options(directory))
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const stop = async (): Promise<void> => {
    await end(child)
    process.removeListener('exit', kill)
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const { servers, ximss } = await ports(child)
    return {
      name: 'Comity',
      pid: child.pid!,
      domain,
      host: '127.0.0.1',
      s2sPort: servers,
      logIn: () => ximssUser({ host: '127.0.0.1', port: ximss, user, domain, password }),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function prepare(directory: string, domain: string, identity: Identity, dnsPort: number): Promise<string[]> {
  const certificates = join(directory, 'data', 'certs')
  await mkdir(certificates, { recursive: true, mode: 0o700 })
  await writeFile(join(certificates, `${domain}.crt`), identity.certificate)
  await writeFile(join(certificates, `${domain}.key`), identity.key, { mode: 0o600 })
  await writeFile(join(directory, 'root.pem'), identity.trust)
  const settings = {
    'xmpp.domains': domain,
    'data.directory': join(directory, 'data'),
    'network.interface': '127.0.0.1',
    'xmpp.server.socket.port': 'any',
    'xmpp.server.socket.ssl.active': 'false',
    'xmpp.server.tls.policy': 'required',
    'xmpp.server.certificate.strict-validation': 'true',
    'xmpp.server.private-targets': 'true',
    'ximss.listener.port': 'any',
    'tls.trust': join(directory, 'root.pem'),
    'dns.servers': `127.0.0.1:${dnsPort}`,
    'log.level': 'error',
  }
  return Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
}

async function addUser(directory: string, settings: readonly string[], jid: string, password: string): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, 'user', 'add', jid, ...settings], options(directory))
  child.stdin?.end(`${password}\n`)
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`no account ${jid} was made; the program ended with ${code}`)
}

/** A directory of its own, so that no settings of the user's get in. */
function options(cwd: string): { cwd: string; env: NodeJS.ProcessEnv; stdio: ['pipe', 'pipe', 'inherit'] } {
  return { cwd, env: { PATH: process.env.PATH }, stdio: ['pipe', 'pipe', 'inherit'] }
}

/** Read from what it prints when it starts. */
function ports(child: ChildProcess): Promise<{ servers: number; ximss: number }> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Comity is not ready after ${START_MS} ms`)), START_MS)
    child.once('exit', code => reject(new Error(`Comity ended with ${code}`)))
    const found = { servers: 0, ximss: 0 }
    createInterface(child.stdout!).on('line', line => {
      const [, what, port] = /^listening for (servers|XIMSS) on .*:(\d+)/.exec(line) ?? []
      if (what === 'servers') found.servers = Number(port)
      if (what === 'XIMSS') found.ximss = Number(port)
      if (!line.startsWith('comity ready')) return
      clearTimeout(timer)
      resolve(found)
    })
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await ended
  clearTimeout(timer)
}
