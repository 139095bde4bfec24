import { createSecureContext } from 'node:tls'
import { defaultXimssLimits, type XimssLimits, type XimssServices } from '../../../lib/access/ximss/services.js'
import { XimssListener } from '../../../lib/access/ximss/ximss-listener.js'
import { type Clock, systemClock } from '../../../lib/base/clock.js'
import type { Log, LogFields } from '../../../lib/base/log.js'
import { RouteTable } from '../../../lib/routing/route-table.js'
import { type Jid, Jids } from '../../../lib/stanza/jid.js'
import type { Refusal } from '../../../lib/stanza/route.js'
import { Stanza } from '../../../lib/stanza/stanza.js'
import { deriveScramKeys, type ScramCredentials } from '../../../lib/store/scram-keys.js'
import { createElement, type Element } from '../../../lib/xml/element.js'
import { TestAuthority } from '../../support/authority.js'
import { XimssClient } from '../../support/ximss-client.js'

const jids = new Jids()

/** An address, to be certain. */
export function jid(text: string): Jid {
  const parsed = jids.parse(text)
  if (parsed === undefined) throw new Error(`no address: ${text}`)
  return parsed
}

export const body = (text: string): Element => createElement('body', {}, text)

/** Keeps what was logged, for specs that look for what must not be in it. */
export class RecordingLog implements Log {
  readonly lines: { level: string; event: string; fields: LogFields }[]
  readonly #fields: LogFields

  constructor(lines: RecordingLog['lines'] = [], fields: LogFields = {}) {
    this.lines = lines
    this.#fields = fields
  }

  error = (event: string, fields?: LogFields): void => this.#add('error', event, fields)
  warn = (event: string, fields?: LogFields): void => this.#add('warn', event, fields)
  info = (event: string, fields?: LogFields): void => this.#add('info', event, fields)
  debug = (event: string, fields?: LogFields): void => this.#add('debug', event, fields)
  child = (fields: LogFields): Log => new RecordingLog(this.lines, { ...this.#fields, ...fields })

  events(): string[] {
    return this.lines.map(line => line.event)
  }

  #add(level: string, event: string, fields?: LogFields): void {
    this.lines.push({ level, event, fields: { ...this.#fields, ...fields } })
  }
}

/** One account, `olga@north.example` with the password `s3cret&<`, without a database. */
export class TestAccounts {
  static readonly password = 's3cret&<'
  readonly #credentials: Promise<ScramCredentials>
  /** Names asked for, in order. */
  readonly asked: string[] = []

  constructor() {
    this.#credentials = this.#derive()
  }

  async #derive(): Promise<ScramCredentials> {
    const salt = Buffer.from('0123456789abcdef')
    return {
      'SCRAM-SHA-256': await deriveScramKeys('SCRAM-SHA-256', TestAccounts.password, salt, 4096),
      'SCRAM-SHA-1': await deriveScramKeys('SCRAM-SHA-1', TestAccounts.password, salt, 4096),
    }
  }

  async credentials(local: string, domain: string): Promise<ScramCredentials | undefined> {
    this.asked.push(`${local}@${domain}`)
    return local === 'olga' && domain === 'north.example' ? this.#credentials : undefined
  }

  async verifyPassword(local: string, domain: string, password: string): Promise<boolean> {
    this.asked.push(`${local}@${domain}`)
    return local === 'olga' && domain === 'north.example' && password === TestAccounts.password
  }
}

export interface FixtureOptions {
  readonly clock?: Clock
  readonly limits?: Partial<XimssLimits>
  readonly channels?: number
  readonly tls?: boolean
  readonly services?: Partial<XimssServices>
}

/** A running listener on loopback, everything around it in reach, and clients for it. */
export class Fixture {
  readonly log = new RecordingLog()
  readonly routes = new RouteTable()
  readonly accounts = new TestAccounts()
  readonly sent: Stanza[] = []
  readonly told: Stanza[] = []
  readonly refused: { stanza: Stanza; refusal: Refusal }[] = []
  readonly listener: XimssListener
  readonly services: XimssServices
  readonly #clients: XimssClient[] = []

  static readonly authority = new TestAuthority()

  private constructor(options: FixtureOptions) {
    const contexts = new Map(
      ['north.example', 'east.example'].map(domain => {
        const { cert, key } = Fixture.authority.issue(domain)
        return [domain, createSecureContext({ cert, key })]
      }),
    )
    this.services = {
      clock: options.clock ?? systemClock,
      log: this.log,
      limits: { ...defaultXimssLimits, failedLoginDelayMs: 0, ...options.limits },
      jids,
      domains: ['north.example', 'east.example'],
      accounts: this.accounts,
      fakeSaltSecret: 'f'.repeat(64),
      contextFor: domain => contexts.get(domain),
      clearTextOnLoopback: true,
      routes: this.routes,
      route: stanza => {
        this.sent.push(stanza)
        return undefined
      },
      broadcast: stanza => this.told.push(stanza),
      node: 'node1',
      version: '0.0.0',
      ...options.services,
    }
    this.listener = new XimssListener({
      services: this.services,
      channels: options.channels ?? 100,
      addresses: ['127.0.0.1'],
      port: 0,
      ...(options.tls ? { tlsPort: 0 } : {}),
    })
  }

  static async start(options: FixtureOptions = {}): Promise<Fixture> {
    const fixture = new Fixture(options)
    await fixture.listener.start()
    return fixture
  }

  static readonly trust = { ca: Fixture.authority.caPem, servername: 'north.example' }

  async client(): Promise<XimssClient> {
    return this.#keep(await XimssClient.connect({ port: this.#port(false) }))
  }

  async tlsClient(servername = 'north.example'): Promise<XimssClient> {
    return this.#keep(await XimssClient.connect({ port: this.#port(true), tls: { ...Fixture.trust, servername } }))
  }

  /** A client that is logged in, with the resource `desk`, bound to everything. */
  async boundClient(version?: string): Promise<XimssClient> {
    const client = await this.client()
    await client.login('olga', TestAccounts.password, version)
    await client.request('signalBind', { presence: 'yes', readIM: '1', clientID: 'desk' })
    return client
  }

  /** Gives a stanza to the resource it is for, as the router would. */
  deliver(stanza: Stanza): Refusal | undefined {
    const resource = stanza.to === undefined ? undefined : this.routes.resource(stanza.to)
    if (resource === undefined) throw new Error(`nobody is bound as ${stanza.to}`)
    return resource.deliver(stanza, (stanza, refusal) => this.refused.push({ stanza, refusal }))
  }

  /** Delivers a message to `olga@north.example/desk`. */
  deliverText(text: string): void {
    const to = jid('olga@north.example/desk')
    this.deliver(Stanza.build('message', { to, from: jid('ivo@south.example/home'), type: 'chat' }, [body(text)]))
  }

  /** Resolves when the last session is gone. */
  async gone(): Promise<void> {
    while (this.listener.sessions.size > 0) await new Promise(resolve => setImmediate(resolve))
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    await this.listener.stop()
  }

  #keep(client: XimssClient): XimssClient {
    this.#clients.push(client)
    return client
  }

  #port(tls: boolean): number {
    const endpoint = this.listener.endpoints.find(candidate => candidate.tls === tls)
    if (endpoint === undefined) throw new Error('not listening')
    return endpoint.port
  }
}
