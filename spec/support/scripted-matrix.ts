import type { PeerSettings } from './scripted-party.js'

export type Outcome = 'NONE' | 'PLAIN-DB' | 'TLS-DB' | 'TLS-EXT'

/** Where an attempt that proves nothing ends, as the initiating entity names it. */
export type Failure = 'dns' | 'tls' | 'certificate' | 'sasl' | 'dialback' | 'stream'

const POLICIES = ['disabled', 'optional', 'required'] as const
const CERTIFICATES = ['missing', 'invalid', 'valid'] as const

function settingsOf(strict: boolean): readonly PeerSettings[] {
  return POLICIES.flatMap(tls =>
    CERTIFICATES.flatMap(certificate => [true, false].map(dialback => ({ tls, certificate, dialback, strict }))),
  )
}

/** Every setting of one side with strict validation: 18. */
export const strictSettings: readonly PeerSettings[] = settingsOf(true)
export const laxSettings: readonly PeerSettings[] = settingsOf(false)

/** Every setting of one side: 36. */
export const allSettings: readonly PeerSettings[] = [...strictSettings, ...laxSettings]

interface Row {
  readonly matches: (i: PeerSettings, r: PeerSettings) => boolean
  /** `db`: by dialback if both sides speak it, else nothing. */
  readonly outcome: 'NONE' | 'TLS-EXT' | 'plain db' | 'tls db'
  /** Of an attempt that proves nothing. */
  readonly failure: (i: PeerSettings, r: PeerSettings) => Failure
}

const either = (policy: PeerSettings['tls'], i: PeerSettings, r: PeerSettings): boolean =>
  i.tls === policy || r.tls === policy

const noProof = (): Failure => 'sasl'

/**
 * A receiving entity that demands TLS and has none to offer: an initiating entity that does not mind tries dialback, on the word of the
 * namespace on the header, and is refused.
 */
const refusedInPlain = (i: PeerSettings, r: PeerSettings): Failure => {
  if (i.tls === 'required') return 'tls'
  return i.dialback && r.dialback ? 'dialback' : 'sasl'
}

/** First match wins; below the second row neither side is `disabled`. */
const ROWS: readonly Row[] = [
  {
    matches: (i, r) => either('disabled', i, r) && either('required', i, r),
    outcome: 'NONE',
    failure: (i, r) => (r.certificate === 'missing' ? refusedInPlain(i, r) : 'tls'),
  },
  { matches: (i, r) => either('disabled', i, r), outcome: 'plain db', failure: noProof },
  {
    matches: (i, r) => r.certificate === 'missing' && !either('required', i, r),
    outcome: 'plain db',
    failure: noProof,
  },
  { matches: (_, r) => r.certificate === 'missing', outcome: 'NONE', failure: refusedInPlain },
  { matches: (i, r) => r.certificate === 'invalid' && i.strict, outcome: 'NONE', failure: () => 'certificate' },
  { matches: (_, r) => r.certificate === 'invalid', outcome: 'tls db', failure: noProof },
  { matches: i => i.certificate === 'missing', outcome: 'tls db', failure: noProof },
  { matches: (i, r) => i.certificate === 'invalid' && r.strict, outcome: 'NONE', failure: () => 'stream' },
  { matches: i => i.certificate === 'invalid', outcome: 'tls db', failure: noProof },
  { matches: () => true, outcome: 'TLS-EXT', failure: noProof },
]

export interface Expected {
  /** 1 to 10. */
  readonly row: number
  readonly outcome: Outcome
  /** Only of the outcome NONE. */
  readonly failure?: Failure
  readonly encrypted: boolean
  /** The receiving side listens for Direct TLS only. */
  readonly directTls?: true
}

/** What two sides that confirm each other's keys must agree on. */
export function expectedOutcome(i: PeerSettings, r: PeerSettings): Expected {
  const at = ROWS.findIndex(({ matches }) => matches(i, r))
  const { outcome: rule, failure } = ROWS[at]!
  const dialback = i.dialback && r.dialback
  const outcome: Outcome =
    rule === 'plain db' ? (dialback ? 'PLAIN-DB' : 'NONE') : rule === 'tls db' ? (dialback ? 'TLS-DB' : 'NONE') : rule
  return {
    row: at + 1,
    outcome,
    ...(outcome === 'NONE' && { failure: failure(i, r) }),
    encrypted: !either('disabled', i, r) && r.certificate !== 'missing',
  }
}

/**
 * The same where I's own server, with I's settings, is asked to confirm the key: four cases of the strict ones fail in addition, for the
 * receiving entity cannot call back.
 */
export function expectedWithOwnServer(i: PeerSettings, r: PeerSettings): Expected {
  const expected = expectedOutcome(i, r)
  const { row, outcome } = expected
  const failed: Expected = { ...expected, outcome: 'NONE', failure: 'dialback' }
  if (row === 3 && outcome === 'PLAIN-DB' && i.certificate === 'invalid' && r.strict) return failed
  if (row === 7 && outcome === 'TLS-DB' && either('required', i, r)) return failed
  return expected
}

/** Where R listens for Direct TLS only: that address behaves as `required` on both ends, and who has TLS switched off finds no service. */
export function expectedByDirectTls(i: PeerSettings, r: PeerSettings): Expected {
  if (i.tls === 'disabled') return { row: 1, outcome: 'NONE', failure: 'dns', encrypted: false, directTls: true }
  return { ...expectedOutcome({ ...i, tls: 'required' }, { ...r, tls: 'required' }), directTls: true }
}

/** `NONE/PLAIN-DB/TLS-DB/TLS-EXT`. */
export function tally(outcomes: Iterable<Outcome>): string {
  const counts: Record<Outcome, number> = { NONE: 0, 'PLAIN-DB': 0, 'TLS-DB': 0, 'TLS-EXT': 0 }
  for (const outcome of outcomes) counts[outcome]++
  return Object.values(counts).join('/')
}

export function describeSettings({ tls, certificate, fixture, dialback, strict }: PeerSettings): string {
  return `${tls}, certificate ${fixture ?? certificate}, ${dialback ? 'dialback' : 'no dialback'}, ${strict ? 'strict' : 'lax'}`
}
