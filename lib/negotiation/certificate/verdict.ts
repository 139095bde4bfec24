import { createHash } from 'node:crypto'
import type { Clock } from '../../base/clock.js'
import { buildPaths, type Path } from './chain.js'
import { Checks } from './checks.js'
import { MalformedDer } from './der.js'
import { matchingName } from './names.js'
import { type Certificate, type CertificateFacts, parseCertificate } from './parse.js'
import { type Defect, leafDefects, nameDefects, pathDefects } from './rules.js'
import type { TrustAnchors } from './trust.js'

export type { Defect, DefectCode } from './rules.js'

/** Most certificates in a chain as sent. */
const MOST_CERTIFICATES = 10
/** Most bytes of a chain as sent. */
const MOST_BYTES = 65_536

/** What vouches for a certificate: the authorities trusted here, signed DNS (RFC 6698), or the domain's web server (RFC 7711). */
export type ProofMethod = 'dane' | 'pkix' | 'posh'

export interface CertificateVerdict {
  /** The chain leads to an anchor, obeys every rule, and a name of the leaf stands for the domain. */
  readonly verified: boolean
  /** All defects of the leaf and of the best path, not only the first; empty exactly when verified. */
  readonly defects: readonly Defect[]
  /** Absent when the leaf cannot be read. */
  readonly leaf?: CertificateFacts
  /** The readable certificates as sent. */
  readonly chain: readonly CertificateFacts[]
  /** The path that was judged, leaf first, its anchor last when it has one. */
  readonly path: readonly CertificateFacts[]
  /** The name of the leaf that stands for the domain. */
  readonly matchedName?: string
  readonly method: ProofMethod
}

export interface VerdictInput {
  readonly anchors: TrustAnchors
  /** The domain the peer claims. */
  readonly domain: string
  /** Further host names to accept as dNSName: SRV targets learnt through DNSSEC. */
  readonly extraNames?: readonly string[]
  /** Only a path with an authority that this accepts is good: one that a TLSA record names. */
  readonly through?: (authority: Certificate) => boolean
  readonly now: Date
}

type Parse = (der: Buffer) => Certificate

function refuse(text: string): CertificateVerdict {
  return { verified: false, defects: [{ code: 'malformed', text }], chain: [], path: [], method: 'pkix' }
}

function whyTooLarge(chain: readonly Buffer[]): string | undefined {
  if (chain.length > MOST_CERTIFICATES)
    return `${chain.length} certificates were sent, at most ${MOST_CERTIFICATES} are accepted`
  const bytes = chain.reduce((sum, der) => sum + der.length, 0)
  return bytes > MOST_BYTES ? `${bytes} bytes of certificates were sent, at most ${MOST_BYTES} are accepted` : undefined
}

const WRONG_WAY: Defect = { code: 'dane-mismatch', text: 'leads through no authority that a TLSA record names' }

/** Without the repetitions that come of a chain with several equal faults. */
function distinct(defects: readonly Defect[]): Defect[] {
  const texts = new Set<string>()
  return defects.filter(({ code, text }) => !texts.has(`${code} ${text}`) && texts.add(`${code} ${text}`))
}

/** The path with the fewest defects, anchored ones first. */
function bestPath(paths: readonly Path[], judge: (path: Path) => Defect[]): { path: Path; defects: Defect[] } {
  const judged = paths.map(path => ({ path, defects: judge(path) }))
  judged.sort(
    (one, other) =>
      Number(other.path.anchored) - Number(one.path.anchored) || one.defects.length - other.defects.length,
  )
  return judged[0]!
}

function parseAll(
  chain: readonly Buffer[],
  parse: Parse,
): { leaf?: Certificate; read: Certificate[]; defects: Defect[] } {
  const read: Certificate[] = []
  const defects: Defect[] = []
  let leaf: Certificate | undefined
  for (const [at, der] of chain.entries()) {
    try {
      const certificate = parse(der)
      if (at === 0) leaf = certificate
      read.push(certificate)
    } catch (error) {
      if (!(error instanceof MalformedDer)) throw error
      defects.push({
        code: 'malformed',
        text: `${at === 0 ? '' : `certificate ${at + 1} of the chain `}cannot be read: ${error.message}`,
      })
    }
  }
  return { ...(leaf ? { leaf } : {}), read, defects }
}

/**
 * Judges the certificates a peer showed, in either TLS role, for the purpose *server* (RFC 6120 §13.7.2, RFC 5280 §6, RFC 9525).
 * It is the only source of "verified": what the TLS library thinks of the chain does not count.
 * `chain` is DER, leaf first, as sent; whatever is in it, nothing is thrown.
 */
export function judgeCertificate(
  chain: readonly Buffer[],
  input: VerdictInput,
  parse: Parse = parseCertificate,
): CertificateVerdict {
  return judgeChain(chain, input, parse)(input.domain, input.extraNames)
}

/** The verdict of a chain that has been judged, for one domain; costs no more than comparing names. */
type ForDomain = (domain: string, extraNames?: readonly string[]) => CertificateVerdict

/** Everything about a chain that does not depend on the domain: a peer may claim many domains on one connection. */
function judgeChain(
  chain: readonly Buffer[],
  { anchors, through, now }: Pick<VerdictInput, 'anchors' | 'through' | 'now'>,
  parse: Parse,
): ForDomain {
  if (chain.length === 0) return () => refuse('no certificate was shown')
  const tooLarge = whyTooLarge(chain)
  if (tooLarge !== undefined) return () => refuse(tooLarge)

  const { leaf, read, defects: unreadable } = parseAll(chain, parse)
  const facts = read.map(certificate => certificate.facts)
  if (!leaf) return () => ({ verified: false, defects: unreadable, chain: facts, path: [], method: 'pkix' })

  const checks = new Checks()
  const best = bestPath(buildPaths(leaf, read, anchors, checks), path => [
    ...pathDefects(path, checks, now),
    ...(through && !path.certificates.slice(1).some(through) ? [WRONG_WAY] : []),
  ])
  const ofLeaf = leafDefects(leaf, now)
  const path = best.path.certificates.map(certificate => certificate.facts)
  return (domain, extraNames = []) => {
    const matchedName = matchingName(leaf.facts, domain, extraNames)
    const defects = distinct([
      ...unreadable,
      ...ofLeaf,
      ...nameDefects(leaf.facts, domain, matchedName),
      ...best.defects,
    ])
    return {
      verified: defects.length === 0,
      defects,
      leaf: leaf.facts,
      chain: facts,
      path,
      ...(matchedName === undefined ? {} : { matchedName }),
      method: 'pkix',
    }
  }
}

/** Most parsed certificates a judge remembers, and the size in bytes up to which it remembers one. */
const MOST_REMEMBERED = 1000
const MOST_REMEMBERED_BYTES = 8192

/** How long what was found out about a chain is used for further domains of the same connection. */
const FRESH_MS = 60_000

/** See `VerdictInput`. */
export type JudgeOptions = Partial<Pick<VerdictInput, 'anchors' | 'extraNames' | 'through'>>

/** Judges many chains: keeps the anchors, the clock and the most recently used certificates in their parsed form. */
export class CertificateJudge {
  readonly #anchors: TrustAnchors
  readonly #clock: Clock
  readonly #parsed = new Map<string, Certificate>()
  /** By the chain object that a connection keeps, so that it goes with the connection. */
  readonly #judged = new WeakMap<readonly Buffer[], { readonly at: number; readonly verdict: ForDomain }>()

  constructor({ anchors, clock }: { anchors: TrustAnchors; clock: Clock }) {
    this.#anchors = anchors
    this.#clock = clock
  }

  /** See `judgeCertificate`; `anchors`, when given, take the place of the usual ones for this chain. */
  judge(
    chain: readonly Buffer[],
    domain: string,
    { anchors, through, extraNames }: JudgeOptions = {},
  ): CertificateVerdict {
    const parse = (der: Buffer): Certificate => this.#parse(der)
    const now = this.#clock.date()
    if (anchors !== undefined || through !== undefined) {
      return judgeChain(
        chain,
        { anchors: anchors ?? this.#anchors, now, ...(through && { through }) },
        parse,
      )(domain, extraNames)
    }
    const at = this.#clock.now()
    let judged = this.#judged.get(chain)
    if (judged === undefined || at - judged.at > FRESH_MS) {
      judged = { at, verdict: judgeChain(chain, { anchors: this.#anchors, now }, parse) }
      this.#judged.set(chain, judged)
    }
    return judged.verdict(domain, extraNames)
  }

  /** The certificates of a chain within the limits of a judgement that can be read; empty when its leaf is not among them. */
  read(chain: readonly Buffer[]): readonly Certificate[] {
    if (whyTooLarge(chain) !== undefined) return []
    const { leaf, read } = parseAll(chain, der => this.#parse(der))
    return leaf ? read : []
  }

  #parse(der: Buffer): Certificate {
    if (der.length > MOST_REMEMBERED_BYTES) return parseCertificate(der)
    const id = createHash('sha256').update(der).digest('base64')
    const certificate = this.#parsed.get(id) ?? parseCertificate(der)
    // A map keeps the order of insertion: putting it in again makes it the youngest.
    this.#parsed.delete(id)
    this.#parsed.set(id, certificate)
    for (const oldest of this.#parsed.keys()) {
      if (this.#parsed.size <= MOST_REMEMBERED) break
      this.#parsed.delete(oldest)
    }
    return certificate
  }
}
