import { createHash } from 'node:crypto'
import { z } from 'zod'

/** Most fingerprints of one document. */
const MOST_FINGERPRINTS = 50

/** The digests of one certificate; at least one of a kind known here, or it matches nothing. */
export interface PoshFingerprint {
  readonly sha256?: Buffer | undefined
  readonly sha512?: Buffer | undefined
}

/** What a POSH document says (RFC 7711 §3): the certificates themselves, or where that is written. */
export type PoshDocument =
  | { readonly fingerprints: readonly PoshFingerprint[]; readonly expiresSeconds: number }
  | { readonly url: string; readonly expiresSeconds: number }

const digest = (bytes: number) =>
  z
    .base64()
    .transform(text => Buffer.from(text, 'base64'))
    .refine(data => data.length === bytes)

// Members that nobody here knows are skipped, for there may be further hash functions.
const fingerprint = z
  .object({ 'sha-256': digest(32).optional(), 'sha-512': digest(64).optional() })
  .transform((found): PoshFingerprint => ({ sha256: found['sha-256'], sha512: found['sha-512'] }))

// What is said to be valid for no time at all has expired when it arrives.
const expires = z.int().positive()

const document = z.union([
  z.object({
    fingerprints: z.array(fingerprint).min(1).max(MOST_FINGERPRINTS),
    expires,
    url: z.undefined().optional(),
  }),
  z.object({ url: z.string().max(2048), expires, fingerprints: z.undefined().optional() }),
])

/** Reads a POSH document; undefined when it is none. */
export function readPoshDocument(body: Buffer): PoshDocument | undefined {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return undefined
  }
  const { data } = document.safeParse(json)
  if (data === undefined) return undefined
  return data.fingerprints === undefined
    ? { url: data.url, expiresSeconds: data.expires }
    : { fingerprints: data.fingerprints, expiresSeconds: data.expires }
}

/** Whether every digest of `fingerprint`, and at least one, is that of the certificate. */
export function isOfCertificate({ sha256, sha512 }: PoshFingerprint, der: Buffer): boolean {
  const agrees = (hash: string, found: Buffer | undefined): boolean =>
    found === undefined || createHash(hash).update(der).digest().equals(found)
  return (sha256 ?? sha512) !== undefined && agrees('sha256', sha256) && agrees('sha512', sha512)
}
