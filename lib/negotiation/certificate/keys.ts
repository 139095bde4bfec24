import type { KeyObject } from 'node:crypto'
import type { Certificate } from './parse.js'

const STRONG_SIGNATURE = /^(?:(?:rsa|rsa-pss|ecdsa)-sha(?:256|384|512)|ed25519|ed448)$/
const STRONG_CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1']

/** Fewest bits of an RSA modulus, and most: checking one signature with a larger one takes milliseconds. */
const LEAST_RSA = 2048
const MOST_RSA = 8192
const MOST_EXPONENT = 2n ** 33n

/** SHA-256 or better. */
export function isStrongSignature(signature: string): boolean {
  return STRONG_SIGNATURE.test(signature)
}

/** What is wrong with the public key of a certificate, undefined when nothing is. */
export function keyWeakness({ facts, publicKey }: Certificate): string | undefined {
  const exponent = publicKey?.asymmetricKeyDetails?.publicExponent ?? 3n
  switch (facts.keyType) {
    case 'ed25519':
    case 'ed448':
      return undefined
    case 'ec':
      return STRONG_CURVES.includes(facts.curve ?? '')
        ? undefined
        : `has a key on the curve ${facts.curve ?? '(unnamed)'}`
    case 'rsa':
    case 'rsa-pss':
      if ((facts.keySize ?? 0) < LEAST_RSA)
        return `has an RSA key of ${facts.keySize ?? 0} bits, at least ${LEAST_RSA} are needed`
      if (facts.keySize! > MOST_RSA) return `has an RSA key of ${facts.keySize} bits, at most ${MOST_RSA} are accepted`
      return exponent < 3n || exponent > MOST_EXPONENT ? 'has an RSA key with an unusual exponent' : undefined
    default:
      return `has a key of an unsupported type (${facts.keyType})`
  }
}

/** True when `issuer`'s key made the signature of `certificate`. */
export function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  return issuer.publicKey !== undefined && isSignedByKey(certificate, issuer.publicKey)
}

/** True when `key` made the signature of `certificate`. A key that would be costly to use proves nothing. */
export function isSignedByKey(certificate: Certificate, key: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 3n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength > MOST_RSA || publicExponent > MOST_EXPONENT) return false
  try {
    return certificate.x509.verify(key)
  } catch {
    return false
  }
}
