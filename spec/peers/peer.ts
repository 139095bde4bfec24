import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** How a peer proves who it is to others, and accepts their proof (XEP-0220, RFC 6120 §13.7.2). */
export type PeerAuth = 'dialback' | 'external'

/** What a real XMPP server needs to take part in a spec. All texts of certificates and keys are PEM. */
export interface PeerOptions {
  /** The one domain it serves. Not below `.test`: libunbound answers that domain itself, with NXDOMAIN. */
  readonly domain: string
  /** The loopback address it listens on, and on no other: `127.0.0.11`. */
  readonly address: string
  /** The port of the name server it asks, on 127.0.0.1. */
  readonly dnsPort: number
  /** `external`: no dialback at all. `dialback`: certificates that it does not trust do not matter. */
  readonly auth: PeerAuth
  /** Its own certificate, followed by intermediate ones. */
  readonly certificate: string
  readonly key: string
  /** The authorities it trusts. */
  readonly trust: string
  /** Local part to password. */
  readonly users: Readonly<Record<string, string>>
  /** Default 5269. */
  readonly s2sPort?: number
  /** Default 5222. */
  readonly c2sPort?: number
  /** A port for Direct TLS between servers (XEP-0368); none when left out. */
  readonly directTlsPort?: number
  /** More of the program's modules to load, by its own names: `s2s_bidi`. */
  readonly modules?: readonly string[]
}

/** Which way a stream between servers was opened, seen from the peer. */
export type Direction = 'in' | 'out'

/** How to start a peer's program. */
export interface PeerCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const startLimit = 20_000
const stopLimit = 8_000
const proofLimit = 5_000
const pollInterval = 50
const outputFile = 'output.log'

/**
 * One real server as a child process with a temporary directory of its own. Only that child is ever signalled.
 * Data stay between `stop` and `start`; `remove` ends it all.
 */
export abstract class Peer {
  readonly domain: string
  readonly address: string
  readonly s2sPort: number
  readonly c2sPort: number
  protected readonly options: PeerOptions
  #directory: string | undefined
  #child: ChildProcess | undefined
  readonly #endWithUs = (): void => {
    this.#child?.kill('SIGKILL')
  }

  constructor(options: PeerOptions) {
    this.options = options
    this.domain = options.domain
    this.address = options.address
    this.s2sPort = options.s2sPort ?? 5269
    this.c2sPort = options.c2sPort ?? 5222
  }

  /** The name of the program, for messages. */
  abstract readonly program: string

  /** Writes configuration and accounts below `directory` and says how to start the program in the foreground. */
  protected abstract prepare(directory: string): Promise<PeerCommand>

  /** The name of its log file below the peer's directory. */
  protected abstract readonly logFile: string

  /** Reads from its log how streams with another domain were authenticated, oldest first. */
  protected abstract findProofs(log: string, direction: Direction, remote: string): PeerAuth[]

  /** The process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** The temporary directory, once started. */
  get directory(): string {
    if (this.#directory === undefined) throw new Error(`${this.program} has not been started`)
    return this.#directory
  }

  /** Starts the program and waits until both of its ports answer. Throws with the end of its log after 20 s. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.program} runs already`)
    if (this.#directory === undefined) {
      this.#directory = await mkdtemp(join(tmpdir(), `comity-${this.program}-`))
    }
    await mkdir(join(this.#directory, 'data'), { recursive: true })
    const command = await this.prepare(this.#directory)
    for (const port of [this.s2sPort, this.c2sPort]) {
      if (await accepts(this.address, port)) throw new Error(`${this.address}:${port} is taken by another process`)
    }
    const output = openSync(join(this.#directory, outputFile), 'a')
    const child = spawn(command.file, command.args, {
      cwd: this.#directory,
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8', ...command.env },
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    this.#child = child
    process.once('exit', this.#endWithUs)
    let failure: string | undefined
    child.once('error', error => {
      failure ??= error.message
      if (child.pid === undefined) this.#child = undefined
    })
    child.once('exit', (code, signal) => {
      failure ??= `ended with ${signal ?? code}`
      process.removeListener('exit', this.#endWithUs)
      if (this.#child === child) this.#child = undefined
    })
    const deadline = performance.now() + startLimit
    for (const port of [this.s2sPort, this.c2sPort]) {
      while (!(await accepts(this.address, port))) {
        if (failure === undefined && performance.now() > deadline)
          failure = `no answer on port ${port} after ${startLimit} ms`
        if (failure !== undefined) {
          await this.kill()
          throw new Error(`${this.program} did not start: ${failure}\n${await this.log()}`)
        }
        await delay(pollInterval)
      }
    }
    await this.ready()
  }

  /** A program that answers on its ports before it can serve overrides this. */
  protected async ready(): Promise<void> {}

  /** Asks the program to end its streams and itself; after 8 s the kernel ends it. Fine when it does not run. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Ends the program at once, as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Stops it and starts it again, with the data it had. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** Ends the program and deletes its directory. */
  async remove(): Promise<void> {
    await this.kill()
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true })
    this.#directory = undefined
  }

  /**
   * How the streams with another domain were authenticated since the peer was made, oldest first. Waits up to 5 s for
   * `count` of them to be logged.
   */
  async proofs(direction: Direction, remote: string, count = 1): Promise<PeerAuth[]> {
    const deadline = performance.now() + proofLimit
    for (;;) {
      const log = await readFile(join(this.directory, this.logFile), 'utf8')
      const proofs = this.findProofs(log, direction, remote)
      if (proofs.length >= count || performance.now() > deadline) return proofs
      await delay(pollInterval)
    }
  }

  /** The last lines of its log and of what it wrote to its terminal, to be shown when a spec fails. */
  async log(lines = 150): Promise<string> {
    const parts: string[] = []
    for (const name of new Set([this.logFile, outputFile])) {
      const text = await readFile(join(this.#directory ?? '', name), 'utf8').catch(() => '')
      parts.push(`--- ${this.program} ${this.domain}: ${name}`, ...text.trimEnd().split('\n').slice(-lines))
    }
    return parts.join('\n')
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), stopLimit)
    await ended
    clearTimeout(timer)
  }
}

/** Whether something listens there. */
function accepts(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port })
    const finish = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => finish(false))
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
  })
}
