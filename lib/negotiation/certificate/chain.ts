import type { Checks } from './checks.js'
import type { Certificate } from './parse.js'
import type { TrustAnchors } from './trust.js'

/** Most certificates on one path, the anchor included. */
const LONGEST_PATH = 10
/** Most paths that are tried for one chain. */
const MOST_PATHS = 32

/** A way from a leaf upwards, leaf first. */
export interface Path {
  readonly certificates: readonly Certificate[]
  /** The last certificate is a trust anchor. */
  readonly anchored: boolean
}

/** False when both sides name the issuer's key and name different ones. */
function keyIdsAgree(certificate: Certificate, issuer: Certificate): boolean {
  const wanted = certificate.facts.authorityKeyId
  const found = issuer.facts.subjectKeyId
  return wanted === undefined || found === undefined || wanted === found
}

/** The issuer's name and key are all that counts when going round in a circle. */
const sameEntity = (one: Certificate, other: Certificate): boolean =>
  one.subjectKey === other.subjectKey &&
  (one.der.equals(other.der) || (one.publicKey !== undefined && other.publicKey?.equals(one.publicKey) === true))

/**
 * All ways from `leaf` through certificates of `sent` to an anchor or to where no issuer is found, anchors first (RFC 4158).
 * An issuer whose key did not make the signature is only followed when no other has the right name, so that the fault can be told.
 * The order of `sent` does not matter, and being sent makes nothing trusted. At least one path comes back.
 */
export function buildPaths(
  leaf: Certificate,
  sent: readonly Certificate[],
  anchors: TrustAnchors,
  checks: Checks,
): Path[] {
  const paths: Path[] = []

  const issuersOf = (path: readonly Certificate[]): Certificate[] => {
    const last = path.at(-1)!
    const trusted = anchors.withSubject(last.issuerKey)
    const others = sent.filter(one => one.subjectKey === last.issuerKey && !anchors.has(one))
    const candidates = [...trusted, ...others].filter(
      one => keyIdsAgree(last, one) && !path.some(done => sameEntity(done, one)),
    )
    const signers = candidates.filter(one => checks.isSignedBy(last, one))
    return signers.length > 0 ? signers : candidates
  }

  const walk = (path: readonly Certificate[]): void => {
    const anchored = anchors.has(path.at(-1)!)
    const issuers = anchored || path.length === LONGEST_PATH ? [] : issuersOf(path)
    if (issuers.length === 0) paths.push({ certificates: path, anchored })
    for (const issuer of issuers) {
      if (paths.length >= MOST_PATHS) return
      walk([...path, issuer])
    }
  }

  walk([leaf])
  return paths
}
