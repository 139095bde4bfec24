import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { adminRequest } from '../../lib/admin/admin-client.js'
import type { Log, LogFields } from '../../lib/base/log.js'
import { loadConfig } from '../../lib/service/config.js'
import { ConfigInvalid } from '../../lib/service/config-problems.js'
import type { Service, SessionKind, SessionRow } from '../../lib/service/contract.js'
import { createService } from '../../lib/service/service.js'
import { Settings } from '../../lib/service/settings.js'
import { openStore } from '../../lib/store/store.js'
import type { PeerOptions } from './peer.js'

const settleLimit = 8_000
const pollInterval = 20

/** What the service needs to take part in a spec; the same as any other server. */
export type ComityOptions = Pick<
  PeerOptions,
  'domain' | 'address' | 'dnsPort' | 'auth' | 'certificate' | 'key' | 'trust' | 'users'
>

/**
 * The service itself, whole, inside this process. Data stay between `stop` and `start`; `remove` ends it all.
 *
 * With `external` it has its usual settings. With `dialback` no certificate verifies, so validation is not strict.
 */
export class Comity {
  readonly domain: string
  readonly address: string
  readonly s2sPort = 5269
  readonly directTlsPort = 5270
  readonly #options: ComityOptions
  readonly #log = new LogLines()
  #directory: string | undefined
  #service: Service | undefined

  constructor(options: ComityOptions) {
    this.domain = options.domain
    this.address = options.address
    this.#options = options
  }

  /** Where XIMSS clients connect. */
  get ximssPort(): number {
    const endpoint = this.#service?.endpoints.ximss[0]
    if (endpoint === undefined) throw new Error('Comity does not run')
    return endpoint.port
  }

  async start(): Promise<void> {
    const directory = (this.#directory ??= await this.#prepare())
    const service = await createService({ settings: this.#settings(directory), log: this.#log })
    await service.start()
    this.#service = service
  }

  async stop(): Promise<void> {
    await this.#service?.stop()
    this.#service = undefined
  }

  /** Ends the service and deletes its directory. */
  async remove(): Promise<void> {
    await this.stop()
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true })
    this.#directory = undefined
  }

  /** What an admin is shown of the live sessions of a kind. */
  async sessions(kind: SessionKind): Promise<readonly SessionRow[]> {
    const socket = join(this.#directory ?? '', 'data', 'admin.sock')
    return (await adminRequest(socket, 'GET', `/sessions?kind=${kind}`)) as SessionRow[]
  }

  /** The state of the stream that we opened to a domain, as an admin is shown it; '' when there was none yet. */
  async outgoing(remote: string): Promise<string> {
    const rows = await this.sessions('s2s-out')
    return rows.find(({ subject }) => subject === `${this.domain} → ${remote}`)?.state ?? ''
  }

  /** The states of the streams that a domain opened to us and proved itself on, as an admin is shown them. */
  async incoming(remote: string): Promise<string[]> {
    const rows = await this.sessions('s2s-in')
    return rows.map(({ state }) => state).filter(state => state.includes(`${this.domain}←${remote}`))
  }

  /** Waits until no stream to or from a domain is left: the end of a peer is noticed a moment after it. */
  async alone(remote: string): Promise<void> {
    const deadline = performance.now() + settleLimit
    for (;;) {
      const isAlone =
        !(await this.outgoing(remote)).startsWith('established') && (await this.incoming(remote)).length === 0
      if (isAlone) return
      if (performance.now() > deadline) throw new Error(`Comity still has streams with ${remote}`)
      await delay(pollInterval)
    }
  }

  /** The last lines of its log, to be shown when a spec fails. */
  log(lines = 200): string {
    return [`--- Comity ${this.domain}`, ...this.#log.lines.slice(-lines)].join('\n')
  }

  async #prepare(): Promise<string> {
    const { domain, certificate, key, trust, users } = this.#options
    const directory = await mkdtemp(join(tmpdir(), 'comity-service-'))
    const data = join(directory, 'data')
    await mkdir(join(data, 'certs'), { recursive: true, mode: 0o700 })
    await writeFile(join(data, 'certs', `${domain}.crt`), certificate)
    await writeFile(join(data, 'certs', `${domain}.key`), key, { mode: 0o600 })
    await writeFile(join(directory, 'trust.pem'), trust)
    const store = await openStore({ url: 'sqlite:', dataDirectory: data, log: this.#log })
    for (const [user, password] of Object.entries(users)) await store.accounts.add(user, domain, password)
    await store.close()
    return directory
  }

  #settings(directory: string): Settings {
    const { domain, address, dnsPort, auth } = this.#options
    const loaded = loadConfig({
      file: null,
      env: {},
      sets: [
        ['xmpp.domains', [domain]],
        ['data.directory', join(directory, 'data')],
        ['network.interface', [address]],
        ['xmpp.server.socket.port', this.s2sPort],
        ['xmpp.server.socket.ssl.port', this.directTlsPort],
        ['xmpp.server.private-targets', true],
        ['xmpp.server.certificate.strict-validation', auth === 'external'],
        ['ximss.listener.port', 'any'],
        ['tls.trust', [join(directory, 'trust.pem')]],
        ['dns.servers', [`127.0.0.1:${dnsPort}`]],
      ],
    })
    if (!loaded.ok) throw new ConfigInvalid(loaded.problems)
    return new Settings(loaded.config)
  }
}

/** Most lines that are kept. */
const MOST_LINES = 2000

/** Keeps the log as lines. */
class LogLines implements Log {
  readonly lines: string[]
  readonly #fields: LogFields

  constructor(lines: string[] = [], fields: LogFields = {}) {
    this.lines = lines
    this.#fields = fields
  }

  readonly error = (event: string, fields?: LogFields): void => this.#add('error', event, fields)
  readonly warn = (event: string, fields?: LogFields): void => this.#add('warn', event, fields)
  readonly info = (event: string, fields?: LogFields): void => this.#add('info', event, fields)
  readonly debug = (event: string, fields?: LogFields): void => this.#add('debug', event, fields)

  child(fields: LogFields): Log {
    return new LogLines(this.lines, { ...this.#fields, ...fields })
  }

  #add(level: string, event: string, fields?: LogFields): void {
    const time = new Date().toISOString().slice(11, 23)
    this.lines.push(`${time} ${level.padEnd(5)} ${event} ${JSON.stringify({ ...this.#fields, ...fields })}`)
    if (this.lines.length > MOST_LINES) this.lines.shift()
  }
}
