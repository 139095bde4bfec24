import { childrenOf } from './der.js'
import type { GeneralName, NameConstraints } from './extensions.js'
import { type Certificate, nameParts } from './parse.js'

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'

/** RFC 5280 §4.2.1.10: labels added on the left stay inside. */
function inside(domain: string, base: string): boolean {
  const tree = base.toLowerCase()
  if (tree === '' || tree === '.') return true
  if (tree.startsWith('.')) return domain.endsWith(tree)
  return domain === tree || domain.endsWith(`.${tree}`)
}

/** True when some host that `domain` (perhaps a wildcard) stands for is inside `base`. */
function touches(domain: string, base: string): boolean {
  if (inside(domain, base)) return true
  const tree = base.toLowerCase().replace(/^\./, '')
  return domain.startsWith('*.') && tree.slice(tree.indexOf('.')) === domain.slice(1)
}

const isPrefix = (whole: readonly string[], start: readonly string[]): boolean =>
  start.every((part, at) => whole[at] === part)

const directoryOf = (name: GeneralName): string[] => nameParts(childrenOf(name.node)[0])

/** The directory names of a certificate: its subject, unless that is empty, and those among its other names. */
function directoryNames(certificate: Certificate): string[][] {
  const others = certificate.names.filter(name => name.kind === 'directory').map(directoryOf)
  return certificate.subjectParts.length === 0 ? others : [[...certificate.subjectParts], ...others]
}

function domainBreach(
  domains: readonly string[],
  permitted: readonly GeneralName[],
  excluded: readonly GeneralName[],
): string | undefined {
  const trees = permitted.filter(name => name.kind === 'dns')
  const bans = excluded.filter(name => name.kind === 'dns')
  return domains.find(
    domain =>
      (trees.length > 0 && !trees.some(tree => inside(domain, tree.text))) ||
      bans.some(ban => touches(domain, ban.text)),
  )
}

function directoryBreach(certificate: Certificate, { permitted, excluded }: NameConstraints): boolean {
  const trees = permitted.filter(name => name.kind === 'directory').map(directoryOf)
  const bans = excluded.filter(name => name.kind === 'directory').map(directoryOf)
  if (trees.length + bans.length === 0) return false
  return directoryNames(certificate).some(
    name => (trees.length > 0 && !trees.some(tree => isPrefix(name, tree))) || bans.some(ban => isPrefix(name, ban)),
  )
}

/** How many comparisons `constraintBreach` may make, for a bound on them. */
export function comparisons(certificate: Certificate, { permitted, excluded }: NameConstraints): number {
  return (certificate.names.length + 1) * (permitted.length + excluded.length)
}

/** How `certificate` breaks the name constraints of an authority above it (RFC 5280 §6.1.3 b, c); undefined when it does not. */
export function constraintBreach(certificate: Certificate, constraints: NameConstraints): string | undefined {
  const { permitted, excluded } = constraints
  const all = [...permitted, ...excluded]
  const kinds = new Set(certificate.names.map(name => name.kind))
  if (certificate.subjectParts.some(part => part.startsWith(EMAIL_ADDRESS))) kinds.add('email')
  const unread = all.find(({ kind }) => kind !== 'dns' && kind !== 'directory' && kinds.has(kind))
  if (unread) return `has a name under a constraint of a kind that is not supported (${unread.kind})`
  const domains = certificate.names.map(name => name.domain).filter(domain => domain !== undefined)
  const domain = domainBreach(domains, permitted, excluded)
  if (domain !== undefined) return `has the name ${domain}, outside the name constraints of its issuer`
  return directoryBreach(certificate, constraints)
    ? 'has a subject outside the name constraints of its issuer'
    : undefined
}
