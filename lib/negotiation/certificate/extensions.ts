import {
  childrenOf,
  contentOf,
  contextTag,
  type DerNode,
  isTag,
  MalformedDer,
  readBoolean,
  readCount,
  readDer,
  readOid,
  Tag,
} from './der.js'
import { domainOfXmppAddr } from './domains.js'

export const Oid = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
  xmppAddr: '1.3.6.1.5.5.7.8.5',
  srvName: '1.3.6.1.5.5.7.8.7',
  commonName: '2.5.4.3',
} as const

/** Bits of keyUsage in order (RFC 5280 §4.2.1.3). */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

export type KeyUsage = (typeof KEY_USAGES)[number]

/** Extended key usages known by name; the others appear as object identifiers. */
export const EXTENDED_KEY_USAGES: Readonly<Record<string, string>> = {
  '2.5.29.37.0': 'any',
  '1.3.6.1.5.5.7.3.1': 'serverAuth',
  '1.3.6.1.5.5.7.3.2': 'clientAuth',
}

/** A name of subjectAltName or of a name constraint. `kind` is `dns`, `srv`, `xmpp`, `directory`, `ip`… or `other:` and an object identifier. */
export interface GeneralName {
  readonly kind: string
  /** For `dns`, `srv` and `xmpp`; empty when it holds characters that no domain name has: such a name matches nothing. */
  readonly text: string
  /** The domain a name of these kinds speaks for, in A-labels and lower case; DNS constraints bind them all. */
  readonly domain?: string
  readonly node: DerNode
}

export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

/** What the extensions of one certificate say. */
export interface Extensions {
  ca: boolean
  pathLength?: number
  keyUsage?: readonly KeyUsage[]
  extendedKeyUsage?: readonly string[]
  subjectKeyId?: string
  authorityKeyId?: string
  names: readonly GeneralName[]
  constraints?: NameConstraints
  /** Object identifiers of critical extensions that nothing here obeys. */
  unknownCritical: string[]
}

const KINDS = ['other', 'email', 'dns', 'x400', 'directory', 'edi', 'uri', 'ip', 'registered']

/** Most otherNames of one certificate. */
const MOST_OTHER_NAMES = 100

function readText(bytes: Buffer, encoding: 'latin1' | 'utf8'): string {
  if (bytes.includes(0)) throw new MalformedDer('a name contains NUL')
  const text = bytes.toString(encoding)
  const plain = encoding === 'utf8' ? /^[^\p{C}\p{Z}]+$/u : /^[!-~]+$/
  return plain.test(text) ? text : ''
}

function domainName(
  kind: string,
  text: string,
  node: DerNode,
  toDomain: (text: string) => string | undefined,
): GeneralName {
  const domain = text === '' ? undefined : toDomain(text)
  return { kind, text, node, ...(domain === undefined ? {} : { domain }) }
}

function readGeneralName(node: DerNode): GeneralName {
  const kind = KINDS[contextTag(node) ?? -1]
  if (kind === undefined) throw new MalformedDer('bad general name')
  if (kind === 'dns') return domainName(kind, readText(contentOf(node), 'latin1'), node, text => text.toLowerCase())
  if (kind !== 'other') return { kind, text: '', node }
  const [type, wrapped] = childrenOf(node)
  const oid = readOid(type)
  const value = childrenOf(wrapped)[0]
  if (contextTag(wrapped) !== 0 || value === undefined) throw new MalformedDer('bad other name')
  if (oid === Oid.xmppAddr)
    return domainName('xmpp', readText(contentOf(value, Tag.utf8), 'utf8'), node, domainOfXmppAddr)
  if (oid === Oid.srvName) {
    return domainName('srv', readText(contentOf(value, Tag.ia5), 'latin1'), node, text =>
      text.slice(text.indexOf('.') + 1).toLowerCase(),
    )
  }
  return { kind: `other:${oid}`, text: '', node }
}

function readNames(value: DerNode): GeneralName[] {
  const nodes = childrenOf(value, Tag.sequence)
  // Each costs a mapping by IDNA, which is slow.
  if (nodes.filter(node => contextTag(node) === 0).length > MOST_OTHER_NAMES)
    throw new MalformedDer('too many names of other kinds')
  return nodes.map(readGeneralName)
}

function readSubtrees(node: DerNode): GeneralName[] {
  return childrenOf(node).map(subtree => {
    const [base, ...limits] = childrenOf(subtree, Tag.sequence)
    if (base === undefined || limits.length > 0) throw new MalformedDer('bad name constraint')
    return readGeneralName(base)
  })
}

function readConstraints(value: DerNode): NameConstraints {
  const parts = childrenOf(value, Tag.sequence)
  const names = (tag: number) => parts.filter(part => contextTag(part) === tag).flatMap(readSubtrees)
  if (parts.some(part => contextTag(part) !== 0 && contextTag(part) !== 1))
    throw new MalformedDer('bad name constraints')
  return { permitted: names(0), excluded: names(1) }
}

function readKeyUsage(value: DerNode): KeyUsage[] {
  const [unused, ...bytes] = contentOf(value, Tag.bitString)
  if (unused === undefined || unused > 7) throw new MalformedDer('bad key usage')
  return KEY_USAGES.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0)
}

function readBasicConstraints(into: Extensions, value: DerNode): void {
  const [first, second] = childrenOf(value, Tag.sequence)
  const ca = isTag(first, Tag.boolean)
  into.ca = ca && readBoolean(first)
  const length = ca ? second : first
  if (length !== undefined) into.pathLength = readCount(length)
}

type Reader = (into: Extensions, value: DerNode) => void

const ignored: Reader = () => {}

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [Oid.basicConstraints, readBasicConstraints],
  [Oid.keyUsage, (into, value) => (into.keyUsage = readKeyUsage(value))],
  [
    Oid.extendedKeyUsage,
    (into, value) => {
      into.extendedKeyUsage = childrenOf(value, Tag.sequence)
        .map(readOid)
        .map(oid => EXTENDED_KEY_USAGES[oid] ?? oid)
    },
  ],
  [Oid.subjectAltName, (into, value) => (into.names = readNames(value))],
  [Oid.nameConstraints, (into, value) => (into.constraints = readConstraints(value))],
  [Oid.subjectKeyIdentifier, (into, value) => (into.subjectKeyId = contentOf(value, Tag.octetString).toString('hex'))],
  [
    Oid.authorityKeyIdentifier,
    (into, value) => {
      const id = childrenOf(value, Tag.sequence).find(part => contextTag(part) === 0)
      if (id) into.authorityKeyId = contentOf(id).toString('hex')
    },
  ],
  // No policy is ever asked for here, so these three cannot change a verdict; policyConstraints could, and stays unknown.
  [Oid.certificatePolicies, ignored],
  [Oid.policyMappings, ignored],
  [Oid.inhibitAnyPolicy, ignored],
])

/**
 * Reads the extensions of a certificate (RFC 5280 §4.2).
 * @throws MalformedDer when one that is known here is not what it should be, or appears twice
 */
export function readExtensions(list: DerNode | undefined): Extensions {
  const into: Extensions = { ca: false, names: [], unknownCritical: [] }
  const seen = new Set<string>()
  for (const extension of list === undefined ? [] : childrenOf(list, Tag.sequence)) {
    const parts = childrenOf(extension, Tag.sequence)
    const oid = readOid(parts[0])
    if (seen.has(oid)) throw new MalformedDer(`extension ${oid} appears twice`)
    seen.add(oid)
    const critical = parts.length === 3 && readBoolean(parts[1])
    const content = contentOf(parts[parts.length === 3 ? 2 : 1], Tag.octetString)
    const reader = READERS.get(oid)
    if (reader) reader(into, readDer(content))
    else if (critical) into.unknownCritical.push(oid)
  }
  return into
}
