import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { MalformedDer } from './der.js'
import { type Certificate, parseCertificate, subjectKeyOf } from './parse.js'
import { certificatesOf } from './pem.js'

const SYSTEM_FILE = '/etc/ssl/certs/ca-certificates.crt'

/** One anchor, read when it is first asked for. */
interface Anchor {
  readonly der: Buffer
  certificate?: Certificate
}

/**
 * The certificates trusted without proof. Nothing is read before the first look-up, so that a start does not wait for some 140 roots;
 * one that cannot be read is never found.
 */
export class TrustAnchors {
  readonly #source: () => Iterable<Buffer>
  #index: Map<string, Anchor[]> | undefined

  private constructor(source: () => Iterable<Buffer>) {
    this.#source = source
  }

  /** Node's own roots and those of the system, where it has a bundle; and the certificates of more PEM texts. */
  static system(...pemTexts: readonly string[]): TrustAnchors {
    const more = TrustAnchors.#read(pemTexts)
    return new TrustAnchors(() => [...rootCertificates.flatMap(certificatesOf), ...systemBundle(), ...more])
  }

  /** Only the certificates of these PEM texts. @throws Error when one of them holds none, or one that cannot be read */
  static fromPem(...pemTexts: readonly string[]): TrustAnchors {
    const anchors = TrustAnchors.#read(pemTexts)
    return new TrustAnchors(() => anchors)
  }

  /** Only these certificates, for example one that a TLSA record names. */
  static fromDer(certificates: readonly Buffer[]): TrustAnchors {
    return new TrustAnchors(() => certificates)
  }

  static #read(pemTexts: readonly string[]): Buffer[] {
    return pemTexts.flatMap(text => {
      const found = certificatesOf(text)
      if (found.length === 0) throw new Error('no certificate in the PEM text')
      for (const der of found) parseCertificate(der)
      return found
    })
  }

  /** The anchors with this subject (`Certificate.subjectKey`, or the `issuerKey` of what they issued). */
  withSubject(subjectKey: string): readonly Certificate[] {
    return this.#entries(subjectKey).flatMap(entry => {
      entry.certificate ??= readOrSkip(() => parseCertificate(entry.der))
      return entry.certificate ? [entry.certificate] : []
    })
  }

  /** True when exactly this certificate is trusted. */
  has(certificate: Certificate): boolean {
    return this.#entries(certificate.subjectKey).some(entry => entry.der.equals(certificate.der))
  }

  #entries(subjectKey: string): readonly Anchor[] {
    this.#index ??= buildIndex(this.#source())
    return this.#index.get(subjectKey) ?? []
  }
}

function systemBundle(): Buffer[] {
  try {
    return certificatesOf(readFileSync(SYSTEM_FILE, 'latin1'))
  } catch {
    return []
  }
}

function readOrSkip<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof MalformedDer) return undefined
    throw error
  }
}

function buildIndex(certificates: Iterable<Buffer>): Map<string, Anchor[]> {
  const index = new Map<string, Anchor[]>()
  const seen = new Set<string>()
  for (const der of certificates) {
    const id = der.toString('latin1')
    if (seen.has(id)) continue
    seen.add(id)
    const subject = readOrSkip(() => subjectKeyOf(der))
    if (subject === undefined) continue
    const entries = index.get(subject)
    if (entries) entries.push({ der })
    else index.set(subject, [{ der }])
  }
  return index
}
