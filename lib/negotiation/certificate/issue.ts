import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { type DerNode, der, readDer, Tag, writeDer } from './der.js'
import { EXTENDED_KEY_USAGES, KEY_USAGES, type KeyUsage, Oid } from './extensions.js'
import { parseCertificate } from './parse.js'
import { toPem } from './pem.js'

/** Names for subjectAltName or for a side of name constraints, by kind, as they shall stand there. */
export interface CertificateNames {
  readonly dns?: readonly string[]
  /** For example `_xmpp-server.example.org` (RFC 4985). */
  readonly srv?: readonly string[]
  readonly xmpp?: readonly string[]
  readonly uri?: readonly string[]
  readonly email?: readonly string[]
  /** 4 or 16 bytes; in a constraint followed by a mask of the same size. */
  readonly ip?: readonly Buffer[]
  /** Common names of directory names. */
  readonly directory?: readonly string[]
}

/** Another extension, its value being DER. */
export interface RawExtension {
  readonly oid: string
  readonly critical: boolean
  readonly value: Buffer
}

export interface CertificateRequest {
  /** A common name, or pairs of object identifier and text. */
  readonly subject: string | readonly (readonly [oid: string, text: string])[]
  readonly names?: CertificateNames
  /** Who signs; absent: the certificate signs itself. */
  readonly issuer?: IssuedCertificate
  readonly ca?: boolean
  readonly pathLength?: number
  /** Absent: what `ca` calls for; empty: no such extension. */
  readonly keyUsage?: readonly KeyUsage[]
  /** Absent: no such extension. */
  readonly extendedKeyUsage?: readonly ('serverAuth' | 'clientAuth' | 'any')[]
  readonly nameConstraints?: { readonly permitted?: CertificateNames; readonly excluded?: CertificateNames }
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions?: readonly RawExtension[]
  /** The private key to certify; absent: a new P-256 key. */
  readonly key?: KeyObject
  /** Hash of the signature, SHA-256 when absent. The weak ones are for showing that they are refused. */
  readonly hash?: 'sha256' | 'sha384' | 'sha1' | 'md5'
}

export interface IssuedCertificate {
  readonly certPem: string
  /** PKCS #8. */
  readonly keyPem: string
  readonly der: Buffer
  readonly privateKey: KeyObject
}

const SIGNATURE_OIDS: Readonly<Record<string, string>> = {
  'ec:sha256': '1.2.840.10045.4.3.2',
  'ec:sha384': '1.2.840.10045.4.3.3',
  'ec:sha1': '1.2.840.10045.4.1',
  'rsa:sha256': '1.2.840.113549.1.1.11',
  'rsa:sha384': '1.2.840.113549.1.1.12',
  'rsa:sha1': '1.2.840.113549.1.1.5',
  'rsa:md5': '1.2.840.113549.1.1.4',
  ed25519: '1.3.101.112',
}

const DAY = 86_400_000

function nameNode(subject: CertificateRequest['subject']): DerNode {
  const parts: readonly (readonly [string, string])[] =
    typeof subject === 'string' ? [[Oid.commonName, subject]] : subject
  return der.sequence(...parts.map(([oid, text]) => der.set(der.sequence(der.oid(oid), der.text(Tag.utf8, text)))))
}

function generalNames(names: CertificateNames): DerNode[] {
  const texts = (tag: number, list: readonly string[] = []) =>
    list.map(text => der.contextBytes(tag, Buffer.from(text)))
  const others = (oid: string, tag: number, list: readonly string[] = []) =>
    list.map(text => der.context(0, der.oid(oid), der.context(0, der.text(tag, text))))
  return [
    ...texts(2, names.dns),
    ...others(Oid.srvName, Tag.ia5, names.srv),
    ...others(Oid.xmppAddr, Tag.utf8, names.xmpp),
    ...texts(6, names.uri),
    ...texts(1, names.email),
    ...(names.ip ?? []).map(bytes => der.contextBytes(7, bytes)),
    ...(names.directory ?? []).map(text => der.context(4, nameNode(text))),
  ]
}

function keyUsageNode(usages: readonly KeyUsage[]): DerNode {
  const bits = usages.map(usage => KEY_USAGES.indexOf(usage))
  const bytes = Buffer.alloc((Math.max(...bits) >> 3) + 1)
  for (const bit of bits) bytes[bit >> 3]! |= 0x80 >> (bit & 7)
  return der.bits(bytes, 7 - (Math.max(...bits) & 7))
}

function usageOid(usage: string): string {
  const found = Object.entries(EXTENDED_KEY_USAGES).find(([, name]) => name === usage)
  return found ? found[0] : usage
}

/** RFC 7093 §2, method 1: 160 bits of a SHA-256. */
const keyId = (key: KeyObject): Buffer =>
  createHash('sha256')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20)

const extension = (oid: string, critical: boolean, value: Buffer): DerNode =>
  der.sequence(der.oid(oid), ...(critical ? [der.boolean(true)] : []), der.octets(value))

function extensionNodes(request: CertificateRequest, key: KeyObject): DerNode[] {
  const { ca = false, names, nameConstraints: limits } = request
  const keyUsage = request.keyUsage ?? (ca ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'])
  const list: DerNode[] = [extension(Oid.subjectKeyIdentifier, false, writeDer(der.octets(keyId(key))))]
  const add = (oid: string, critical: boolean, node: DerNode) => list.push(extension(oid, critical, writeDer(node)))
  const issuerId = keyId(request.issuer?.privateKey ?? key)
  add(Oid.authorityKeyIdentifier, false, der.sequence(der.contextBytes(0, issuerId)))
  if (ca || request.pathLength !== undefined) {
    const length = request.pathLength === undefined ? [] : [der.count(request.pathLength)]
    add(Oid.basicConstraints, true, der.sequence(...(ca ? [der.boolean(true)] : []), ...length))
  }
  if (keyUsage.length > 0) add(Oid.keyUsage, true, keyUsageNode(keyUsage))
  const usages = request.extendedKeyUsage
  if (usages) add(Oid.extendedKeyUsage, false, der.sequence(...usages.map(usage => der.oid(usageOid(usage)))))
  if (names) add(Oid.subjectAltName, false, der.sequence(...generalNames(names)))
  if (limits) {
    const side = (tag: number, side: CertificateNames | undefined) =>
      side ? [der.context(tag, ...generalNames(side).map(name => der.sequence(name)))] : []
    add(Oid.nameConstraints, true, der.sequence(...side(0, limits.permitted), ...side(1, limits.excluded)))
  }
  for (const { oid, critical, value } of request.extensions ?? []) list.push(extension(oid, critical, value))
  return list
}

function signatureAlgorithm(signer: KeyObject, hash: string): DerNode {
  const type = signer.asymmetricKeyType ?? ''
  const oid = SIGNATURE_OIDS[type] ?? SIGNATURE_OIDS[`${type}:${hash}`]
  if (oid === undefined) throw new Error(`no signature with a key of type ${type} and ${hash}`)
  return der.sequence(der.oid(oid), ...(type === 'rsa' ? [der.null()] : []))
}

function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  // Positive, and always of the same length.
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes
}

/** Makes a certificate (RFC 5280 §4.1) for a new or a given key, signed by `issuer` or by itself. */
export function issueCertificate(request: CertificateRequest): IssuedCertificate {
  const key = request.key ?? generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
  const signer = request.issuer?.privateKey ?? key
  const hash = request.hash ?? 'sha256'
  const algorithm = signatureAlgorithm(signer, hash)
  const subject = nameNode(request.subject)
  const tbs = der.sequence(
    der.context(0, der.count(2)),
    der.integer(serialNumber()),
    algorithm,
    request.issuer ? readDer(parseCertificate(request.issuer.der).subjectDer) : subject,
    der.sequence(der.time(request.notBefore), der.time(request.notAfter)),
    subject,
    readDer(createPublicKey(key).export({ type: 'spki', format: 'der' })),
    der.context(3, der.sequence(...extensionNodes(request, key))),
  )
  const signature = sign(signer.asymmetricKeyType === 'ed25519' ? null : hash, writeDer(tbs), signer)
  const bytes = writeDer(der.sequence(tbs, algorithm, der.bits(signature)))
  return {
    certPem: toPem('CERTIFICATE', bytes),
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    der: bytes,
    privateKey: key,
  }
}

/**
 * A certificate a domain makes for itself, both usages, valid from a day ago for `days` days. No XmppAddr: COMPAT ejabberd 23.01 drops the
 * connection when it meets a domain in one.
 */
export function selfSigned(domain: string, now: Date, days: number): IssuedCertificate {
  return issueCertificate({
    subject: domain,
    names: { dns: [domain], srv: [`_xmpp-server.${domain}`] },
    extendedKeyUsage: ['serverAuth', 'clientAuth'],
    notBefore: new Date(now.getTime() - DAY),
    notAfter: new Date(now.getTime() + days * DAY),
  })
}
