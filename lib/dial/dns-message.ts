import { isIPv4, isIPv6 } from 'node:net'
import { type Answer, AUTHENTIC_DATA, decode, encode, RECURSION_DESIRED } from 'dns-packet'
import { type DnsRecord, type DnsType, foldName } from './dns-record.js'

/** A question as it goes over the wire, kept to compare with what comes back. */
export interface DnsQuestion {
  readonly id: number
  readonly name: string
  readonly type: DnsType
  readonly bytes: Buffer
}

/** One record of an answer section, with its owner. */
export interface OwnedRecord {
  readonly owner: string
  readonly ttlSeconds: number
  readonly data: DnsRecord | { readonly type: 'CNAME'; readonly target: string }
}

/** A reply that belongs to the question asked. */
export interface DnsReply {
  readonly responseCode: number
  /** The AD bit; worth as much as the way to the server. */
  readonly authentic: boolean
  readonly records: readonly OwnedRecord[]
  /** How long a negative answer may be believed (RFC 2308 §5); undefined without an SOA record. */
  readonly negativeSeconds: number | undefined
  /** RFC 8914: the server says that DNSSEC validation failed. */
  readonly bogus: boolean
}

/**
 * A reply, or why there is none: *foreign* does not belong to the question; *malformed* does and cannot be read;
 * *truncated* asks for TCP.
 */
export type Decoded = DnsReply | 'foreign' | 'malformed' | 'truncated' | 'too-many-records'

export const NO_ERROR = 0
export const FORMAT_ERROR = 1
export const NAME_ERROR = 3
export const NOT_IMPLEMENTED = 4
export const REFUSED = 5

/** Largest UDP reply asked for: fits every usual path unfragmented. */
const UDP_PAYLOAD = 1232
const HEADER = 12
/** QR and TC in the third octet of a message (RFC 1035 §4.1.1). */
const REPLY = 0x80
const TRUNCATED = 0x02
/** Most records a section may claim; nobody federates with more, and a reply is not parsed for ever. */
const MOST_CLAIMED = 1000
const EXTENDED_ERROR_OPTION = 15
/** DNSSEC Bogus, signature expired or not yet valid, and the kinds of missing keys (RFC 8914 §4.7–4.13). */
const BOGUS_FIRST = 6
const BOGUS_LAST = 12

/** A recursive question with the AD bit, which asks for the state of validation (RFC 6840 §5.7), and EDNS (RFC 6891). */
export function encodeQuestion(id: number, name: string, type: DnsType, edns: boolean): DnsQuestion {
  const bytes = encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ name, type, class: 'IN' }],
    additionals: edns
      ? [
          {
            name: '.',
            type: 'OPT',
            udpPayloadSize: UDP_PAYLOAD,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  })
  return { id, name, type, bytes }
}

/** Reads a message as the reply to `question`: id, one question, and its name and type have to be echoed (RFC 5452 §9.1). */
export function decodeReply(message: Buffer, question: DnsQuestion): Decoded {
  if (!isEcho(message, question)) return 'foreign'
  if ((message.readUInt8(2) & TRUNCATED) !== 0) return 'truncated'
  for (let count = 6; count < HEADER; count += 2) {
    if (message.readUInt16BE(count) > MOST_CLAIMED) return 'too-many-records'
  }
  try {
    const packet = decode(message)
    const soa = packet.authorities?.find(record => record.type === 'SOA')
    return {
      responseCode: message.readUInt8(3) & 0xf,
      authentic: packet.flag_ad,
      records: (packet.answers ?? []).flatMap(owned),
      negativeSeconds: soa === undefined ? undefined : Math.min(seconds(soa.ttl), soa.data.minimum ?? 0),
      bogus: (packet.additionals ?? []).some(saysBogus),
    }
  } catch {
    return 'malformed'
  }
}

/** Compares bytes rather than decoded names: a label that contains a dot decodes like two labels. */
function isEcho(message: Buffer, question: DnsQuestion): boolean {
  const end = HEADER + question.name.length + 2 + 4
  if (message.length < end || message.readUInt16BE(0) !== question.id) return false
  const isReply = (message.readUInt8(2) & REPLY) !== 0
  if (!isReply || message.readUInt16BE(4) !== 1) return false
  for (let at = HEADER; at < end; at++) {
    if (foldByte(message[at]!) !== foldByte(question.bytes[at]!)) return false
  }
  return true
}

function foldByte(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
}

function owned(answer: Answer): OwnedRecord[] {
  const data = dataOf(answer)
  if (data === undefined || !('ttl' in answer)) return []
  return [{ owner: foldName(answer.name), ttlSeconds: seconds(answer.ttl), data }]
}

/** RFC 2181 §8: a TTL with the highest bit set means zero. */
function seconds(ttl = 0): number {
  return ttl >= 2 ** 31 ? 0 : ttl
}

function dataOf(answer: Answer): OwnedRecord['data'] | undefined {
  switch (answer.type) {
    case 'A':
      return isIPv4(answer.data) ? { type: 'A', address: answer.data } : undefined
    case 'AAAA':
      return isIPv6(answer.data) ? { type: 'AAAA', address: answer.data } : undefined
    case 'CNAME':
      return { type: 'CNAME', target: foldName(answer.data) }
    case 'SRV': {
      const { priority = 0, weight = 0, port, target } = answer.data
      return { type: 'SRV', priority, weight, port, target: foldName(target) }
    }
    case 'TLSA':
      return { type: 'TLSA', ...answer.data, certificate: Buffer.from(answer.data.certificate) }
    default:
      return undefined
  }
}

function saysBogus(additional: Answer): boolean {
  if (additional.type !== 'OPT') return false
  return additional.options.some(({ code, data }: { code: number; data?: Buffer | undefined }) => {
    if (code !== EXTENDED_ERROR_OPTION || data === undefined || data.length < 2) return false
    const info = data.readUInt16BE(0)
    return info >= BOGUS_FIRST && info <= BOGUS_LAST
  })
}
