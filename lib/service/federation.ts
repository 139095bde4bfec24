import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { OwnCertificates } from '../negotiation/certificate/own-certificates.js'
import type { CertificateJudge } from '../negotiation/certificate/verdict.js'
import { federationRules } from '../policy/federation-policy.js'
import { LocalDelivery } from '../routing/local-delivery.js'
import { RouteTable } from '../routing/route-table.js'
import { Router } from '../routing/router.js'
import { answerForServer } from '../routing/server-answers.js'
import type { Connect } from '../session/connect.js'
import type { Gate, SessionContext, SessionSettings } from '../session/context.js'
import { IncomingSessions } from '../session/incoming-sessions.js'
import { OutgoingSessions } from '../session/outgoing-sessions.js'
import type { Jids } from '../stanza/jid.js'
import type { ServedDomains } from './served-domains.js'
import type { Settings } from './settings.js'

export interface FederationOptions {
  readonly clock: Clock
  readonly log: Log
  readonly settings: Settings
  readonly sessionSettings: SessionSettings
  readonly jids: Jids
  readonly domains: ServedDomains
  readonly certificates: OwnCertificates
  readonly judge: CertificateJudge
  readonly dialbackSecret: string
  readonly connect: Connect
  readonly isRouted: (domain: string) => boolean
}

/** Everything between the routing table and the streams to other servers, put together. */
export class Federation {
  readonly table: RouteTable
  readonly router: Router
  readonly incoming: IncomingSessions
  readonly outgoing: OutgoingSessions
  /** Whether a strict peer would accept our certificate, per domain; worked out once per certificate. */
  readonly #verified = new Map<string, { readonly chain: readonly Buffer[]; readonly verified: boolean }>()

  constructor(options: FederationOptions) {
    const {
      clock,
      log,
      settings,
      sessionSettings,
      jids,
      domains,
      certificates,
      judge,
      dialbackSecret,
      connect,
      isRouted,
    } = options
    this.table = new RouteTable(clock)
    const gate = (): Gate => ({
      rules: federationRules({
        tlsPolicy: settings.get('xmpp.server.tls.policy'),
        strictValidation: settings.get('xmpp.server.certificate.strict-validation'),
        dialbackEnabled: settings.get('xmpp.server.dialback.enabled'),
      }),
    })
    const context: SessionContext = {
      clock,
      log,
      settings: sessionSettings,
      jids,
      domainState: domain => domains.state(domain),
      gate,
      credentials: domain => {
        const secure = certificates.contextFor(domain)
        return secure && { context: secure, verified: this.#isVerified(domain, certificates, judge) }
      },
      judge: (chain, domain) => judge.judge(chain, domain),
      dialbackSecrets: () => [dialbackSecret],
      route: stanza => this.router.route(stanza),
    }
    this.outgoing = new OutgoingSessions({
      context,
      connect,
      isRouted,
      publish: (pair, route, proof, stream) => {
        log.info('route-published', { local: pair.local, remote: pair.remote, proof, stream: stream.tag })
        return this.table.addPair({ pair, route, proof, stream: stream.tag })
      },
    })
    this.incoming = new IncomingSessions({
      context,
      verify: (pair, streamId, key, signal) => this.outgoing.verify(pair, streamId, key, signal),
      proven: pair => this.outgoing.heardFrom(pair.remote),
    })
    this.router = new Router({
      table: this.table,
      serves: domain => domains.serves(domain),
      local: new LocalDelivery(this.table, answerForServer, stanza => this.router.route(stanza)),
      remote: this.outgoing,
    })
  }

  #isVerified(domain: string, certificates: OwnCertificates, judge: CertificateJudge): boolean {
    const chain = certificates.chainFor(domain)
    if (chain === undefined) return false
    const known = this.#verified.get(domain)
    if (known?.chain[0]?.equals(chain[0]!) === true) return known.verified
    const { verified } = judge.judge(chain, domain)
    this.#verified.set(domain, { chain, verified })
    return verified
  }
}
