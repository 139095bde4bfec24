import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adminRequest } from '../../lib/admin/admin-client.js'
import { type LoadResult, loadConfig } from '../../lib/service/config.js'
import { adminSocketPath, tlsDirectory } from '../../lib/service/config-paths.js'
import type { Service, SessionRow } from '../../lib/service/contract.js'
import { ZoneServer } from '../../lib/service/demo/zone-server.js'
import { createService } from '../../lib/service/service.js'
import { Settings } from '../../lib/service/settings.js'
import type { TestAuthority } from '../support/authority.js'
import { ScriptedLog } from '../support/scripted-log.js'
import { XimssClient } from '../support/ximss-client.js'

export type Sets = Readonly<Record<string, unknown>>

const PASSWORD = 'correct horse'

/** Whole services in this process, over loopback sockets, with their own DNS and certificate authority. */
export class World {
  readonly dns: ZoneServer
  readonly authority: TestAuthority
  readonly directory: string
  readonly #dnsPort: number
  readonly #members: Member[] = []

  private constructor(dns: ZoneServer, dnsPort: number, authority: TestAuthority, directory: string) {
    this.dns = dns
    this.#dnsPort = dnsPort
    this.authority = authority
    this.directory = directory
  }

  static async open(authority: TestAuthority, dns = new ZoneServer({})): Promise<World> {
    const { port } = await dns.listen()
    const directory = mkdtempSync(join(tmpdir(), 'comity-world-'))
    await writeFile(join(directory, 'root.pem'), authority.caPem)
    return new World(dns, port, authority, directory)
  }

  /** The authority, for `tls.trust`. */
  get rootFile(): string {
    return join(this.directory, 'root.pem')
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(member => member.stop()))
    await this.dns.close()
    rmSync(this.directory, { recursive: true })
  }

  /** A service that has not been started. Certificates of the authority are made for `certified`, by default its one domain. */
  async member(domain: string, sets: Sets = {}, certified: readonly string[] = [domain]): Promise<Member> {
    const data = join(this.directory, `${domain}-${this.#members.length}`)
    const all = { ...this.#sets(domain, data), ...sets }
    const member = new Member(this, domain, all)
    this.#members.push(member)
    for (const name of certified) await member.certify(name)
    return member
  }

  /** A started service that DNS knows. */
  async running(domain: string, sets: Sets = {}): Promise<Member> {
    const member = await this.member(domain, sets)
    await member.start()
    this.publish(domain, member.serverPort)
    return member
  }

  /** Has DNS say that the domain is served at a port of this machine. */
  publish(domain: string, port: number): void {
    const host = `xmpp.${domain}`
    this.dns.zone[`_xmpp-server._tcp.${domain}`] = { SRV: [{ priority: 10, weight: 0, port, target: host }] }
    this.dns.zone[host] = { A: ['127.0.0.1'] }
  }

  /** Has DNS say that the domain is served by Direct TLS, and by nothing else (XEP-0368). */
  publishDirectTls(domain: string, port: number): void {
    this.publish(domain, port)
    const service = this.dns.zone[`_xmpp-server._tcp.${domain}`]!
    delete this.dns.zone[`_xmpp-server._tcp.${domain}`]
    this.dns.zone[`_xmpps-server._tcp.${domain}`] = service
  }

  #sets(domain: string, data: string): Sets {
    return {
      'xmpp.domains': [domain],
      'data.directory': data,
      'network.interface': ['127.0.0.1'],
      'xmpp.server.socket.port': 'any',
      'xmpp.server.socket.ssl.port': 'any',
      'xmpp.server.private-targets': true,
      'ximss.listener.port': 'any',
      'tls.trust': [this.rootFile],
      'dns.servers': [`127.0.0.1:${this.#dnsPort}`],
    }
  }
}

/** One service of a world. */
export class Member {
  readonly domain: string
  readonly log = new ScriptedLog()
  readonly #world: World
  readonly #sets: Record<string, unknown>
  readonly #clients: XimssClient[] = []
  #service: Service | undefined
  #settings: Settings

  constructor(world: World, domain: string, sets: Sets) {
    this.#world = world
    this.domain = domain
    this.#sets = { ...sets }
    this.#settings = this.#read()
  }

  get service(): Service {
    if (this.#service === undefined) throw new Error(`the service of ${this.domain} has not been made`)
    return this.#service
  }

  get dataDirectory(): string {
    return this.#settings.get('data.directory')
  }

  get serverPort(): number {
    return this.service.endpoints.servers.find(({ tls }) => !tls)?.port ?? 0
  }

  /** Where servers begin with TLS. */
  get directTlsPort(): number {
    return this.service.endpoints.servers.find(({ tls }) => tls)?.port ?? 0
  }

  get ximssPort(): number {
    return this.service.endpoints.ximss[0]?.port ?? 0
  }

  /** The settings, as a command for this service is given them. */
  get env(): Record<string, string> {
    const env = Object.entries(this.#sets).map(([key, value]): [string, string] => [
      `COMITY_${key.toUpperCase().replace(/[.-]/g, '_')}`,
      typeof value === 'string' ? value : JSON.stringify(value),
    ])
    return Object.fromEntries(env)
  }

  /** Holds from the next start or reload on. */
  set(key: string, value: unknown): void {
    this.#sets[key] = value
  }

  /** Puts a certificate of the world's authority where the service looks for it. */
  async certify(domain = this.domain): Promise<void> {
    const { authority } = this.#world
    const { cert, key } = authority.credentials(authority.makeLeaf(domain), authority.intermediate)
    await this.writeCertificate(domain, cert, key)
  }

  async writeCertificate(domain: string, cert: string, key: string): Promise<void> {
    const directory = tlsDirectory(this.#settings)
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, `${domain}.crt`), cert)
    await writeFile(join(directory, `${domain}.key`), key)
  }

  async make(): Promise<Service> {
    this.#settings = this.#read()
    this.#service = await createService({ settings: this.#settings, log: this.log, reread: () => this.load() })
    return this.#service
  }

  async start(): Promise<readonly string[]> {
    const service = await this.make()
    return await service.start()
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.destroy()
    await this.#service?.stop()
    this.#service = undefined
  }

  admin(method: string, path: string, body?: unknown): Promise<unknown> {
    return adminRequest(adminSocketPath(this.#settings), method, path, body)
  }

  /** Changes a setting of the running service, as `comity property set` does. */
  async property(key: string, value: unknown): Promise<void> {
    await this.admin('PUT', `/properties/${key}`, { value })
  }

  async sessions(kind: string): Promise<SessionRow[]> {
    return (await this.admin('GET', `/sessions?kind=${kind}`)) as SessionRow[]
  }

  /** A new account, logged in and bound with the resource `desk`. */
  async user(name: string, domain = this.domain): Promise<XimssClient> {
    await this.admin('POST', '/users', { jid: `${name}@${domain}`, password: PASSWORD })
    return await this.login(name, domain)
  }

  async login(name: string, domain = this.domain): Promise<XimssClient> {
    const client = await XimssClient.connect({ port: this.ximssPort })
    this.#clients.push(client)
    await client.login(`${name}@${domain}`, PASSWORD)
    await client.request('signalBind', { presence: 'yes', readIM: '1', clientID: 'desk' })
    return client
  }

  /** All settings come from the environment: weaker than what is stored, so that they can be changed while it runs. */
  load(): LoadResult {
    return loadConfig({ file: null, env: this.env, sets: [] })
  }

  #read(): Settings {
    const loaded = this.load()
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    return new Settings(loaded.config)
  }
}

/** Sends a message whose text is also its id. The response is not waited for: what comes before it would be lost. */
export function say(client: XimssClient, peer: string, word: string): void {
  client.send(`<sendIM id="say" peer="${peer}" type="chat" iqid="${word}">${word}</sendIM>`)
}

/** Skips to the next message and returns it. */
export function heard(client: XimssClient): Promise<string> {
  return client.nextWith('<readIM ')
}
