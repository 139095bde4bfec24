import { Deadline } from '../base/deadline.js'
import type { Trace } from '../base/trace.js'
import type { DomainVerdict } from '../negotiation/certificate/domain-proof.js'
import type { Rules } from '../negotiation/rules.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import { describeEnd, endReasonOf, StreamEnd } from '../stream/end-reason.js'
import type { SessionContext } from './context.js'
import type { LeadsTo, Place, Whereabouts } from './dns-evidence.js'
import type { OutgoingStream } from './outgoing-stream.js'

/**
 * How a stream that has proven other pairs could carry one more (XEP-0220 §2.5): `sender` for the same remote domain, `target` for a
 * domain above or below one that our same domain reaches over it, `both` for such a domain and another of ours.
 */
export type ReuseKind = 'sender' | 'target' | 'both'

const ORDER: readonly ReuseKind[] = ['sender', 'target', 'both']

/** Whether one canonical domain lies below the other. */
export function isRelated(one: string, other: string): boolean {
  return one.endsWith(`.${other}`) || other.endsWith(`.${one}`)
}

/** The nearest of the ways in which a stream that has proven these pairs is worth a question; undefined when none is. */
export function reuseKind({ local, remote }: DomainPair, proven: Iterable<DomainPair>): ReuseKind | undefined {
  let nearest: ReuseKind | undefined
  for (const other of proven) {
    if (other.remote === remote) return 'sender'
    if (!isRelated(other.remote, remote)) continue
    nearest = other.local === local || nearest === 'target' ? 'target' : 'both'
  }
  return nearest
}

/** What decides whether a live stream may be asked to carry one more pair. */
export interface StreamFacts {
  readonly usable: boolean
  /** It was asked for this very pair before, without success. */
  readonly declined: boolean
  readonly full: boolean
  readonly encrypted: boolean
  /** The peer offers TLS, and this stream does without. */
  readonly leftTlsOut: boolean
  /** The strongest sign of dialback: `errors` is the feature with the promise that a refusal leaves the stream alone (XEP-0220 §2.4). */
  readonly dialback: 'none' | 'header' | 'feature' | 'errors'
  /** Whether its certificate is known to verify for the wanted domain; what counts where the domain is reached over it already. */
  readonly verified: boolean
}

/** Why a stream is not asked, in words for the trace; undefined when only the evidence is left to be looked at. */
export function obstacle(
  kind: ReuseKind,
  facts: StreamFacts,
  rules: Pick<Rules, 'tls' | 'strict'>,
): string | undefined {
  if (!facts.usable) return 'it is being closed'
  if (facts.declined) return 'it was asked before'
  if (facts.full) return 'it carries as many pairs as a stream may'
  if (!facts.encrypted && rules.tls === 'required') return 'it is not encrypted'
  if (!facts.encrypted && rules.tls === 'optional' && facts.leftTlsOut) return 'it does without the TLS that is offered'
  if (facts.dialback === 'none') return 'the peer does not offer dialback on it'
  if (kind !== 'sender' && facts.dialback !== 'errors') return 'the peer does not promise dialback errors on it'
  if (kind === 'sender' && rules.strict && !facts.verified) return 'its certificate does not verify for the domain'
  return undefined
}

export type Evidence = 'certificate' | 'incoming stream' | 'dns'

/** What has been found out about whether the peer of a stream speaks for a related domain. */
export interface EvidenceFacts {
  readonly strict: boolean
  /** Where the domain's own DNS answer leads, seen from where the stream is connected to (XEP-0220 §2.6.2). */
  readonly place: Place
  /** What the certificate of the stream is worth for the domain; `contradicted` when a signed statement speaks against it. */
  readonly certificate: 'verified' | 'unverified' | 'contradicted'
  /** Whether one live incoming stream has proven both domains to us. */
  readonly provenTogether: boolean
}

/**
 * What says that the peer speaks for the wanted domain too. Its own consent does not: it proves us to it, and the server of a sub-domain
 * would gladly take what is meant for the domain above. A certificate is judged as if we had connected to the domain; where signed DNS
 * names another place, or nobody knows whether it does, statements about the keys at that place would be left out of account.
 */
export function evidenceOf({ strict, place, certificate, provenTogether }: EvidenceFacts): Evidence | undefined {
  if (certificate === 'contradicted') return undefined
  const isPlaceOpen = place !== 'signed elsewhere' && place !== 'unknown'
  if (certificate === 'verified' && isPlaceOpen) return 'certificate'
  if (strict) return undefined
  if (place === 'there') return 'dns'
  return provenTogether ? 'incoming stream' : undefined
}

export interface ReuseOptions {
  readonly context: SessionContext
  readonly pair: DomainPair
  readonly rules: Rules
  /** The proof that an entry for the domain demands, if any. */
  readonly demanded?: 'external' | 'dialback' | undefined
  readonly streams: Iterable<OutgoingStream>
  readonly leadsTo: LeadsTo
  /** Whether one live incoming stream has proven both domains. */
  readonly provenTogether: (one: string, other: string) => boolean
  readonly trace: Trace
  readonly signal: AbortSignal
}

interface Candidate {
  readonly kind: ReuseKind
  readonly stream: OutgoingStream
}

/** Streams looked at for one attempt; a large site may have very many related ones. */
const MOST_CANDIDATES = 8
/** What is known of a domain when it is not known where the stream is connected to. */
const UNKNOWN: Whereabouts = { place: 'unknown' }

/**
 * A live stream that has proven one more pair, by asking for it; undefined when none may be asked or the one asked did not: then the pair
 * needs a stream of its own. Takes no longer than `initialise-timeout`. Rejects only with the reason of the signal.
 */
export async function extendStream(options: ReuseOptions): Promise<OutgoingStream | undefined> {
  const { context, rules, demanded, trace, signal } = options
  const candidates = findCandidates(options)
  if (candidates.length === 0) return undefined
  if (!rules.dialback || demanded === 'external') {
    trace.note('reuse', { candidates: candidates.length, refused: 'the pair may not be proven by dialback' })
    return undefined
  }
  const { readTimeoutMs, initialiseTimeoutMs } = context.settings
  const waitMs = Math.min(readTimeoutMs, initialiseTimeoutMs)
  const deadline = new Deadline(context.clock, waitMs, () => new StreamEnd('deadline', trace.waitingFor), signal)
  try {
    for (const candidate of candidates) {
      const refused = await whyNot(candidate, options, deadline.signal)
      if (refused === undefined) return (await ask(candidate, options, deadline.signal)) ? candidate.stream : undefined
      trace.note('reuse', { stream: candidate.stream.tag, kind: candidate.kind, refused })
    }
    return undefined
  } catch (error) {
    if (signal.aborted) throw error
    trace.note('reuse', { refused: describeEnd(endReasonOf(error)) })
    return undefined
  } finally {
    deadline.done()
  }
}

function findCandidates({ pair, streams }: ReuseOptions): readonly Candidate[] {
  const found: Candidate[] = []
  for (const stream of streams) {
    const kind = reuseKind(pair, pairsOf(stream))
    if (kind !== undefined) found.push({ kind, stream })
  }
  return found.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)).slice(0, MOST_CANDIDATES)
}

function* pairsOf(stream: OutgoingStream): Generator<DomainPair> {
  for (const [pair] of stream.pairs) yield pair
}

async function whyNot(candidate: Candidate, options: ReuseOptions, signal: AbortSignal): Promise<string | undefined> {
  const { kind, stream } = candidate
  const { pair, rules, trace } = options
  const first = obstacle(kind, factsOf(stream, pair), rules)
  if (first !== undefined || kind === 'sender') return first
  const evidence = await gatherEvidence(stream, options, signal)
  if (evidence === undefined) return 'nothing shows that its peer speaks for the domain'
  trace.note('reuse', { stream: stream.tag, kind, evidence })
  // The stream may have changed while DNS was asked.
  return obstacle(kind, factsOf(stream, pair), rules)
}

async function gatherEvidence(
  stream: OutgoingStream,
  { context, pair, rules, trace, leadsTo, provenTogether }: ReuseOptions,
  signal: AbortSignal,
): Promise<Evidence | undefined> {
  const domain = pair.remote
  const { remoteAddress: address, remotePort: port } = stream.stream.transport.addresses
  trace.waitFor('evidence for a live stream')
  const isPlaced = address !== undefined && port !== undefined
  const { place, target } = isPlaced ? await leadsTo({ domain, rules, address, port, trace, signal }) : UNKNOWN
  const { chain } = stream.secured
  // Other proofs than a certificate's own are looked for where the domain sends us only: they take a question to its web server.
  const isWorthIt = chain !== undefined && (place === 'there' || context.judge(chain, domain).verified)
  const verdict = isWorthIt ? await context.judgeRemote({ domain, chain, target, trace, signal }) : undefined
  const evidence = evidenceOf({
    strict: rules.strict,
    place,
    certificate: certificateOf(verdict),
    provenTogether:
      !rules.strict &&
      [...pairsOf(stream)].some(({ remote }) => isRelated(remote, domain) && provenTogether(remote, domain)),
  })
  if (evidence === 'certificate') stream.noteVerified(domain)
  return evidence
}

function certificateOf(verdict: DomainVerdict | undefined): EvidenceFacts['certificate'] {
  if (verdict?.verified === true) return 'verified'
  return verdict?.final === true ? 'contradicted' : 'unverified'
}

function factsOf(stream: OutgoingStream, pair: DomainPair): StreamFacts {
  const { features, declaresDialback } = stream.secured
  const { dialback } = features
  return {
    usable: stream.usable,
    declined: stream.hasDeclined(pair),
    full: stream.full,
    encrypted: stream.stream.transport.tls !== undefined,
    leftTlsOut: features.starttls !== undefined,
    dialback: dialback === undefined ? (declaresDialback ? 'header' : 'none') : dialback.errors ? 'errors' : 'feature',
    verified: stream.isVerifiedFor(pair.remote),
  }
}

/** Asks for the pair by Server Dialback; the stream carries its other pairs meanwhile. */
async function ask({ kind, stream }: Candidate, options: ReuseOptions, signal: AbortSignal): Promise<boolean> {
  const { pair, trace } = options
  const noted = { stream: stream.tag, kind }
  trace.waitFor('dialback answer on a live stream')
  try {
    await stream.requestPair(pair, signal)
    trace.note('reuse', { ...noted, result: stream.usable ? 'valid' : 'valid, and closed' })
    return stream.usable
  } catch (error) {
    const reason = endReasonOf(error)
    trace.note('reuse', { ...noted, result: describeEnd(reason), next: 'a new connection' })
    // XEP-0220 §2.1.1: after `invalid` the peer ends the stream; one that does not is not to be relied upon.
    if (reason.kind === 'dialback' && reason.detail === 'invalid') stream.close(reason)
    else stream.decline(pair)
    if (options.signal.aborted) throw error
    return false
  }
}
