/** Settings that are known and will come; using one is not a spelling mistake. */
const LATER: ReadonlySet<string> = new Set([
  'xmpp.server.allow-anonymous-outbound-data',
  'xmpp.server.session.allowmultiple',
  'xmpp.server.limits.advertisement.disabled',
  'xmpp.server.bidi.enabled',
  'xmpp.server.sm.enabled',
  'xmpp.server.sm.resume',
  'xmpp.server.spool.active',
  'xmpp.server.spool.ttl',
  'xmpp.server.spool.durability',
  'xmpp.socket.ssl.protocols',
  'xmpp.socket.ssl.ciphersuites',
  'xmpp.client.socket.port',
  'xmpp.client.socket.ssl.port',
  'xmpp.client.tls.policy',
  'xmpp.client.sasl.plain-without-tls',
  'xmpp.component.socket.port',
  'xmpp.component.secrets',
  'ximss.flashPolicy',
  'http.port',
  'http.tls.port',
  'sessions.sessionsMax',
  'sessions.sessionsMaxPerIP',
  'sessions.sessionsIPMatch',
  'sessions.sessionsAuthMatch',
  'sessions.dsmlConfig',
  'sessions.extendedRange',
  'admin.port',
  'admin.interface',
  'snmp.port',
  'cluster.servers',
  'cluster.node',
  'cluster.role',
  'cluster.sessPerSisnConn',
  'cluster.connIdleTime',
])

/** Openfire's settings that have no counterpart, with the reason, so that a file brought over explains itself. */
const REFUSED: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /^xmpp\.server\.tls\.on-plain-detection-allow-nondirecttls-fallback$/,
    'a Direct TLS address that answers in plain text has failed; STARTTLS is tried where DNS lists it',
  ],
  [
    /^xmpp\.server\.cert\.policy$/,
    'the certificate of a peer is always asked for and never required in the TLS handshake',
  ],
  [
    /^xmpp\.(?:[\w-]+\.)*certificate\.(?:accept-selfsigned(?:-certs|-certificates)?|(?:verify|revocation)(?:\..+)?)$/,
    'a certificate verifies or it does not, what follows is xmpp.server.certificate.strict-validation; revocation lists stand in tls.trust',
  ],
  [/^xmpp\.server\.compression\.policy$/, 'compression together with TLS gives secrets away, so there is none'],
  [
    /^(?:sasl\.mechs|sasl\.server\.suppressEmpty|xmpp\.auth\.sasl2|xmpp\.auth\.retries)(?:\..+)?$/,
    'servers authenticate with SASL EXTERNAL only, and after three failures the stream ends',
  ],
  [/^xmpp\.auth\.sasl\.external\.server\.require-authzid$/, 'use xmpp.auth.external.server.require-authzid'],
  [
    /^xmpp\.server\.(?:processing\.(?:core\.|max\.)?threads(?:[.-].+)?|outgoing\.(?:max\.threads|min\.threads|threads-timeout))$/,
    'there are no threads; xmpp.server.outgoing.max-attempts limits the attempts at once',
  ],
  [
    /^xmpp\.server\.(?:(?:outgoing\.)?(?:session\.redelivery-timeout|close-wait-timeout|backup-packet-delivery\.enabled)|session\.(?:close-wait-timeout|backup-packet-delivery\.enabled|timeout))$/,
    'a domain pair owns its stanzas, nothing waits for an old stream to be torn down',
  ],
  [/^xmpp\.server\.incoming\.skip-jid-validation$/, 'addresses are always validated'],
  [/^xmpp\.server\.rewrite\.replace-missing-to$/, 'a stanza between servers names its receiver (RFC 6120 §8.1.1.2)'],
  [/^xmpp\.gateway\..+$/, 'there is no gateway; dns.override sends a domain elsewhere'],
  [
    /^(?:provider\.serverCertIdentityMap\.classList|xmpp\.auth\.ssl\..+|xmpp\.(?:[\w-]+\.)*(?:keystore|truststore|keypass|trustpass)(?:\..+)?)$/,
    'certificates are PEM files in tls.directory and tls.trust, and their names follow RFC 6125',
  ],
  [/^cache\..+$/, 'caches have fixed bounds, and DNS answers live as long as they say'],
]

/** The longest text that is looked up; a longer name is none of these. */
const LONGEST_NAME = 200

/** Whether `name` is a setting of a later version. */
export function isLater(name: string): boolean {
  return LATER.has(name)
}

/** Why the Openfire setting `name` is not kept; undefined when it is none of them. */
export function refusalReason(name: string): string | undefined {
  if (name.length > LONGEST_NAME) return undefined
  return REFUSED.find(([pattern]) => pattern.test(name))?.[1]
}
