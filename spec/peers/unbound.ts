import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { ServerAddress } from '../../lib/dial/dns-record.js'

/** A zone that the resolver holds, its records as in a zone file, names relative to it. */
export interface SignedZone {
  readonly name: string
  readonly records: readonly string[]
  /** When its signatures were made and expire; an unsigned zone has none. */
  readonly signed?: { readonly from: Date; readonly until: Date }
  /** Told to the resolver as true (RFC 4033 §2, trust anchor). */
  readonly isAnchor?: boolean
  /** What somebody does to the zone after it was signed. */
  readonly tamper?: (text: string) => string
}

const address = '127.0.0.1'
const startLimit = 10_000
const stopLimit = 5_000
const pollInterval = 20
const algorithm = 'ECDSAP256SHA256'
const nothingElse: SignedZone = { name: '', records: [] }
const run = promisify(execFile)

/**
 * Unbound 1.17 as a validating resolver on loopback, with zones that ldns signs with fresh keys. It asks nobody: it holds a root zone as
 * well, in which there is nothing else.
 */
export class Unbound {
  readonly server: ServerAddress
  readonly #directory: string
  readonly #child: ChildProcess

  private constructor(directory: string, port: number, child: ChildProcess) {
    this.#directory = directory
    this.server = { address, port }
    this.#child = child
  }

  /** Signs the zones, starts the program and waits until it answers. */
  static async open(zones: readonly SignedZone[]): Promise<Unbound> {
    const directory = await mkdtemp(join(tmpdir(), 'comity-unbound-'))
    try {
      const held = await Promise.all([nothingElse, ...zones].map(zone => prepare(directory, zone)))
      const port = await freePort()
      const file = join(directory, 'unbound.conf')
      await writeFile(file, configuration(directory, port, held))
      const output = openSync(join(directory, 'output.log'), 'a')
      const child = spawn('unbound', ['-d', '-c', file], { cwd: directory, stdio: ['ignore', output, output] })
      closeSync(output)
      const unbound = new Unbound(directory, port, child)
      await unbound.#started()
      return unbound
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** Ends the program and deletes what it left. */
  async close(): Promise<void> {
    const child = this.#child
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), stopLimit)
      await ended
      clearTimeout(timer)
    }
    await rm(this.#directory, { recursive: true, force: true })
  }

  async log(): Promise<string> {
    return await readFile(join(this.#directory, 'output.log'), 'utf8').catch(() => '')
  }

  async #started(): Promise<void> {
    let failure: string | undefined
    this.#child.once('error', error => (failure ??= error.message))
    this.#child.once('exit', (code, signal) => (failure ??= `ended with ${signal ?? code}`))
    const deadline = performance.now() + startLimit
    while (!(await this.log()).includes('start of service')) {
      if (performance.now() > deadline) failure ??= `not started after ${startLimit} ms`
      if (failure !== undefined) {
        const log = await this.log()
        await this.close()
        throw new Error(`unbound did not start: ${failure}\n${log}`)
      }
      await delay(pollInterval)
    }
  }
}

/** A zone file on disk, and the anchor for it when it is one. */
interface HeldZone {
  readonly name: string
  readonly file: string
  readonly anchor: string | undefined
}

async function prepare(directory: string, zone: SignedZone): Promise<HeldZone> {
  const { name, records, signed, isAnchor = false, tamper = text => text } = zone
  const plain = join(directory, name === '' ? 'root' : name)
  const below = name === '' ? '' : `.${name}`
  const head = [
    `$ORIGIN ${name}.`,
    '$TTL 300',
    `@ SOA ns${below}. hostmaster${below}. 1 3600 600 86400 60`,
    `@ NS ns${below}.`,
    `ns A ${address}`,
  ]
  await writeFile(plain, `${[...head, ...records].join('\n')}\n`)
  if (signed === undefined) return { name, file: plain, anchor: undefined }
  const newKey = async (...more: readonly string[]): Promise<string> => {
    const { stdout } = await run('ldns-keygen', ['-a', algorithm, ...more, name], { cwd: directory })
    return stdout.trim()
  }
  const [zoneKey, entryKey] = [await newKey(), await newKey('-k')]
  const file = `${plain}.signed`
  const times = ['-i', stamp(signed.from), '-e', stamp(signed.until)]
  await run('ldns-signzone', [...times, '-f', file, plain, zoneKey, entryKey], { cwd: directory })
  await writeFile(file, tamper(await readFile(file, 'utf8')))
  return { name, file, anchor: isAnchor ? join(directory, `${entryKey}.ds`) : undefined }
}

/** `20260101120000`, in UTC. */
function stamp(date: Date): string {
  return date
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replace(/[-:T]/g, '')
}

function configuration(directory: string, port: number, zones: readonly HeldZone[]): string {
  const anchors = zones.flatMap(({ anchor }) => (anchor === undefined ? [] : [`  trust-anchor-file: "${anchor}"`]))
  const held = zones.flatMap(({ name, file }) => [
    'auth-zone:',
    `  name: "${name}."`,
    `  zonefile: "${file}"`,
    '  for-upstream: yes',
    '  for-downstream: no',
    '  fallback-enabled: no',
  ])
  return `${[
    'server:',
    `  directory: "${directory}"`,
    '  chroot: ""',
    '  username: ""',
    '  pidfile: ""',
    '  use-syslog: no',
    '  verbosity: 1',
    '  val-log-level: 2',
    `  interface: ${address}@${port}`,
    '  do-ip6: no',
    '  num-threads: 1',
    '  module-config: "validator iterator"',
    '  trust-anchor-signaling: no',
    '  ede: yes',
    '  do-not-query-localhost: no',
    ...anchors,
    ...held,
    'remote-control:',
    '  control-enable: no',
  ].join('\n')}\n`
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, address, resolve))
  const bound = server.address()
  await new Promise<void>(resolve => server.close(() => resolve()))
  if (bound === null || typeof bound === 'string') throw new Error('no port was bound')
  return bound.port
}
