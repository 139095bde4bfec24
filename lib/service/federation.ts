import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { PermissionEntry } from '../policy/permission.js'
import { LocalDelivery } from '../routing/local-delivery.js'
import { OwnRequests } from '../routing/own-requests.js'
import { RouteTable } from '../routing/route-table.js'
import { Router } from '../routing/router.js'
import { answerForServer } from '../routing/server-answers.js'
import type { Connect } from '../session/connect.js'
import type { SessionContext, SessionSettings } from '../session/context.js'
import type { LeadsTo } from '../session/dns-evidence.js'
import { IncomingSessions } from '../session/incoming-sessions.js'
import { OutgoingSessions } from '../session/outgoing-sessions.js'
import type { Jids } from '../stanza/jid.js'
import { PermissionGate } from './permission-gate.js'
import type { ServedDomains } from './served-domains.js'
import type { Settings } from './settings.js'
import type { TlsIdentity } from './tls-identity.js'

export interface FederationOptions {
  readonly clock: Clock
  readonly log: Log
  readonly settings: Settings
  readonly sessionSettings: SessionSettings
  readonly jids: Jids
  readonly domains: ServedDomains
  readonly identity: Pick<TlsIdentity, 'credentials' | 'judge' | 'judgeRemote'>
  readonly dialbackSecret: string
  readonly permissions: readonly PermissionEntry[]
  readonly connect: Connect
  readonly isRouted: (domain: string) => boolean
  readonly leadsTo: LeadsTo
}

/** Everything between the routing table and the streams to other servers, put together. */
export class Federation {
  readonly permissions: PermissionGate
  readonly table: RouteTable
  readonly router: Router
  readonly incoming: IncomingSessions
  readonly outgoing: OutgoingSessions
  /** What this server asks others in its own name. */
  readonly requests: OwnRequests

  constructor(options: FederationOptions) {
    const { clock, log, settings, sessionSettings, jids, domains, identity, dialbackSecret, connect, isRouted } =
      options
    this.table = new RouteTable(clock)
    this.requests = new OwnRequests(clock)
    this.permissions = new PermissionGate({ clock, log, settings, entries: options.permissions })
    const context: SessionContext = {
      clock,
      log,
      settings: sessionSettings,
      jids,
      domainState: domain => domains.state(domain),
      servedDomains: () => domains.list,
      gate: (_local, remote, direction) => this.permissions.ask(remote, direction),
      credentials: domain => identity.credentials(domain),
      judge: (chain, domain) => identity.judge(chain, domain),
      judgeRemote: certificate => identity.judgeRemote(certificate),
      dialbackSecrets: () => [dialbackSecret],
      route: stanza => this.router.route(stanza),
    }
    this.outgoing = new OutgoingSessions({
      context,
      connect,
      isRouted,
      leadsTo: options.leadsTo,
      provenTogether: (one, other) => this.incoming.provenTogether(one, other),
      publish: (pair, route, proof, stream) => {
        log.info('route-published', { local: pair.local, remote: pair.remote, proof, stream: stream.tag })
        return this.table.addPair({ pair, route, proof, stream: stream.tag })
      },
    })
    this.incoming = new IncomingSessions({
      context,
      verify: (...question) => this.outgoing.verify(...question),
      proven: pair => this.outgoing.heardFrom(pair.remote),
    })
    this.router = new Router({
      table: this.table,
      serves: domain => domains.serves(domain),
      local: new LocalDelivery(
        this.table,
        answerForServer,
        stanza => this.router.route(stanza),
        answer => this.requests.heard(answer),
      ),
      remote: this.outgoing,
    })
  }

  /** Applies what holds now to every stream. */
  reconsider(): void {
    this.incoming.reconsider()
    this.outgoing.reconsider()
  }
}
