import type { Path } from './chain.js'
import type { Checks } from './checks.js'
import { isStrongSignature, keyWeakness } from './keys.js'
import type { Certificate, CertificateFacts } from './parse.js'

/** What can be wrong with a peer's certificate. `revoked` and `dane-mismatch` are found elsewhere. */
export type DefectCode =
  | 'expired'
  | 'not-yet-valid'
  | 'self-signed'
  | 'unknown-root'
  | 'missing-intermediate'
  | 'wrong-name'
  | 'usage'
  | 'not-a-ca'
  | 'path-length'
  | 'name-constraint'
  | 'weak-key'
  | 'weak-signature'
  | 'bad-signature'
  | 'critical-extension'
  | 'malformed'
  | 'revoked'
  | 'dane-mismatch'

export interface Defect {
  readonly code: DefectCode
  /** For the admin of the peer, for example `expired on 2026-01-02`. */
  readonly text: string
}

/** By how much two clocks may differ, in milliseconds. */
const CLOCK_SKEW = 5 * 60_000
/** Most names told in one text. */
const MOST_NAMES = 10

const day = (date: Date): string => date.toISOString().slice(0, 10)

/** Rules that bind every certificate of a path. */
function commonDefects(certificate: Certificate, now: Date, who: string): Defect[] {
  const { notBefore, notAfter, unknownCritical } = certificate.facts
  const defects: Defect[] = []
  const add = (code: DefectCode, text: string) => defects.push({ code, text: `${who}${text}` })
  if (now.getTime() > notAfter.getTime() + CLOCK_SKEW) add('expired', `expired on ${day(notAfter)}`)
  if (now.getTime() < notBefore.getTime() - CLOCK_SKEW) add('not-yet-valid', `is not valid before ${day(notBefore)}`)
  const weakness = keyWeakness(certificate)
  if (weakness !== undefined) add('weak-key', weakness)
  for (const oid of unknownCritical)
    add('critical-extension', `has the critical extension ${oid}, which is not supported`)
  return defects
}

const servesAsServer = (usages: readonly string[] | undefined): boolean =>
  usages === undefined || usages.includes('serverAuth') || usages.includes('any')

/** Rules for the certificate of the peer itself: dates, key, purpose *server* in whichever role it showed it. */
export function leafDefects(leaf: Certificate, now: Date): Defect[] {
  const { facts } = leaf
  const defects = commonDefects(leaf, now, '')
  const add = (code: DefectCode, text: string) => defects.push({ code, text })
  if (facts.ca) add('usage', 'is the certificate of an authority, not of a server')
  if (facts.keyUsage && !facts.keyUsage.includes('digitalSignature'))
    add('usage', 'key usage does not allow digital signatures')
  if (!servesAsServer(facts.extendedKeyUsage)) {
    add(
      'usage',
      `extended key usage is ${facts.extendedKeyUsage?.join(', ')}, without serverAuth, which XMPP servers need in both directions`,
    )
  }
  return defects
}

/** Whether a name was found (`matchedName`) that stands for `domain`; and if not, which names there are. */
export function nameDefects(leaf: CertificateFacts, domain: string, matchedName: string | undefined): Defect[] {
  if (matchedName !== undefined) return []
  const names = [...leaf.dnsNames, ...leaf.srvNames, ...leaf.xmppAddrs]
  const more = names.length > MOST_NAMES ? ', …' : ''
  const text = names.slice(0, MOST_NAMES).join(', ') || 'no name that counts'
  return [{ code: 'wrong-name', text: `is not for ${domain}, but for ${text}${more}` }]
}

/** Rules for an authority (RFC 5280 §6.1.4) at place `at` of a path, the leaf being at 0. */
function authorityDefects(certificates: readonly Certificate[], at: number, checks: Checks, now: Date): Defect[] {
  const authority = certificates[at]!
  const { facts } = authority
  const who = `issuer ${facts.subject || '(no name)'} `
  const defects = commonDefects(authority, now, who)
  const add = (code: DefectCode, text: string) => defects.push({ code, text })
  if (!facts.ca) add('not-a-ca', `${who}is not a certificate of an authority`)
  else if (facts.keyUsage && !facts.keyUsage.includes('keyCertSign')) add('not-a-ca', `${who}may not sign certificates`)
  if (!servesAsServer(facts.extendedKeyUsage)) add('usage', `${who}may not issue certificates for servers`)
  const below = certificates.slice(1, at).filter(one => !one.facts.selfIssued).length
  if (facts.pathLength !== undefined && below > facts.pathLength) {
    add('path-length', `${who}allows ${facts.pathLength} authorities below it, there are ${below}`)
  }
  if (authority.constraints) {
    for (const [place, one] of certificates.slice(0, at).entries()) {
      // RFC 5280 §6.1.3 b: authorities that issue to themselves, as when they change keys, are exempt.
      if (place > 0 && one.facts.selfIssued) continue
      const breach = checks.breach(one, authority)
      if (breach !== '') add('name-constraint', place === 0 ? breach : `issuer ${one.facts.subject} ${breach}`)
    }
  }
  return defects
}

function signatureDefects({ certificates, anchored }: Path, checks: Checks): Defect[] {
  const last = certificates.length - 1
  return certificates.flatMap((one, at): Defect[] => {
    // What an anchor or an unknown root says about itself proves nothing either way.
    if (at === last && (anchored || (at > 0 && one.facts.selfIssued))) return []
    const who = at === 0 ? '' : `issuer ${one.facts.subject} `
    const defects: Defect[] = []
    if (!isStrongSignature(one.facts.signature)) {
      defects.push({
        code: 'weak-signature',
        text: `${who}is signed with ${one.facts.signature}, SHA-256 or better is needed`,
      })
    }
    const issuer = at < last ? certificates[at + 1]! : one.facts.selfIssued ? one : undefined
    if (issuer && !checks.isSignedBy(one, issuer)) {
      defects.push({ code: 'bad-signature', text: `${who}has a signature that ${issuer.facts.subject} did not make` })
    }
    return defects
  })
}

/** Why a path that found no anchor ends where it ends. */
function endDefect({ certificates }: Path): Defect {
  const last = certificates.at(-1)!
  const { selfIssued, issuer, subject } = last.facts
  if (certificates.length === 1) {
    if (selfIssued) return { code: 'self-signed', text: 'is self-signed' }
    return {
      code: 'missing-intermediate',
      text: `its issuer ${issuer} is not trusted here and its certificate was not sent`,
    }
  }
  if (selfIssued) return { code: 'unknown-root', text: `its root ${subject} is not trusted here` }
  return { code: 'unknown-root', text: `issuer ${subject} leads to ${issuer}, which is not trusted here` }
}

/** Everything that is wrong with a path beyond its leaf. */
export function pathDefects(path: Path, checks: Checks, now: Date): Defect[] {
  return [
    ...(path.anchored ? [] : [endDefect(path)]),
    ...signatureDefects(path, checks),
    ...path.certificates.slice(1).flatMap((_, at) => authorityDefects(path.certificates, at + 1, checks, now)),
  ]
}
