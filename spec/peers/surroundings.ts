import { TestAuthority } from '../support/authority.js'
import { ScriptedDns } from '../support/scripted-dns.js'
import type { PeerAuth } from './peer.js'

/** A certificate chain, its key, and the authorities that its owner trusts, all PEM. */
export interface Identity {
  readonly certificate: string
  readonly key: string
  readonly trust: string
}

/** Where a domain is served. */
export interface Place {
  readonly address: string
  /** For STARTTLS; an SRV record `_xmpp-server` names it. */
  readonly port?: number
  /** For Direct TLS (XEP-0368); an SRV record `_xmpps-server` names it. */
  readonly directTlsPort?: number
}

/**
 * What real peers need around them: a name server that answers what a spec says, and authorities. For `external` one
 * authority certifies every domain and all trust it. For `dialback` each domain has an authority of its own that nobody
 * else trusts, so certificates encrypt and prove nothing.
 */
export class Surroundings {
  readonly auth: PeerAuth
  /** Asked by everyone; its zone may be changed at any time. */
  readonly dns: ScriptedDns
  /** Its port on 127.0.0.1, UDP and TCP. */
  readonly dnsPort: number
  readonly #shared = new TestAuthority({ name: 'Peers' })

  private constructor(auth: PeerAuth, dns: ScriptedDns, dnsPort: number) {
    this.auth = auth
    this.dns = dns
    this.dnsPort = dnsPort
  }

  static async open(auth: PeerAuth): Promise<Surroundings> {
    const dns = new ScriptedDns()
    // Nobody is to remember anything: specs move domains about.
    dns.ttlSeconds = 0
    dns.negativeSeconds = 0
    const { port } = await dns.listen()
    return new Surroundings(auth, dns, port)
  }

  /**
   * A certificate for a domain, with what its owner trusts. It names the domain as public authorities do, by dNSName only:
   * ejabberd 23.01 crashes the stream of whoever proves himself by a certificate with an id-on-xmppAddr.
   */
  identity(domain: string): Identity {
    const authority = this.auth === 'external' ? this.#shared : new TestAuthority({ name: domain })
    const leaf = authority.makeLeaf(domain, { names: { dns: [domain] } })
    const { cert, key, ca } = authority.credentials(leaf, authority.intermediate)
    return { certificate: cert, key, trust: ca }
  }

  /** Says in DNS where a domain is served, in place of what was said before. */
  publish(domain: string, place: Place): void {
    this.withdraw(domain)
    const target = `xmpp.${domain}`
    const zone = this.dns.zone
    zone[target] = { A: [place.address] }
    for (const [service, port] of [
      ['_xmpp-server', place.port],
      ['_xmpps-server', place.directTlsPort],
    ] as const) {
      if (port !== undefined) zone[`${service}._tcp.${domain}`] = { SRV: [{ priority: 0, weight: 0, port, target }] }
    }
  }

  /** Takes a domain, and every name below it, out of DNS. */
  withdraw(domain: string): void {
    for (const name of Object.keys(this.dns.zone)) {
      if (name === domain || name.endsWith(`.${domain}`)) delete this.dns.zone[name]
    }
  }

  async close(): Promise<void> {
    await this.dns.close()
  }
}
