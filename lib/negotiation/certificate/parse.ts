import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import {
  childrenOf,
  contentOf,
  contextTag,
  type DerNode,
  isTag,
  MalformedDer,
  readCount,
  readDer,
  readOid,
  readTime,
  Tag,
  writeDer,
} from './der.js'
import { type Extensions, type GeneralName, type KeyUsage, type NameConstraints, readExtensions } from './extensions.js'

/** What one certificate says, as plain data for logs, the console and `cert list`. Nothing in it has been verified. */
export interface CertificateFacts {
  /** In one line, control characters escaped. */
  readonly subject: string
  readonly issuer: string
  /** Hexadecimal. */
  readonly serial: string
  readonly notBefore: Date
  readonly notAfter: Date
  readonly dnsNames: readonly string[]
  readonly srvNames: readonly string[]
  readonly xmppAddrs: readonly string[]
  readonly ca: boolean
  readonly pathLength?: number
  /** Absent when the certificate has no such extension. */
  readonly keyUsage?: readonly KeyUsage[]
  /** `serverAuth`, `clientAuth`, `any`, or an object identifier; absent when the certificate has no such extension. */
  readonly extendedKeyUsage?: readonly string[]
  /** Hexadecimal. */
  readonly subjectKeyId?: string
  readonly authorityKeyId?: string
  readonly nameConstrained: boolean
  readonly unknownCritical: readonly string[]
  /** For example `ecdsa-sha256`; an object identifier when unknown. */
  readonly signature: string
  /** For example `rsa`, `ec`, `ed25519`; `unknown` when the key cannot be read. */
  readonly keyType: string
  /** Bits of an RSA modulus. */
  readonly keySize?: number
  /** Name of an elliptic curve, for example `prime256v1`. */
  readonly curve?: string
  /** Subject and issuer are the same name. */
  readonly selfIssued: boolean
  /** SHA-256 of the DER, lower-case hexadecimal. */
  readonly fingerprint: string
}

/** A certificate that was read completely. Immutable; may be kept and shared. */
export interface Certificate {
  readonly facts: CertificateFacts
  readonly der: Buffer
  readonly subjectDer: Buffer
  readonly issuerDer: Buffer
  /** `SubjectPublicKeyInfo` as it stands in the certificate. */
  readonly keyDer: Buffer
  /** Names in a form in which equal names are equal strings (RFC 5280 §7.1). */
  readonly subjectKey: string
  readonly issuerKey: string
  /** One string per relative distinguished name of the subject. */
  readonly subjectParts: readonly string[]
  readonly names: readonly GeneralName[]
  readonly constraints?: NameConstraints
  readonly x509: X509Certificate
  /** Absent when the key cannot be read. */
  readonly publicKey?: KeyObject
}

const SIGNATURES: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.4': 'rsa-md5',
  '1.2.840.113549.1.1.5': 'rsa-sha1',
  '1.2.840.113549.1.1.11': 'rsa-sha256',
  '1.2.840.113549.1.1.12': 'rsa-sha384',
  '1.2.840.113549.1.1.13': 'rsa-sha512',
  '1.2.840.113549.1.1.14': 'rsa-sha224',
  '1.2.840.10045.4.1': 'ecdsa-sha1',
  '1.2.840.10045.4.3.1': 'ecdsa-sha224',
  '1.2.840.10045.4.3.2': 'ecdsa-sha256',
  '1.2.840.10045.4.3.3': 'ecdsa-sha384',
  '1.2.840.10045.4.3.4': 'ecdsa-sha512',
  '1.3.101.112': 'ed25519',
  '1.3.101.113': 'ed448',
}
const RSA_PSS = '1.2.840.113549.1.1.10'
const HASHES: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

/** Longest subject or issuer text that is kept. */
const LONGEST_TEXT = 300

const TEXT_TAGS: readonly number[] = [Tag.utf8, Tag.printable, Tag.teletex, Tag.ia5, Tag.bmp]

function readSignature(algorithm: DerNode | undefined): string {
  const [type, parameters] = childrenOf(algorithm, Tag.sequence)
  const oid = readOid(type)
  if (oid !== RSA_PSS) return SIGNATURES[oid] ?? oid
  // RFC 4055 §3.1: the hash is [0] of the parameters, and SHA-1 when absent.
  const hash = childrenOf(parameters, Tag.sequence).find(part => contextTag(part) === 0)
  const hashOid = hash === undefined ? '1.3.14.3.2.26' : readOid(childrenOf(childrenOf(hash)[0], Tag.sequence)[0])
  return `rsa-pss-${HASHES[hashOid] ?? hashOid}`
}

/** Every part of a distinguished name as a string that is equal for equal parts: case and spacing of text do not count (RFC 5280 §7.1). */
export function nameParts(name: DerNode | undefined): string[] {
  return childrenOf(name, Tag.sequence).map(part =>
    childrenOf(part, Tag.set)
      .map(attribute => {
        const [type, value] = childrenOf(attribute, Tag.sequence)
        const tag = TEXT_TAGS.find(text => isTag(value, text))
        if (value === undefined || tag === undefined)
          return `${readOid(type)}#${value ? writeDer(value).toString('hex') : ''}`
        const encoding = tag === Tag.bmp ? 'utf16le' : tag === Tag.utf8 ? 'utf8' : 'latin1'
        const text = contentOf(value).toString(encoding).toLowerCase().trim().replace(/\s+/g, ' ')
        return `${readOid(type)}=${JSON.stringify(text)}`
      })
      .sort()
      .join('+'),
  )
}

const oneLine = (text: string): string => {
  const line = text.replaceAll('\n', ', ')
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}…` : line
}

function readKey(x509: X509Certificate): Pick<CertificateFacts, 'keyType' | 'keySize' | 'curve'> & { key?: KeyObject } {
  try {
    const key = x509.publicKey
    const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
    return {
      key,
      keyType: key.asymmetricKeyType ?? 'unknown',
      ...(modulusLength === undefined ? {} : { keySize: modulusLength }),
      ...(namedCurve === undefined ? {} : { curve: namedCurve }),
    }
  } catch {
    return { keyType: 'unknown' }
  }
}

function openssl(bytes: Buffer): X509Certificate {
  try {
    return new X509Certificate(bytes)
  } catch {
    throw new MalformedDer('not a certificate')
  }
}

const textsOf = (names: readonly GeneralName[], kind: string): string[] =>
  names.filter(name => name.kind === kind && name.text !== '').map(name => name.text)

/** The fields of `TBSCertificate` (RFC 5280 §4.1), in order. */
function readFields(tbs: DerNode | undefined): {
  serial: Buffer
  algorithm: DerNode
  issuer: DerNode
  notBefore: Date
  notAfter: Date
  subject: DerNode
  key: DerNode
  extensions: Extensions
} {
  const fields = childrenOf(tbs, Tag.sequence)
  const versioned = contextTag(fields[0]) === 0
  const version = versioned ? readCount(childrenOf(fields[0])[0]) : 0
  const [serial, algorithm, issuer, validity, subject, key, ...rest] = fields.slice(versioned ? 1 : 0)
  if (!algorithm || !issuer || !subject || !key || version > 2) throw new MalformedDer('not a certificate')
  const [notBefore, notAfter] = childrenOf(validity, Tag.sequence)
  const extensions = rest.find(part => contextTag(part) === 3)
  if (extensions && version !== 2) throw new MalformedDer('extensions in an old version')
  return {
    serial: contentOf(serial, Tag.integer),
    algorithm,
    issuer,
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    subject,
    key,
    extensions: readExtensions(extensions && childrenOf(extensions)[0]),
  }
}

/**
 * Reads one certificate strictly: exactly DER, nothing after it, every known extension well-formed.
 * @throws MalformedDer with a text for the admin of whoever sent it; nothing else
 */
export function parseCertificate(bytes: Buffer): Certificate {
  const [tbs, algorithm, signature] = childrenOf(readDer(bytes), Tag.sequence)
  const fields = readFields(tbs)
  contentOf(signature, Tag.bitString)
  if (!algorithm || !writeDer(algorithm).equals(writeDer(fields.algorithm)))
    throw new MalformedDer('two signature algorithms')
  const x509 = openssl(bytes)
  const { key, ...keyFacts } = readKey(x509)
  const { names, constraints, ...extensions } = fields.extensions
  const subjectParts = nameParts(fields.subject)
  const subjectKey = subjectParts.join('/')
  const issuerKey = nameParts(fields.issuer).join('/')
  return {
    facts: {
      subject: oneLine(x509.subject ?? ''),
      issuer: oneLine(x509.issuer ?? ''),
      serial: fields.serial.toString('hex'),
      notBefore: fields.notBefore,
      notAfter: fields.notAfter,
      dnsNames: textsOf(names, 'dns'),
      srvNames: textsOf(names, 'srv'),
      xmppAddrs: textsOf(names, 'xmpp'),
      ...extensions,
      nameConstrained: constraints !== undefined,
      signature: readSignature(algorithm),
      ...keyFacts,
      selfIssued: subjectKey === issuerKey,
      fingerprint: createHash('sha256').update(bytes).digest('hex'),
    },
    der: bytes,
    subjectDer: writeDer(fields.subject),
    issuerDer: writeDer(fields.issuer),
    keyDer: writeDer(fields.key),
    subjectKey,
    issuerKey,
    subjectParts,
    names,
    ...(constraints ? { constraints } : {}),
    x509,
    ...(key ? { publicKey: key } : {}),
  }
}

/** The subject of a certificate in its comparable form, without reading the rest. @throws MalformedDer */
export function subjectKeyOf(bytes: Buffer): string {
  const fields = childrenOf(childrenOf(readDer(bytes), Tag.sequence)[0], Tag.sequence)
  return nameParts(fields[contextTag(fields[0]) === 0 ? 5 : 4]).join('/')
}
