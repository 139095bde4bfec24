import {
  domainName,
  filePath,
  localAddress,
  namePattern,
  nameServer,
  optionalProxy,
  overrideTarget,
  sourceAddresses,
} from './config-addresses.js'
import {
  choice,
  duration,
  flag,
  integer,
  list,
  listenerPort,
  map,
  type OptionType,
  someOf,
  text,
} from './config-types.js'

/**
 * When a change takes effect: *now* at once, on live streams too; *new* for new streams and attempts; *listener* when that
 * listener opens again, streams stay; *restart* when the service starts again.
 */
export type TakesEffect = 'now' | 'new' | 'listener' | 'restart'

/** One setting: what it may hold, what it holds when nobody says otherwise, and what it is for. */
export interface Option<T> {
  readonly type: OptionType<T>
  readonly default: T
  readonly takesEffect: TakesEffect
  readonly meaning: string
  /** Needed to find the stored properties, and therefore never one of them. */
  readonly beforeStore: boolean
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const MIB = 1_048_576

/** Every setting that works, in the order of the documentation. Durations are held in milliseconds. */
export const OPTIONS = Object.freeze({
  'xmpp.domains': option(list('domain names', domainName, 1), ['localhost'], 'now', 'domains served here'),
  'network.interface': option(
    list('IP addresses', localAddress, 1),
    ['::'],
    'listener',
    'addresses that listeners bind',
  ),
  'data.directory': beforeStore(
    text('the path of a directory', pathProblem),
    'data',
    'everything that must survive a restart on one machine',
  ),
  'store.url': beforeStore(
    text('sqlite: or sqlite:FILE', storeProblem),
    'sqlite:',
    'database; sqlite: alone is a file in the data directory, where a relative FILE is too',
  ),

  'tls.directory': option(
    text('the path of a directory', pathProblem),
    'certs',
    'now',
    'NAME.crt and NAME.key per domain (full chain, PEM); a relative path starts in the data directory',
  ),
  'tls.trust': option(
    list('paths of PEM files', filePath),
    [],
    'now',
    "certificate authorities trusted besides the system's",
  ),
  'tls.selfSigned': option(
    flag(),
    true,
    'now',
    'make a self-signed certificate for a domain that has none; false: no TLS for it',
  ),

  'dns.servers': option(list('address[:port]', nameServer), [], 'now', "name servers to ask; none: the system's"),
  'dns.override': option(
    map('pattern: host:port[;transport], pattern name, *.suffix or *', namePattern, overrideTarget),
    {},
    'now',
    'where to connect instead of asking DNS, by domain; transport starttls or tls',
  ),

  'xmpp.server.socket.active': option(flag(), true, 'listener', 'listen for other servers, with STARTTLS'),
  'xmpp.server.socket.port': option(listenerPort(false), 5269, 'listener', 'port of that listener'),
  'xmpp.server.socket.ssl.active': option(
    flag(),
    true,
    'listener',
    'listen for other servers that begin with TLS (Direct TLS, XEP-0368); never while xmpp.server.tls.policy is disabled',
  ),
  'xmpp.server.socket.ssl.port': option(listenerPort(false), 5270, 'listener', 'port of that listener'),
  'xmpp.server.socket.remotePort': option(
    integer(1, 65_535),
    5269,
    'now',
    'port of a remote server when DNS names none',
  ),
  'xmpp.server.tls.policy': option(
    choice('disabled', 'optional', 'required'),
    'required',
    'new',
    'TLS with other servers, in both directions; a stricter value also ends streams that fall short of it',
  ),
  'xmpp.server.certificate.strict-validation': option(
    flag(),
    true,
    'new',
    'a certificate that does not verify ends the attempt; false: its owner may still prove itself by dialback over TLS; true also ends such streams',
  ),
  'xmpp.server.certificate.proofs': option(
    someOf('dane', 'pkix', 'posh'),
    ['dane', 'pkix', 'posh'],
    'new',
    'what may vouch for the certificate of a server that is called, in this order (RFC 7673, RFC 6120 §13.7.2, RFC 7711)',
  ),
  'xmpp.server.dialback.enabled': option(flag(), true, 'new', 'Server Dialback (XEP-0220), all three roles'),
  'xmpp.server.permission': option(
    choice('blacklist', 'whitelist'),
    'blacklist',
    'now',
    'blacklist: every domain but those blocked by `comity domain block`; whitelist: only those of `comity domain allow`',
  ),
  'xmpp.server.permission-apply-recursive': option(
    flag(),
    true,
    'now',
    'an entry for a name covers its sub-domains too, unless a longer entry exists',
  ),
  'xmpp.server.session.initialise-timeout': option(
    duration({ unit: 's', min: 100, max: 10 * MINUTE }),
    10 * SECOND,
    'new',
    'from connected socket to proven pair',
  ),
  'xmpp.server.session.idle': option(
    duration({ unit: 'm', min: SECOND, max: 30 * 24 * HOUR, never: true }),
    30 * MINUTE,
    'now',
    'close a stream when no stanza went either way for so long; -1 never',
  ),
  'xmpp.server.read.timeout': option(
    duration({ unit: 's', min: 100, max: 10 * MINUTE }),
    10 * SECOND,
    'new',
    'one TCP attempt, one dialback verification',
  ),
  'xmpp.server.resolution-timeout': option(
    duration({ unit: 's', min: 100, max: 10 * MINUTE }),
    20 * SECOND,
    'new',
    'DNS and TCP in total',
  ),
  'xmpp.server.resolution-delay': option(
    duration({ unit: 'ms', min: 0, max: 2 * SECOND }),
    50,
    'new',
    'wait for IPv6 addresses when those of IPv4 came first (RFC 8305 §3)',
  ),
  'xmpp.server.connection-attempt-delay': option(
    duration({ unit: 'ms', min: 100, max: 2 * SECOND }),
    250,
    'new',
    'pause between the TCP attempts of one dial (RFC 8305 §5)',
  ),
  'xmpp.server.connection-max-workers': option(integer(1, 64), 8, 'new', 'TCP attempts in flight per dial'),

  'xmpp.server.outgoing.queue': option(
    integer(1, 1_000_000, 'stanzas'),
    2000,
    'now',
    'waiting per domain pair while its stream is being made',
  ),
  'xmpp.server.outgoing.queue-bytes': option(
    integer(65_536, 1024 * MIB, 'bytes'),
    8 * MIB,
    'now',
    'the same in bytes; room for one stanza of the largest size at least',
  ),
  'xmpp.server.outgoing.queue-bytes-total': option(
    integer(64 * MIB, 65_536 * MIB, 'bytes'),
    256 * MIB,
    'now',
    'the same in bytes for all pairs together; one local sender gets a quarter of it at most',
  ),
  'xmpp.server.outgoing.max-attempts': option(
    integer(1, 10_000, 'attempts'),
    100,
    'now',
    'outgoing streams being made at once; further pairs wait their turn',
  ),
  'xmpp.server.backoff.initial': option(
    duration({ unit: 's', min: 100, max: HOUR }),
    2 * SECOND,
    'now',
    'rest after the first failed attempt; doubles with every further one',
  ),
  'xmpp.server.backoff.max': option(
    duration({ unit: 'm', min: 100, max: 24 * HOUR }),
    5 * MINUTE,
    'now',
    'longest rest',
  ),
  'xmpp.server.limits.stanza-bytes': option(
    integer(10_000, 16 * MIB, 'bytes'),
    262_144,
    'new',
    'largest stanza taken from a proven server (XEP-0478; RFC 6120 §13.12 asks for 10000 at least)',
  ),
  'xmpp.server.limits.unauthenticated-bytes': option(
    integer(10_000, MIB, 'bytes'),
    65_536,
    'new',
    'all that a stream may send before it has proven a pair',
  ),
  'xmpp.server.limits.advertisement.disabled': option(
    flag(),
    false,
    'new',
    'do not tell other servers the largest stanza and the idle time (XEP-0478)',
  ),
  'xmpp.server.limits.streams-per-address': option(
    integer(1, 10_000, 'streams'),
    20,
    'now',
    'unproven incoming streams per address',
  ),
  'xmpp.server.limits.unauthenticated-streams': option(
    integer(1, 100_000, 'streams'),
    1000,
    'now',
    'unproven incoming streams in all',
  ),
  'xmpp.ratelimit.newconnections.s2s.enabled': option(
    flag(),
    true,
    'now',
    'new connections of other servers are limited, per address (IPv6: per /64), and in all to ten times that',
  ),
  'xmpp.ratelimit.newconnections.s2s.permits_per_second': option(
    integer(1, 100_000, 'connections'),
    20,
    'now',
    'new connections per second',
  ),
  'xmpp.ratelimit.newconnections.s2s.max_burst': option(
    integer(1, 100_000, 'connections'),
    50,
    'now',
    'new connections at once, after a pause',
  ),
  'xmpp.server.private-targets': option(
    flag(),
    false,
    'new',
    'allow loopback, private and link-local addresses as federation targets',
  ),
  'xmpp.server.proxy': option(
    optionalProxy(),
    '',
    'new',
    'SOCKS5 proxy for all connections to other servers; it resolves their names: none of their addresses, and nothing of .onion, is looked up here',
  ),
  'xmpp.server.source-address': option(
    sourceAddresses(),
    [],
    'new',
    'local addresses to dial other servers, or the proxy, from; a family without one: the system chooses',
  ),

  'xmpp.auth.external.server.require-authzid': option(
    flag(),
    false,
    'new',
    'incoming SASL EXTERNAL must name the domain it is for (XEP-0178)',
  ),
  'xmpp.auth.external.server.skip-sending-authzid': option(
    flag(),
    false,
    'new',
    'send an empty authorization identity with SASL EXTERNAL',
  ),
  'xmpp.socket.write-timeout-seconds': option(
    duration({ unit: 's', min: SECOND, max: HOUR, bare: true }),
    30 * SECOND,
    'new',
    'a write that makes no progress for so long cuts the stream',
  ),

  'ximss.listener.port': option(listenerPort(true), 11_024, 'listener', 'XIMSS over TCP'),
  'ximss.listener.tls.port': option(listenerPort(true), 0, 'listener', 'XIMSS over TLS'),
  'ximss.channels': option(
    integer(0, 100_000, 'connections'),
    100,
    'now',
    'most XIMSS connections at once; 0 = no listener',
  ),
  'ximss.log': option(
    choice('crashes', 'failures', 'major', 'problems', 'lowlevel', 'all'),
    'problems',
    'now',
    'how much is logged of XIMSS connections',
  ),
  'sessions.sessionsTTL': option(
    duration({ unit: 's', min: SECOND, max: 2_147_483_647 * SECOND, bare: true }),
    600 * SECOND,
    'now',
    'how long a session without a connection is kept',
  ),

  'log.level': option(
    choice('error', 'warn', 'info', 'debug'),
    'info',
    'now',
    'least important lines that are written',
  ),
  'log.format': option(choice('auto', 'json', 'pretty'), 'auto', 'restart', 'auto: pretty on a terminal, else json'),
})

/** The name of a setting. */
export type Key = keyof typeof OPTIONS

/** What the setting `K` holds. */
export type Value<K extends Key> = (typeof OPTIONS)[K] extends Option<infer T> ? T : never

/** A value for every setting. */
export type Values = { readonly [K in Key]: Value<K> }

/** Every name, in the order of the table. */
export const KEYS: readonly Key[] = Object.freeze(Object.keys(OPTIONS) as Key[])

/** Whether `name` is the name of a setting. */
export function isKey(name: string): name is Key {
  return Object.hasOwn(OPTIONS, name)
}

/** The setting `key`, where its type does not matter. */
export function optionOf(key: Key): Option<unknown> {
  return OPTIONS[key] as Option<unknown>
}

function option<T>(type: OptionType<T>, fallback: T, takesEffect: TakesEffect, meaning: string): Option<T> {
  return Object.freeze({ type, default: Object.freeze(fallback), takesEffect, meaning, beforeStore: false })
}

function beforeStore(type: OptionType<string>, fallback: string, meaning: string): Option<string> {
  return Object.freeze({ ...option(type, fallback, 'restart', meaning), beforeStore: true })
}

function pathProblem(path: string): string | undefined {
  return path === '' || path.includes('\0') ? 'not a path' : undefined
}

function storeProblem(url: string): string | undefined {
  if (/^postgres(?:ql)?:/.test(url)) return 'PostgreSQL is not available in this version'
  return url.startsWith('sqlite:') && !url.includes('\0') ? undefined : 'not a database'
}
