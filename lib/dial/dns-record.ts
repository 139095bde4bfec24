/** The record types this service asks for. */
export type DnsType = 'SRV' | 'A' | 'AAAA' | 'TLSA'

/** One resource record, names as A-labels in lower case without a final dot; an SRV target `.` stays `.`. */
export type DnsRecord =
  | { readonly type: 'A'; readonly address: string }
  | { readonly type: 'AAAA'; readonly address: string }
  | {
      readonly type: 'SRV'
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }
  | {
      readonly type: 'TLSA'
      readonly usage: number
      readonly selector: number
      readonly matchingType: number
      readonly certificate: Buffer
    }

export type RecordOf<T extends DnsType> = Extract<DnsRecord, { type: T }>

/** *secure*: validated by a resolver on this very machine (RFC 4035 §3.2.3); everything else is *insecure*. */
export type DnssecState = 'secure' | 'insecure'

/** Why a question has no answer. Each of them may be different the next time. */
export type DnsFailureReason =
  | 'servfail'
  | 'bogus'
  | 'refused'
  | 'timeout'
  | 'malformed'
  | 'unreachable'
  | 'cname-loop'
  | 'too-many-records'
  | 'busy'

/** What the DNS says to one question. `ttlSeconds` is how long this may be believed from now on. */
export type DnsAnswer<T extends DnsType = DnsType> =
  | {
      readonly kind: 'records'
      readonly records: readonly RecordOf<T>[]
      /** Records beyond the cap on one answer, which were left out. */
      readonly ignored: number
      readonly ttlSeconds: number
      readonly dnssec: DnssecState
    }
  | {
      readonly kind: 'none'
      readonly reason: 'nxdomain' | 'nodata'
      readonly ttlSeconds: number
      readonly dnssec: DnssecState
    }
  | { readonly kind: 'failure'; readonly reason: DnsFailureReason; readonly ttlSeconds: number }

/** A DNS server; port 53 unless configuration says otherwise. */
export interface ServerAddress {
  readonly address: string
  readonly port: number
}

/** The form in which names are compared: ASCII letters folded (RFC 4343), no final dot. */
export function foldName(name: string): string {
  const folded = name.replace(/[A-Z]/g, letter => letter.toLowerCase())
  return folded.length > 1 && folded.endsWith('.') ? folded.slice(0, -1) : folded
}

const LABEL = /^[a-z0-9_-]{1,63}$/

/** Whether a folded name can be asked for at all: 1 to 63 octets a label, 253 in total (RFC 1035 §2.3.4), host characters only. */
export function isAskable(name: string): boolean {
  return name.length <= 253 && name.split('.').every(label => LABEL.test(label))
}
