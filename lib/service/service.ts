import { mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { defaultXimssLimits, type XimssServices } from '../access/ximss/services.js'
import { type XimssEndpoint, XimssListener, type XimssPlaces } from '../access/ximss/ximss-listener.js'
import { AdminSocket } from '../admin/admin-socket.js'
import { type Clock, systemClock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import { DnsOverrides, readRoute } from '../dial/dns-override.js'
import { HostsFile } from '../dial/hosts-file.js'
import { Resolver } from '../dial/resolver.js'
import { readServer, systemServers } from '../dial/system-servers.js'
import type { PermissionEntry } from '../policy/permission.js'
import { type NetworkOptions, networkConnect } from '../session/connect.js'
import { networkLeadsTo } from '../session/dns-evidence.js'
import { domainToAscii, isOnionName } from '../stanza/domain.js'
import { Jids } from '../stanza/jid.js'
import { openStore, type Store } from '../store/store.js'
import { adminRoutes } from './admin-routes.js'
import { adminSocketPath, dataDirectory } from './config-paths.js'
import type { CreateService, ProbeReport, ProbeRequest, Service, ServiceEndpoints, ServiceOptions } from './contract.js'
import { Federation } from './federation.js'
import { listening, place, portNumber } from './listening.js'
import { isOwnListener } from './own-listeners.js'
import { IMPORT_ROUTE } from './permission-routes.js'
import { Prober } from './probe.js'
import { probePair } from './probe-routes.js'
import { RemoteProof } from './remote-proof.js'
import { ServedDomains } from './served-domains.js'
import { listenersMovedBy, type ServerEndpoint, ServerListeners } from './server-listeners.js'
import { sessionSettings } from './session-settings.js'
import type { Change, Settings } from './settings.js'
import { TlsIdentity } from './tls-identity.js'
import { VERSION } from './version.js'
import { ximssLog } from './ximss-log.js'

/** How long streams may take to close in order. */
const STOP_MS = 10_000
const DNS_CACHE_ENTRIES = 10_000

/** Puts a service together: everything that can fail before a port is opened fails here. */
export const createService: CreateService = async options => {
  const { settings, log, clock = systemClock } = options
  await mkdir(dataDirectory(settings), { recursive: true, mode: 0o700 })
  const store = await openStore({ url: settings.get('store.url'), dataDirectory: dataDirectory(settings), log, clock })
  try {
    settings.useStored(await store.properties.all())
    const identity = await TlsIdentity.load({ settings, clock, log })
    const [dialbackSecret, fakeSaltSecret, permissions] = await Promise.all([
      store.secrets.dialbackSecret(),
      store.secrets.fakeSaltSecret(),
      store.permissions.all(),
    ])
    return new ComityService({ ...options, clock, store, identity, dialbackSecret, fakeSaltSecret, permissions })
  } catch (error) {
    await store.close()
    throw error
  }
}

interface Parts extends ServiceOptions {
  readonly clock: Clock
  readonly store: Store
  readonly identity: TlsIdentity
  readonly dialbackSecret: string
  readonly fakeSaltSecret: string
  readonly permissions: readonly PermissionEntry[]
}

/** The only place that knows everybody: composition, and the order of start and stop. */
class ComityService implements Service {
  readonly federation: Federation
  readonly #settings: Settings
  readonly #log: Log
  readonly #clock: Clock
  readonly #parts: Parts
  readonly #jids = new Jids()
  readonly #domains: ServedDomains
  readonly #resolver: Resolver
  readonly #admin: AdminSocket
  readonly #listeners: ServerListeners
  readonly #ximss: XimssListener
  readonly #prober: Prober
  #isListening = false
  #ignoreChanges: (() => void) | undefined
  #changing: Promise<void> = Promise.resolve()
  #failedChange: Error | undefined
  #stopped: Promise<void> | undefined

  constructor(parts: Parts) {
    const { settings, log, clock, identity, dialbackSecret, permissions } = parts
    this.#parts = parts
    this.#settings = settings
    this.#log = log
    this.#clock = clock
    this.#domains = new ServedDomains(settings.get('xmpp.domains'))
    this.#resolver = new Resolver({
      servers: () => this.#nameServers(),
      clock,
      capacity: DNS_CACHE_ENTRIES,
      hosts: new HostsFile('/etc/hosts', clock),
    })
    const live = sessionSettings(settings)
    const network: NetworkOptions = {
      resolver: this.#resolver,
      settings: live,
      clock,
      overrides: () => this.#overrides(),
      isOwnListener: (address, port) => isOwnListener(this.#listeners.endpoints, address, port),
    }
    identity.useRemoteProof(
      new RemoteProof({
        settings,
        clock,
        resolver: this.#resolver,
        dialing: () => ({ settings: live, forbidden: network.isOwnListener, ...(live.proxy && { proxy: live.proxy }) }),
      }),
    )
    this.#listeners = new ServerListeners({
      settings,
      accept: (socket, addresses, kind) => this.federation.incoming.accept(socket, addresses, kind),
    })
    this.federation = new Federation({
      clock,
      log,
      settings,
      sessionSettings: live,
      jids: this.#jids,
      domains: this.#domains,
      identity,
      dialbackSecret,
      permissions,
      connect: networkConnect(network),
      leadsTo: networkLeadsTo(network),
      isRouted: domain =>
        this.#overrides()?.find(domainToAscii(domain)) !== undefined ||
        (isOnionName(domain) && live.proxy !== undefined),
    })
    this.#ximss = this.#newXimss()
    this.#prober = new Prober({
      federation: this.federation,
      clock,
      log,
      jids: this.#jids,
      isListening: () => this.#isListening,
    })
    this.#admin = new AdminSocket({
      path: adminSocketPath(settings),
      longBodies: [IMPORT_ROUTE],
      log,
      clock,
      routes: adminRoutes({
        federation: this.federation,
        ximss: () => this.#ximss,
        settings,
        store: parts.store,
        settled: () => this.#settled(),
        domains: this.#domains,
        prober: this.#prober,
        clock,
        log,
      }),
    })
  }

  get endpoints(): ServiceEndpoints {
    return { servers: this.#listeners.endpoints, ximss: this.#ximss.endpoints }
  }

  async start(): Promise<readonly string[]> {
    this.federation.permissions.watch(() => this.federation.reconsider())
    try {
      await this.#admin.open()
      const lines = [...(await this.#openServers()), ...(await this.#openXimss())]
      this.#isListening = true
      this.#parts.identity.watch()
      this.#ignoreChanges = this.#settings.onChange(change => this.#changed(change))
      this.#log.info('service-started', { domains: this.#domains.list, version: VERSION })
      return lines
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }

  /** What waits is answered while its senders are there; then local users, so that what they still wrote can leave; then the streams. */
  async #stop(): Promise<void> {
    this.#ignoreChanges?.()
    this.federation.permissions.unwatch()
    this.#parts.identity.unwatch()
    await this.#changing
    this.#log.info('service-stopping')
    const deadline = new AbortController()
    const cancel = this.#clock.after(STOP_MS, () => deadline.abort(new Error('the time to stop is over')))
    this.#listeners.close()
    this.federation.outgoing.openNoMore()
    await this.#ximss.stop()
    await this.federation.incoming.stop(deadline.signal)
    await this.federation.outgoing.stop(deadline.signal)
    cancel()
    await this.#admin.close()
    await this.#parts.store.close()
    this.#log.info('service-stopped', { ...this.federation.outgoing.counters })
  }

  async reload(): Promise<void> {
    const { reread, identity } = this.#parts
    let takeBack = (): void => {}
    if (reread !== undefined) {
      const loaded = reread()
      if (!loaded.ok) throw new Error(loaded.problems.map(({ key, problem }) => `${key}: ${problem}`).join('; '))
      takeBack = this.#settings.reload(loaded.config)
    }
    try {
      await identity.reload()
    } catch (error) {
      takeBack()
      throw error
    }
    this.#resolver.flush()
    this.federation.outgoing.reconsider()
    this.#log.info('service-reloaded')
  }

  async probe({ remote, local, onStep }: ProbeRequest): Promise<ProbeReport> {
    return await this.#prober.run(probePair({ remote, local }, this.#domains.list), onStep)
  }

  async #openServers(): Promise<string[]> {
    const endpoints = await this.#listeners.open()
    for (const endpoint of endpoints) this.#log.info('s2s-listening', { ...endpoint })
    return endpoints.map(serverLine)
  }

  async #openXimss(): Promise<string[]> {
    return (await listening('ximss.listener.port', () => this.#ximss.start())).map(ximssLine)
  }

  #newXimss(): XimssListener {
    const { store, identity, fakeSaltSecret } = this.#parts
    const settings = this.#settings
    const domains = this.#domains
    const services: XimssServices = {
      clock: this.#clock,
      log: ximssLog(this.#log, () => settings.get('ximss.log')),
      limits: {
        ...defaultXimssLimits,
        get idleMs() {
          return settings.get('sessions.sessionsTTL')
        },
      },
      jids: this.#jids,
      get domains() {
        return domains.list as [string, ...string[]]
      },
      accounts: store.accounts,
      fakeSaltSecret,
      contextFor: domain => identity.contextFor(domain),
      clearTextOnLoopback: true,
      routes: this.federation.table,
      route: stanza => this.federation.router.route(stanza),
      node: hostname(),
      version: VERSION,
    }
    return new XimssListener({ services, ...this.#ximssPlaces() })
  }

  #ximssPlaces(): XimssPlaces {
    const settings = this.#settings
    const port = settings.get('ximss.listener.port')
    const tlsPort = settings.get('ximss.listener.tls.port')
    return {
      channels: settings.get('ximss.channels'),
      addresses: settings.get('network.interface'),
      ...(port !== 0 && { port: portNumber(port) }),
      ...(tlsPort !== 0 && { tlsPort: portNumber(tlsPort) }),
    }
  }

  #nameServers(): ReturnType<typeof systemServers> {
    const servers = this.#settings.get('dns.servers')
    return servers.length === 0 ? systemServers() : servers.flatMap(text => readServer(text) ?? [])
  }

  #overrides(): DnsOverrides | undefined {
    const entries = Object.entries(this.#settings.get('dns.override'))
    if (entries.length === 0) return undefined
    return new DnsOverrides(
      entries.flatMap(([pattern, target]) => {
        const route = readRoute(target)
        return route === undefined ? [] : [[asciiPattern(pattern), route] as const]
      }),
    )
  }

  #changed(change: Change): void {
    const { key, takesEffect, value, previous } = change
    if (key === 'xmpp.domains') {
      this.#domains.replace(this.#settings.get('xmpp.domains'))
      this.#endStrangers()
    }
    if (key === 'xmpp.domains' || key.startsWith('tls.')) {
      this.#later(async () => {
        await this.#parts.identity.reload()
        this.#parts.identity.watch()
        this.federation.outgoing.reconsider()
      })
    }
    if (key === 'ximss.channels') this.#ximss.sessions.most = this.#settings.get('ximss.channels')
    if (key === 'dns.servers' || key === 'dns.override') this.#resolver.flush()
    if (key.startsWith('xmpp.') || key.startsWith('dns.')) this.federation.reconsider()
    const moved = listenersMovedBy(change)
    const opensXimss = key === 'ximss.channels' && (value === 0 || previous === 0)
    if (takesEffect !== 'listener' && !opensXimss && moved.length === 0) return
    this.#later(async () => {
      if (moved.length > 0) {
        for (const endpoint of await this.#listeners.open(moved))
          this.#log.info('listener-reopened', { listener: serverLine(endpoint) })
      }
      if (!key.startsWith('xmpp.')) {
        const reopened = await listening('ximss.listener.port', () => this.#ximss.reopen(this.#ximssPlaces()))
        for (const endpoint of reopened) {
          this.#log.info('listener-reopened', { listener: ximssLine(endpoint) })
        }
      }
    })
  }

  /** Nobody speaks for a domain that is not served any more. */
  #endStrangers(): void {
    for (const { id, account } of this.#ximss.snapshot()) {
      const domain = this.#jids.parse(account)?.domain
      if (domain === undefined || this.#domains.serves(domain)) continue
      this.#ximss.sessions.close(id, `the domain ${domain} is no longer served here`)
    }
  }

  /** One after the other; a failure is told and leaves the rest as it is. */
  #later(action: () => Promise<unknown>): void {
    this.#changing = this.#changing.then(async () => {
      try {
        await action()
      } catch (error) {
        this.#failedChange = error instanceof Error ? error : new Error(String(error))
        this.#log.warn('change-failed', { problem: this.#failedChange.message, mends: 'our admin' })
      }
    })
  }

  /** Resolves when everything that changes of settings have set off is done; rejects with the latest thing that failed. */
  async #settled(): Promise<void> {
    await this.#changing
    const failed = this.#failedChange
    this.#failedChange = undefined
    if (failed !== undefined) throw failed
  }
}

/** A pattern of `dns.override` as DNS sees names. */
function asciiPattern(pattern: string): string {
  if (pattern === '*') return pattern
  return pattern.startsWith('*.') ? `*.${domainToAscii(pattern.slice(2))}` : domainToAscii(pattern)
}

function serverLine({ address, port, tls }: ServerEndpoint): string {
  return `listening for servers on ${place(address, port)} (${tls ? 'Direct TLS' : 'STARTTLS'})`
}

function ximssLine({ address, port, tls }: XimssEndpoint): string {
  return `listening for XIMSS on ${place(address, port)}${tls ? ' (TLS)' : ''}`
}
