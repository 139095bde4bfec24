import { isIP } from 'node:net'
import type { Trace } from '../../base/trace.js'
import type { DialTarget } from '../../dial/dial-target.js'
import type { DnsFailureReason } from '../../dial/dns-record.js'
import type { Resolver } from '../../dial/resolver.js'
import { judgeDane } from './dane.js'
import type { Posh } from './posh.js'
import { tlsaText } from './tlsa.js'
import { TrustAnchors } from './trust.js'
import type { CertificateJudge, CertificateVerdict, Defect, ProofMethod } from './verdict.js'

/** A verdict on the certificate of a domain; `method` is the step that decided it. */
export interface DomainVerdict extends CertificateVerdict {
  /** A validated statement of the domain contradicts what was shown: nothing else may vouch for it, also where validation is lax. */
  readonly final: boolean
  /** The statement exists or not, the DNS would not say: final now, and may be different the next time. */
  readonly cause?: DnsFailureReason
}

export interface DomainProofRequest {
  /** The domain the peer claims. */
  readonly domain: string
  /** DER, leaf first, as sent. */
  readonly chain: readonly Buffer[]
  /** Where we dialed; absent when the peer dialed us. DANE speaks of places, so it needs one. */
  readonly target?: Pick<DialTarget, 'candidate' | 'port' | 'dnssec'> | undefined
  /** What may vouch, in this order; what is left out is switched off (`xmpp.server.certificate.proofs`). */
  readonly order: readonly ProofMethod[]
  readonly signal: AbortSignal
  readonly trace: Trace
}

export interface DomainProofOptions {
  readonly judge: CertificateJudge
  readonly resolver: Resolver
  readonly posh: Posh
}

/**
 * Whose certificate is it? Asks one proof after the other until one vouches for the domain:
 *
 * | proof | applies when | verified | else |
 * |---|---|---|---|
 * | DANE | SRV (or our configuration), address and TLSA are validated (RFC 7673) | as the records say | **final** |
 * | PKIX | always | chain and name are good; a host that a validated SRV answer named counts as a name | next |
 * | POSH | – | the domain's web server lists the leaf (RFC 7711), and the leaf itself is in order | next |
 */
export class DomainProof {
  readonly #judge: CertificateJudge
  readonly #resolver: Resolver
  readonly #posh: Posh

  constructor({ judge, resolver, posh }: DomainProofOptions) {
    this.#judge = judge
    this.#resolver = resolver
    this.#posh = posh
  }

  /** The verdict, with all defects when nothing vouches. Bounded by the resolver and by 5 s for POSH. Rejects only when `signal` aborts. */
  async judge(request: DomainProofRequest): Promise<DomainVerdict> {
    const { domain, chain, order, trace } = request
    const pkix = this.#judge.judge(chain, domain, { extraNames: namesOf(request) })
    trace.note('certificate.pkix', { domain, verified: pkix.verified, defects: pkix.defects })
    for (const method of order) {
      const verdict = await this.#ask(method, request, pkix)
      if (verdict !== undefined) return verdict
    }
    const defects = pkix.verified ? [notAllowed(order)] : pkix.defects
    return { ...pkix, verified: false, defects, final: false }
  }

  async #ask(
    method: ProofMethod,
    request: DomainProofRequest,
    pkix: CertificateVerdict,
  ): Promise<DomainVerdict | undefined> {
    switch (method) {
      case 'dane':
        return await this.#askDane(request, pkix)
      case 'pkix':
        return pkix.verified ? { ...pkix, final: false } : undefined
      case 'posh':
        return await this.#askPosh(request, pkix)
    }
  }

  /** Undefined when there is no validated statement to go by. */
  async #askDane(request: DomainProofRequest, pkix: CertificateVerdict): Promise<DomainVerdict | undefined> {
    const { domain, chain, target, signal, trace } = request
    if (target?.dnssec !== 'secure' || isIP(target.candidate.host) !== 0) return undefined
    const name = `_${target.port}._tcp.${target.candidate.host}`
    trace.waitFor(`DNS: TLSA ${name}`)
    const answer = await this.#resolver.query(name, 'TLSA', signal)
    trace.note('dns.answer', { name, type: 'TLSA', ...answer })
    if (answer.kind === 'failure') {
      // RFC 6698 §4.1: in a validated zone a missing answer may hide a statement, so it must not pass for none.
      const defects: Defect[] = [
        { code: 'dane-mismatch', text: `cannot be compared with the TLSA records of ${name}: ${answer.reason}` },
      ]
      return { ...pkix, verified: false, defects, method: 'dane', final: true, cause: answer.reason }
    }
    if (answer.kind === 'none' || answer.dnssec !== 'secure') return undefined
    const dane = judgeDane(chain, answer.records, { judge: this.#judge, domain, extraNames: namesOf(request) })
    const { applies, verified, defects, record, verdict = pkix } = dane
    trace.note('certificate.dane', { name, applies, verified, record: record && tlsaText(record), defects })
    return applies ? { ...verdict, verified, defects, method: 'dane', final: !verified } : undefined
  }

  async #askPosh(
    { domain, chain, signal, trace }: DomainProofRequest,
    pkix: CertificateVerdict,
  ): Promise<DomainVerdict | undefined> {
    const leaf = chain[0]
    if (leaf === undefined || pkix.leaf === undefined || !this.#isInOrder(leaf, domain)) return undefined
    trace.waitFor(`HTTPS: POSH of ${domain}`)
    const { isListed, text } = await this.#posh.lists(domain, leaf, signal)
    trace.note('certificate.posh', { domain, listed: isListed, text })
    return isListed ? { ...pkix, verified: true, defects: [], method: 'posh', final: false } : undefined
  }

  /** Being listed stands for an authority and for a name, not for the leaf's own dates, key and usage. */
  #isInOrder(leaf: Buffer, domain: string): boolean {
    const { defects } = this.#judge.judge([leaf], domain, { anchors: TrustAnchors.fromDer([leaf]) })
    return defects.every(({ code }) => code === 'wrong-name')
  }
}

/** RFC 7673 §4.1: the host is a reference name when a validated SRV answer named it. What our configuration names is not the domain's word. */
function namesOf({ target }: DomainProofRequest): readonly string[] {
  const candidate = target?.candidate
  const isNamed = candidate?.dnssec === 'secure' && !candidate.isConfigured && isIP(candidate.host) === 0
  return isNamed ? [candidate.host] : []
}

function notAllowed(order: readonly ProofMethod[]): Defect {
  const text = `has authorities behind it, which do not count here; proofs that do: ${order.join(', ') || 'none'}`
  return { code: 'unknown-root', text }
}
