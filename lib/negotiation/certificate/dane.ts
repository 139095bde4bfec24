import { createPublicKey } from 'node:crypto'
import { isSignedByKey, isStrongSignature } from './keys.js'
import type { Certificate } from './parse.js'
import { isWholeCertificate, isWholeKey, matchesTlsa, type TlsaRecord, tlsaText, Usage, usableRecords } from './tlsa.js'
import { TrustAnchors } from './trust.js'
import type { CertificateJudge, CertificateVerdict, Defect } from './verdict.js'

export type { TlsaRecord } from './tlsa.js'

/** What a server's TLSA records say of the chain it showed. */
export interface DaneVerdict {
  /** Some record can be used. Otherwise the chain is judged as if there were none (RFC 6698 §4.1). */
  readonly applies: boolean
  readonly verified: boolean
  /** Empty when verified and when nothing applies; else a `dane-mismatch` first. */
  readonly defects: readonly Defect[]
  /** The record that verified the chain, or that came closest to it. */
  readonly record?: TlsaRecord
  /** The path and the name that were judged, for usages that ask for them. */
  readonly verdict?: CertificateVerdict
}

export interface DaneInput {
  /** Knows the time, and the anchors that usages 0 and 1 ask for. */
  readonly judge: CertificateJudge
  readonly domain: string
  /** Reference names beside the domain: the host the records belong to, when a validated SRV answer named it (RFC 7673 §4.1). */
  readonly extraNames?: readonly string[]
}

interface Tried {
  readonly record: TlsaRecord
  readonly isMatch: boolean
  readonly verdict?: CertificateVerdict
}

/**
 * Judges a chain, DER, leaf first, against the validated TLSA records of the server that showed it (RFC 6698, RFC 7671):
 *
 * | usage | the record names | needed besides |
 * |---|---|---|
 * | 3 | the leaf | nothing: names, dates and issuers do not count (RFC 7671 §5.1) |
 * | 2 | an authority, sent or given whole by the record | the chain leads to it, a name matches |
 * | 1 | the leaf | PKIX |
 * | 0 | an authority on the path | PKIX |
 *
 * One record that agrees is enough. Whatever is in the chain and the records, nothing is thrown.
 */
export function judgeDane(chain: readonly Buffer[], records: readonly TlsaRecord[], input: DaneInput): DaneVerdict {
  const usable = usableRecords(records)
  if (usable.length === 0) return { applies: false, verified: false, defects: [] }
  const certificates = input.judge.read(chain)
  const tried = certificates.length === 0 ? [] : usable.map(record => tryRecord(record, chain, certificates, input))
  const good = tried.find(({ isMatch, verdict }) => isMatch && verdict?.verified !== false)
  if (good) return { applies: true, verified: true, defects: [], ...withoutMatch(good) }
  const closest = tried.find(({ isMatch }) => isMatch)
  return {
    applies: true,
    verified: false,
    defects: [
      { code: 'dane-mismatch', text: mismatch(usable, closest?.record) },
      ...(certificates.length === 0 ? input.judge.judge(chain, input.domain).defects : []),
      ...(closest?.verdict?.defects.filter(({ code }) => code !== 'dane-mismatch') ?? []),
    ],
    ...(closest ? withoutMatch(closest) : {}),
  }
}

const withoutMatch = ({ record, verdict }: Tried): Pick<DaneVerdict, 'record' | 'verdict'> => ({
  record,
  ...(verdict ? { verdict } : {}),
})

function mismatch(usable: readonly TlsaRecord[], closest: TlsaRecord | undefined): string {
  if (closest) return `has what the TLSA record ${tlsaText(closest)} names, and still does not verify`
  return `is not what the TLSA records say: ${usable.map(tlsaText).join(', ')}`
}

function tryRecord(
  record: TlsaRecord,
  chain: readonly Buffer[],
  certificates: readonly Certificate[],
  { judge, domain, extraNames = [] }: DaneInput,
): Tried {
  const leaf = certificates[0]!
  switch (record.usage) {
    case Usage.daneEe:
      return { record, isMatch: matchesTlsa(record, leaf) }
    case Usage.pkixEe:
      if (!matchesTlsa(record, leaf)) return { record, isMatch: false }
      return { record, isMatch: true, verdict: judge.judge(chain, domain, { extraNames }) }
    case Usage.daneTa: {
      const anchors = anchorsOf(record, certificates)
      if (anchors.length === 0) return { record, isMatch: false }
      const verdict = judge.judge(chain, domain, { extraNames, anchors: TrustAnchors.fromDer(anchors) })
      return { record, isMatch: true, verdict }
    }
    default: {
      const through = (authority: Certificate): boolean => matchesTlsa(record, authority)
      const verdict = judge.judge(chain, domain, { extraNames, through })
      return { record, isMatch: !verdict.defects.some(({ code }) => code === 'dane-mismatch'), verdict }
    }
  }
}

/** The certificates that a record of usage 2 makes trusted: an authority that was sent, or what the record itself holds. */
function anchorsOf(record: TlsaRecord, [leaf, ...others]: readonly Certificate[]): Buffer[] {
  const named = others.filter(one => matchesTlsa(record, one)).map(({ der }) => der)
  if (isWholeCertificate(record)) return [...named, record.certificate]
  if (named.length > 0 || !isWholeKey(record)) return named
  const key = createPublicKey({ key: record.certificate, format: 'der', type: 'spki' })
  // The authority itself is not there, so what its key signed stands for it.
  return [leaf!, ...others]
    .filter(one => isStrongSignature(one.facts.signature) && isSignedByKey(one, key))
    .map(({ der }) => der)
}
