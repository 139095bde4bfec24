import { constants } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { createSecureContext } from 'node:tls'
import type { Clock } from '../../lib/base/clock.js'
import { type Log, silentLog } from '../../lib/base/log.js'
import { CertificateJudge } from '../../lib/negotiation/certificate/verdict.js'
import type { Proof, Rules } from '../../lib/negotiation/rules.js'
import { RouteTable } from '../../lib/routing/route-table.js'
import { Router } from '../../lib/routing/router.js'
import type { Connect } from '../../lib/session/connect.js'
import type { Credentials, Direction, Gate, SessionContext, SessionSettings } from '../../lib/session/context.js'
import type { LeadsTo } from '../../lib/session/dns-evidence.js'
import { IncomingSessions } from '../../lib/session/incoming-sessions.js'
import { OutgoingSessions } from '../../lib/session/outgoing-sessions.js'
import type { DomainPair } from '../../lib/stanza/domain-pair.js'
import { Jids } from '../../lib/stanza/jid.js'
import type { Refusal, Route } from '../../lib/stanza/route.js'
import { Stanza } from '../../lib/stanza/stanza.js'
import { StreamEnd } from '../../lib/stream/end-reason.js'
import { createElement } from '../../lib/xml/element.js'
import type { Fixture, TestAuthority } from './authority.js'
import { memoryPair } from './memory-pair.js'

/** Takes the far end of an in-memory connection. */
export type Listener = (socket: Duplex) => void

/** The network of a spec: who answers for a domain. Nobody there: the connection is refused. */
export class MemoryNetwork {
  readonly #listeners = new Map<string, Listener>()
  /** How often each domain has been dialed. */
  readonly dialed = new Map<string, number>()
  /** Domains that are reached by Direct TLS only; all others by STARTTLS. */
  readonly directTls = new Set<string>()

  listen(domain: string, listener: Listener): void {
    this.#listeners.set(domain, listener)
  }

  withdraw(domain: string): void {
    this.#listeners.delete(domain)
  }

  /** A connection to whoever answers for the domain; undefined when nobody does. */
  connect(domain: string): Duplex | undefined {
    this.dialed.set(domain, (this.dialed.get(domain) ?? 0) + 1)
    const listener = this.#listeners.get(domain)
    if (listener === undefined) return undefined
    const [near, far] = memoryPair()
    listener(far)
    return near
  }

  get dial(): Connect {
    return async ({ pair, rules, signal, open }) => {
      const kind = this.directTls.has(pair.remote) ? 'tls' : 'starttls'
      if (kind === 'tls' && rules.tls === 'disabled') throw new StreamEnd('dns', 'no-service')
      const socket = this.connect(pair.remote)
      if (socket === undefined) throw new StreamEnd('tcp', 'refused')
      return await open(socket, { remoteAddress: '192.0.2.1', remotePort: 5269 }, signal, kind)
    }
  }
}

export const memorySettings: SessionSettings = {
  initialiseTimeoutMs: 10_000,
  idleMs: 1_800_000,
  readTimeoutMs: 10_000,
  resolutionTimeoutMs: 20_000,
  writeTimeoutMs: 30_000,
  queueStanzas: 2000,
  queueBytes: 8 * 1024 * 1024,
  queueBytesTotal: 256 * 1024 * 1024,
  maxAttempts: 100,
  backoffInitialMs: 2000,
  backoffMaxMs: 300_000,
  stanzaBytes: 262_144,
  unauthenticatedBytes: 65_536,
  limitsHidden: false,
  streamsPerAddress: 20,
  unauthenticatedStreams: 1000,
  requireAuthzid: false,
  skipSendingAuthzid: false,
}

export const memoryRules: Rules = { tls: 'required', strict: true, external: true, dialback: true }

export interface MemoryFederationOptions {
  readonly network: MemoryNetwork
  readonly authority: TestAuthority
  readonly clock: Clock
  readonly domains?: readonly string[]
  readonly rules?: Partial<Rules>
  /** The certificate of every domain served; null: there is none, so no TLS is offered. */
  readonly certificate?: Fixture | null
  readonly settings?: Partial<SessionSettings>
  readonly log?: Log
  readonly secret?: string
  /** What DNS says of a domain; nothing by itself. */
  readonly leadsTo?: LeadsTo
  readonly gate?: (local: string, remote: string, direction: Direction) => Gate
}

/** One server without ports, files and DNS: the real sessions, routing table and router, joined to others by an in-memory network. */
export class MemoryFederation {
  readonly domains: Set<string>
  readonly gone = new Set<string>()
  readonly jids = new Jids()
  readonly settings: SessionSettings
  readonly context: SessionContext
  readonly table: RouteTable
  readonly router: Router
  readonly incoming: IncomingSessions
  readonly outgoing: OutgoingSessions
  /** Stanzas that have come for local users, in order. */
  readonly received: Stanza[] = []
  readonly proven: { readonly pair: DomainPair; readonly proof: Proof; readonly direction: Direction }[] = []
  #connections = 0
  #waiting: { readonly match: (stanza: Stanza) => boolean; readonly resolve: (stanza: Stanza) => void }[] = []

  constructor(options: MemoryFederationOptions) {
    const { network, authority, clock, domains = ['here.example'], certificate = 'both', log = silentLog } = options
    const rules = { ...memoryRules, ...options.rules }
    this.domains = new Set(domains)
    this.settings = { ...memorySettings, ...options.settings }
    this.table = new RouteTable(clock)
    const judge = new CertificateJudge({
      anchors: authority.anchors,
      clock: {
        ...clock,
        date: () => authority.now,
        now: () => clock.now(),
        after: (ms, action) => clock.after(ms, action),
      },
    })
    const credentials = new Map<string, Credentials>()
    if (certificate !== null) {
      for (const domain of domains) {
        const { cert, key, chain } = authority.issue(domain, certificate)
        const context = createSecureContext({ cert, key, secureOptions: constants.SSL_OP_NO_TICKET })
        credentials.set(domain, { context, verified: judge.judge(chain, domain).verified })
      }
    }
    this.context = {
      clock,
      log,
      settings: this.settings,
      jids: this.jids,
      domainState: domain => (this.domains.has(domain) ? 'served' : this.gone.has(domain) ? 'gone' : 'foreign'),
      servedDomains: () => [...this.domains],
      gate: options.gate ?? (() => ({ rules })),
      credentials: domain => credentials.get(domain),
      judge: (chain, domain) => judge.judge(chain, domain),
      judgeRemote: async ({ chain, domain }) => ({ ...judge.judge(chain, domain), final: false }),
      dialbackSecrets: () => [options.secret ?? `secret of ${domains[0]}`],
      route: stanza => this.router.route(stanza),
    }
    this.outgoing = new OutgoingSessions({
      context: this.context,
      connect: network.dial,
      isRouted: () => false,
      leadsTo: options.leadsTo ?? (() => Promise.resolve({ place: 'nowhere' })),
      provenTogether: (one, other) => this.incoming.provenTogether(one, other),
      publish: (pair, route, proof, stream) => {
        this.proven.push({ pair, proof, direction: 'outgoing' })
        return this.table.addPair({ pair, route, proof, stream: stream.tag })
      },
    })
    this.incoming = new IncomingSessions({
      context: this.context,
      verify: (...question) => this.outgoing.verify(...question),
      proven: (pair, proof) => {
        this.proven.push({ pair, proof, direction: 'incoming' })
        this.outgoing.heardFrom(pair.remote)
      },
    })
    const local: Route = { deliver: stanza => this.#receive(stanza) }
    this.router = new Router({
      table: this.table,
      serves: domain => this.domains.has(domain),
      local,
      remote: this.outgoing,
    })
    for (const domain of domains) {
      network.listen(domain, socket =>
        this.accept(socket, this.#nextAddress(), network.directTls.has(domain) ? 'tls' : 'starttls'),
      )
    }
  }

  /** Whoever comes through the network comes from somewhere else than the last one: what is limited by address is a matter of its own. */
  #nextAddress(): string {
    this.#connections++
    return `198.51.100.${this.#connections % 256}`
  }

  /** Takes a connection as a listener would. */
  accept(socket: Duplex, remoteAddress = '192.0.2.2', kind: 'starttls' | 'tls' = 'starttls'): void {
    this.incoming.accept(socket, { remoteAddress, remotePort: 50_000 }, kind)
  }

  /** Sends a chat message from a local user. */
  send(from: string, to: string, body: string, id = body): void {
    this.router.route(
      Stanza.build('message', { from: this.jids.parse(from), to: this.jids.parse(to), id, type: 'chat' }, [
        createElement('body', {}, body),
      ]),
    )
  }

  /** The next stanza that has come, or comes, for a local user and fits; each is given once. */
  next(match: (stanza: Stanza) => boolean = () => true): Promise<Stanza> {
    const index = this.received.findIndex(match)
    if (index >= 0) return Promise.resolve(this.received.splice(index, 1)[0]!)
    return new Promise(resolve => this.#waiting.push({ match, resolve }))
  }

  /** Ends every stream at once; nothing is left to keep a process alive. */
  async stop(): Promise<void> {
    const now = AbortSignal.abort(new Error('the spec is over'))
    await Promise.all([this.incoming.stop(now), this.outgoing.stop(now)])
  }

  #receive(stanza: Stanza): Refusal | undefined {
    const waiting = this.#waiting.find(({ match }) => match(stanza))
    if (waiting === undefined) this.received.push(stanza)
    else {
      this.#waiting = this.#waiting.filter(other => other !== waiting)
      waiting.resolve(stanza)
    }
    return undefined
  }
}
