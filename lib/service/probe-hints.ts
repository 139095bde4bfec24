import type { DefectCode } from '../negotiation/certificate/verdict.js'
import type { EndKind, EndReason } from '../stream/end-reason.js'

/** What can be done about an end. `*` stands for every detail that has no hint of its own. */
const HINTS: Readonly<Record<EndKind, Readonly<Record<string, string>> & { readonly '*': string }>> = {
  address: {
    '*': 'Check the spelling: this is no public domain name. A server on a private name needs an entry in dns.override.',
    loop: 'This service serves the domain itself; probe a domain of somebody else.',
    'onion-without-proxy': 'Set xmpp.server.proxy to the SOCKS5 port of a Tor client.',
  },
  policy: {
    '*': 'Our own rules forbid it: see "comity domain list".',
    'not-listed':
      'xmpp.server.permission is "whitelist" and no entry allows the domain: "comity domain allow" adds one.',
    blocked: 'An entry blocks the domain: "comity domain list" shows it, "comity domain remove" ends it.',
    'demand-not-met': 'The entry for the domain demands more than it offers: see its terms in "comity domain list".',
  },
  dns: {
    '*': 'The name servers of the domain do not answer properly: its owner checks them. If every domain fails so, it is our resolver: see dns.servers.',
    'no-such-domain': 'The domain is not registered or has lapsed; check the spelling.',
    'no-address': 'The host that the domain names has no address: its owner adds an A or AAAA record for it.',
    'no-service':
      'The SRV record has "." as its target, which says that no server is wanted here (RFC 2782). Its owner publishes a host and a port instead.',
    bogus: 'DNSSEC does not validate: the owner of the domain has expired or wrong signatures, or a stale DS record.',
    timeout: 'No name server answered in time. If every domain fails so, look at dns.servers.',
    unreachable: 'No name server could be asked: see dns.servers, and whether this machine may send to port 53.',
    'too-many-records': 'The domain has more records than are looked at; its owner removes some.',
  },
  tcp: {
    '*': 'Their server is down, or a network between is: compare from another network.',
    'no-server': 'There is no SRV record and nothing listens at the address of the domain: it may have no XMPP server.',
    refused:
      'Nothing listens there: their admin starts the server, opens the port in the firewall, or corrects the port in the SRV record.',
    timeout:
      'Nothing answers there: a firewall drops the packets (theirs for incoming, ours for outgoing ones), or the host is down.',
    unreachable: 'There is no way to the address: compare our IPv6 and IPv4 routes with theirs.',
    reset: 'The connection was cut at once: a firewall or a proxy in front of their server does not let us in.',
    'forbidden-target':
      'The domain leads to a private address or back to us. If that is meant, set xmpp.server.private-targets, or name the host in dns.override.',
    'proxy-refused': 'The rules of the proxy in xmpp.server.proxy do not let us out to that host and port.',
  },
  tls: {
    '*': 'Encryption is required here and their server does not offer it: they install a certificate and switch STARTTLS on for servers. "comity domain allow DOMAIN --tls optional" accepts the domain without.',
    'handshake-failed': 'The two sides agree on no TLS version or cipher: their admin permits TLS 1.2 or 1.3.',
    'plain-answer': 'The port of the SRV record for TLS at once does not speak TLS: its owner corrects _xmpps-server.',
    demanded: 'Their server insists on encryption and xmpp.server.tls.policy is "disabled" here.',
    refused: 'Their server offers STARTTLS and then refuses it: most often its certificate is missing.',
    'no-alpn': 'The port is shared with another protocol: their admin lets it answer for "xmpp-server".',
  },
  certificate: { '*': 'Their admin installs a certificate that verifies.' },
  stream: {
    '*': 'Their server refuses us: their admin finds the reason in its log.',
    'host-unknown':
      'DNS leads to a server that does not serve the domain: their admin adds it there, or the SRV record is corrected.',
    'host-gone': 'The domain has moved away from that server: the SRV record is corrected.',
    'bad-xml': 'The peer says something that is not the protocol between servers; is the port meant for clients?',
    'policy-violation': 'Their rules forbid it: ask their admin whether our domain is blocked.',
    'not-authorized': 'Their server does not accept our domain: their admin looks at its log for the reason.',
    'system-shutdown': 'Their server is being restarted: try again later.',
    'resource-constraint': 'Their server is overloaded: try again later.',
    closed: 'Their server closes the connection without a reason: their admin finds it in its log.',
  },
  sasl: {
    '*': 'They do not accept our certificate: "comity check-config" says what other servers will think of it.',
    'no-common-proof':
      'They offer neither SASL EXTERNAL for our certificate nor dialback that we may use: check our certificate with "comity check-config", and xmpp.server.dialback.enabled.',
  },
  dialback: {
    '*': 'Their server tried to call back the server of our domain and could not: check that our SRV record leads here and that port 5269 is open to the outside.',
    invalid:
      'Whoever our SRV record leads to does not know our dialback secret: is there a second server for our domain?',
    'item-not-found': 'Their server does not serve the domain: their admin adds it, or the SRV record is corrected.',
    'policy-violation': 'Their rules forbid it: ask their admin whether our domain is blocked.',
  },
  deadline: {
    '*': 'Their server accepted the connection and then stopped answering: it is overloaded, or a middlebox swallows packets.',
  },
  overload: { '*': 'Too much is under way here: try again, or raise xmpp.server.outgoing.max-attempts.' },
  size: { '*': 'A stanza was larger than their server takes; a probe sends none of that size.' },
  cut: { '*': 'The connection broke: try again.' },
  idle: { '*': 'Try again.' },
  admin: { '*': 'Somebody closed the stream by hand: try again.' },
  shutdown: { '*': 'The service is stopping: try again once it runs.' },
  internal: { '*': 'A mistake of this program: please report it with the log line s2s-out-failed.' },
}

const CERTIFICATE_HINTS: Readonly<Partial<Record<DefectCode, string>>> = {
  expired: 'Their certificate has run out: they renew it, and make the server load the new one.',
  'not-yet-valid': 'Their certificate is not valid yet: compare the clocks of both machines.',
  'self-signed': 'Their certificate vouches for itself: they get one from a public authority, or publish TLSA records.',
  'unknown-root': 'Their authority is not trusted here: they use a public one, or its root goes into tls.trust here.',
  'missing-intermediate':
    'Their server sends its certificate without the intermediate one: they install the full chain.',
  'wrong-name':
    'Their certificate is for other names: they get one for the domain of the addresses, not for that of the machine.',
  usage: 'Their certificate is not meant for servers: they get one with the usage serverAuth.',
  'weak-key': 'Their key is too weak: they make a new one.',
  'weak-signature': 'Their certificate is signed by an outdated method: they get a new one.',
  revoked: 'Their certificate was revoked: they get a new one.',
  'dane-mismatch': 'Their TLSA records do not fit their certificate: they correct one of the two.',
}

/** What the side that mends an end can do, for people. `defects` are those of the certificate, where it is one that failed. */
export function hintOf({ kind, detail }: EndReason, defects: readonly string[] = []): string {
  const rows = HINTS[kind]
  if (kind !== 'certificate') return Object.hasOwn(rows, detail) ? rows[detail]! : rows['*']
  const hints = Object.entries(CERTIFICATE_HINTS).flatMap(([code, hint]) =>
    code === detail || defects.includes(code) ? [hint] : [],
  )
  return hints.length === 0 ? rows['*'] : hints.join(' ')
}
