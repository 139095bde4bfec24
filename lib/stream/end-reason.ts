import type { Refusal } from '../stanza/route.js'

/** Who has to act so that it works the next time. */
export const SIDES = ['sender', 'us', 'our admin', 'their admin', 'their DNS', 'network', 'nobody'] as const

export type Side = (typeof SIDES)[number]

export type EndKind =
  | 'address'
  | 'policy'
  | 'dns'
  | 'tcp'
  | 'tls'
  | 'certificate'
  | 'stream'
  | 'sasl'
  | 'dialback'
  | 'deadline'
  | 'overload'
  | 'size'
  | 'cut'
  | 'idle'
  | 'admin'
  | 'shutdown'
  | 'internal'

/** Why an attempt or a stream ended: the step, what went wrong there, and more words for our own admin (never for strangers). */
export interface EndReason {
  readonly kind: EndKind
  readonly detail: string
  readonly text?: string
  /** Whose side mends it, where the kind and detail alone would say somebody else. */
  readonly mends?: Side
}

/** Thrown inside an attempt; carries the reason to whoever owns the attempt. */
export class StreamEnd extends Error {
  readonly reason: EndReason

  constructor(kind: EndKind, detail: string, text?: string, cause?: unknown, mends?: Side) {
    super(text === undefined ? `${kind}: ${detail}` : `${kind}: ${detail} (${text})`, { cause })
    this.name = 'StreamEnd'
    this.reason = { kind, detail, ...(text !== undefined && { text }), ...(mends !== undefined && { mends }) }
  }
}

/** What follows from an end: the error told to senders, whose side mends it, and what rests afterwards. */
export interface Consequence {
  readonly condition: Refusal['condition']
  readonly type: Refusal['type']
  readonly mends: Side
  /** What is not tried again for a while: everything of the remote domain, this pair only, or nothing. */
  readonly rests: 'domain' | 'pair' | 'nothing'
  /** Said to senders; names step and cause but no domain, host or address that they did not write. */
  readonly words: string
}

const NOT_FOUND = 'remote-server-not-found'
const TIMEOUT = 'remote-server-timeout'

type Row = readonly [Consequence['condition'], Consequence['type'], Side, Consequence['rests'], string]

/** `*` stands for every detail that has no row of its own. */
const ROWS: Readonly<Record<EndKind, Readonly<Record<string, Row>>>> = {
  address: {
    '*': [NOT_FOUND, 'cancel', 'sender', 'nothing', 'the address cannot be that of a remote server'],
    loop: [NOT_FOUND, 'cancel', 'sender', 'nothing', 'the address leads back to this server'],
    'onion-without-proxy': [NOT_FOUND, 'cancel', 'sender', 'nothing', 'this server does not reach addresses in Tor'],
  },
  policy: {
    '*': ['not-allowed', 'cancel', 'our admin', 'nothing', 'this server does not exchange stanzas with that domain'],
  },
  dns: {
    'no-such-domain': [NOT_FOUND, 'cancel', 'their DNS', 'domain', 'the domain does not exist in DNS'],
    'no-address': [NOT_FOUND, 'cancel', 'their DNS', 'domain', 'the domain has no address in DNS'],
    unreachable: [TIMEOUT, 'wait', 'our admin', 'domain', 'DNS could not be asked'],
    'no-service': [
      NOT_FOUND,
      'cancel',
      'their DNS',
      'domain',
      'the domain says in DNS that it offers no XMPP service to servers',
    ],
    '*': [TIMEOUT, 'wait', 'their DNS', 'domain', 'DNS gave no usable answer for the domain'],
  },
  tcp: {
    'no-server': [NOT_FOUND, 'cancel', 'nobody', 'domain', 'no XMPP server answers for the domain'],
    'forbidden-target': [
      NOT_FOUND,
      'cancel',
      'our admin',
      'domain',
      'the domain leads to an address that this server does not connect to',
    ],
    'proxy-refused': [
      NOT_FOUND,
      'cancel',
      'our admin',
      'domain',
      'this server was not allowed to connect to the remote server',
    ],
    '*': [TIMEOUT, 'wait', 'their admin', 'domain', 'the remote server could not be reached'],
  },
  tls: {
    'handshake-failed': [TIMEOUT, 'wait', 'their admin', 'domain', 'encryption with the remote server failed'],
    'plain-answer': [TIMEOUT, 'wait', 'their admin', 'domain', 'encryption with the remote server failed'],
    demanded: [
      TIMEOUT,
      'cancel',
      'our admin',
      'domain',
      'the remote server demands encryption, which is switched off here',
    ],
    refused: [TIMEOUT, 'cancel', 'their admin', 'domain', 'the remote server refused encryption'],
    '*': [TIMEOUT, 'cancel', 'their admin', 'domain', 'the remote server does not offer the encryption demanded here'],
  },
  certificate: {
    '*': [TIMEOUT, 'cancel', 'their admin', 'domain', 'the certificate of the remote server cannot be trusted'],
  },
  stream: {
    'host-unknown': [NOT_FOUND, 'cancel', 'their admin', 'pair', 'the remote server does not serve that domain'],
    'host-gone': [NOT_FOUND, 'cancel', 'their admin', 'pair', 'the remote server no longer serves that domain'],
    'system-shutdown': [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server is shutting down'],
    'resource-constraint': [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server is overloaded'],
    'internal-server-error': [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server has an internal fault'],
    'connection-timeout': [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server gave up waiting'],
    reset: [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server asked for a new connection'],
    conflict: [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server replaced the connection'],
    'see-other-host': [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server names another host'],
    'remote-connection-failed': [
      TIMEOUT,
      'wait',
      'their admin',
      'pair',
      'the remote server could not reach what it needs',
    ],
    'undefined-condition': [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server ended the connection'],
    closed: [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server closed the connection'],
    'bad-xml': [TIMEOUT, 'cancel', 'their admin', 'pair', 'the remote server sent something that cannot be accepted'],
    '*': [TIMEOUT, 'cancel', 'their admin', 'pair', 'the remote server refused the connection'],
  },
  sasl: {
    'no-common-proof': [
      TIMEOUT,
      'cancel',
      'our admin',
      'pair',
      'the remote server accepts no proof of identity that this server can give',
    ],
    '*': [TIMEOUT, 'cancel', 'our admin', 'pair', 'the remote server does not accept the identity of this server'],
  },
  dialback: {
    // XEP-0220 §2.1.1: an invalid key means that our own side contradicts itself.
    invalid: [
      'internal-server-error',
      'cancel',
      'our admin',
      'pair',
      'the remote server could not confirm the identity of this server',
    ],
    'item-not-found': [TIMEOUT, 'cancel', 'their admin', 'pair', 'the remote server does not serve that domain'],
    'policy-violation': [
      TIMEOUT,
      'cancel',
      'their admin',
      'pair',
      'the remote server refuses this server by its policy',
    ],
    'not-authorized': [
      TIMEOUT,
      'cancel',
      'our admin',
      'pair',
      'the remote server does not accept the identity of this server',
    ],
    forbidden: [
      TIMEOUT,
      'cancel',
      'our admin',
      'pair',
      'the remote server could not confirm the identity of this server',
    ],
    'not-acceptable': [TIMEOUT, 'cancel', 'their admin', 'pair', 'the remote server refuses this server'],
    '*': [TIMEOUT, 'wait', 'their admin', 'pair', 'the remote server could not check the identity of this server'],
  },
  deadline: { '*': [TIMEOUT, 'wait', 'their admin', 'domain', 'the remote server did not answer in time'] },
  overload: {
    '*': ['resource-constraint', 'wait', 'our admin', 'nothing', 'too much is waiting for the remote server'],
  },
  size: {
    // XEP-0478 §3.3: the policy is not ours, so nothing says that it is.
    '*': ['policy-violation', 'modify', 'sender', 'nothing', 'the stanza is larger than the remote server accepts'],
  },
  cut: {
    '*': [TIMEOUT, 'wait', 'network', 'nothing', 'the connection was cut; whether the stanza arrived is not known'],
  },
  idle: { '*': [TIMEOUT, 'wait', 'nobody', 'nothing', 'the connection was idle'] },
  admin: { '*': [TIMEOUT, 'wait', 'nobody', 'nothing', 'the connection was closed by an administrator'] },
  shutdown: { '*': [TIMEOUT, 'wait', 'nobody', 'nothing', 'this server is stopping'] },
  internal: { '*': ['internal-server-error', 'cancel', 'us', 'nothing', 'this server made a mistake'] },
}

/** The one place that says what follows from an end reason (RFC 6120 §8.3.3.16, §8.3.3.17). */
export function consequenceOf(reason: EndReason): Consequence {
  const rows = ROWS[reason.kind]
  const [condition, type, mends, rests, words] = (Object.hasOwn(rows, reason.detail) ? rows[reason.detail] : rows['*'])!
  return { condition, type, mends: reason.mends ?? mends, rests, words }
}

/** The stanza error for senders whose stanza meets this end. */
export function refusalOf(reason: EndReason): Refusal {
  const { condition, type, words } = consequenceOf(reason)
  return { condition, type, text: words }
}

/** One line for the admin's log and console: step, cause and the peer's own words. */
export function describeEnd(reason: EndReason): string {
  return reason.text === undefined
    ? `${reason.kind}: ${reason.detail}`
    : `${reason.kind}: ${reason.detail} (${reason.text})`
}

/** The reason inside whatever an attempt threw; anything unforeseen is our own fault. */
export function endReasonOf(error: unknown): EndReason {
  if (error instanceof StreamEnd) return error.reason
  return { kind: 'internal', detail: 'exception', text: error instanceof Error ? error.message : String(error) }
}
