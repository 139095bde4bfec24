import { createHash, createPublicKey } from 'node:crypto'
import type { RecordOf } from '../../dial/dns-record.js'
import { MalformedDer } from './der.js'
import { type Certificate, parseCertificate } from './parse.js'

/** What the DNS says of the certificate of one server (RFC 6698 §2.1). */
export type TlsaRecord = RecordOf<'TLSA'>

/** Certificate usages by what they constrain (RFC 7218 §2.1). */
export const Usage = { pkixTa: 0, pkixEe: 1, daneTa: 2, daneEe: 3 } as const

const Selector = { certificate: 0, key: 1 } as const
const Matching = { full: 0, sha256: 1, sha512: 2 } as const
const DIGEST_BYTES: Readonly<Record<number, number>> = { [Matching.sha256]: 32, [Matching.sha512]: 64 }

/** For people, as in a zone file, the data cut short. */
export function tlsaText({ usage, selector, matchingType, certificate }: TlsaRecord): string {
  const data = certificate.toString('hex')
  return `${usage} ${selector} ${matchingType} ${data.length > 64 ? `${data.slice(0, 64)}…` : data}`
}

/** Whether the data of a record is, or is the digest of, this certificate or its key. */
export function matchesTlsa({ selector, matchingType, certificate: data }: TlsaRecord, found: Certificate): boolean {
  const selected = selector === Selector.certificate ? found.der : found.keyDer
  if (matchingType === Matching.full) return selected.equals(data)
  const hash = matchingType === Matching.sha256 ? 'sha256' : 'sha512'
  return createHash(hash).update(selected).digest().equals(data)
}

/** Whether the record holds a whole certificate, which can be an anchor although it was not sent. */
export const isWholeCertificate = ({ selector, matchingType }: TlsaRecord): boolean =>
  selector === Selector.certificate && matchingType === Matching.full

/** Whether the record holds a whole key, which can be an anchor although no certificate of it was sent (RFC 7671 §5.2.3). */
export const isWholeKey = ({ selector, matchingType }: TlsaRecord): boolean =>
  selector === Selector.key && matchingType === Matching.full

/**
 * The records that count: those whose parameters are known and whose data can be what they say (RFC 6698 §4.1), of each usage and selector
 * only the strongest digest (RFC 7671 §9), beside data that is not digested.
 */
export function usableRecords(records: readonly TlsaRecord[]): readonly TlsaRecord[] {
  const usable = records.filter(isUsable)
  return usable.filter(
    one =>
      one.matchingType === Matching.full ||
      !usable.some(
        other => other.usage === one.usage && other.selector === one.selector && other.matchingType > one.matchingType,
      ),
  )
}

function isUsable(record: TlsaRecord): boolean {
  const { usage, selector, matchingType, certificate: data } = record
  if (usage > Usage.daneEe || selector > Selector.key) return false
  if (matchingType !== Matching.full) return data.length === DIGEST_BYTES[matchingType]
  try {
    if (selector === Selector.certificate) parseCertificate(data)
    else createPublicKey({ key: data, format: 'der', type: 'spki' })
    return true
  } catch (error) {
    if (selector === Selector.key || error instanceof MalformedDer) return false
    throw error
  }
}
