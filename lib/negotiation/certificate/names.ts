import { prepareDomain } from '../../stanza/domain.js'
import { comparable } from './domains.js'
import type { CertificateFacts } from './parse.js'

const SERVICE = '_xmpp-server.'

/** RFC 9525 §6.3: `*` stands for exactly one label, and only as the whole left-most one. */
function matches(presented: string, reference: string): boolean {
  const name = presented.toLowerCase()
  if (!name.includes('*')) return name === reference
  const rest = name.slice(1)
  if (!name.startsWith('*.') || rest.includes('*') || rest.length < 2) return false
  const dot = reference.indexOf('.')
  return dot > 0 && reference.slice(dot) === rest
}

/**
 * The first name of a certificate that stands for the server of `domain` (RFC 9525, RFC 6120 §13.7.1.2): a dNSName, an SRVName of
 * `_xmpp-server`, or an XmppAddr without local part and resource. Common names, addresses and URIs never count.
 * `extraNames` are further host names to accept as dNSName, such as an SRV target learnt through DNSSEC.
 */
export function matchingName(
  facts: CertificateFacts,
  domain: string,
  extraNames: readonly string[] = [],
): string | undefined {
  const reference = comparable(domain)
  if (reference !== undefined) {
    const dns = facts.dnsNames.find(name => matches(name, reference))
    if (dns !== undefined) return dns
    const srv = facts.srvNames.find(
      name => name.toLowerCase().startsWith(SERVICE) && matches(name.slice(SERVICE.length), reference),
    )
    if (srv !== undefined) return srv
    // Mapping every name by IDNA would cost a hostile certificate nothing and us much: it has to be there in one of its two plain forms.
    const forms = [reference, prepareDomain(domain)]
    const xmpp = facts.xmppAddrs.find(name => forms.includes(name.toLowerCase().normalize('NFC')))
    if (xmpp !== undefined) return xmpp
  }
  const extras = extraNames.map(comparable).filter(name => name !== undefined)
  return facts.dnsNames.find(name => extras.some(extra => matches(name, extra)))
}
