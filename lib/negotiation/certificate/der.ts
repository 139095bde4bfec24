import forge from 'node-forge'

/** One value of a DER structure: its tag, and either its children or its bytes (one character per byte). */
export type DerNode = forge.asn1.Asn1

/** What a peer sent is not the DER structure it should be. The message is for the admin of that peer. */
export class MalformedDer extends Error {
  override name = 'MalformedDer'
}

/** Universal tags, and `context` for the tags a structure defines itself. */
export const Tag = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  oid: 6,
  utf8: 12,
  sequence: 16,
  set: 17,
  printable: 19,
  teletex: 20,
  ia5: 22,
  utcTime: 23,
  generalizedTime: 24,
  bmp: 30,
} as const

const UNIVERSAL = 0x00
const CONTEXT = 0x80

/** Nothing in a certificate nests deeper; it bounds the recursion. */
const DEEPEST = 32

type FromDer = (
  bytes: string,
  options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean; maxDepth: number },
) => DerNode

// The published types know an older signature; without `decodeBitStrings: false` a key that happens to look like DER becomes a tree.
const fromDer = forge.asn1.fromDer as unknown as FromDer

/**
 * Reads exactly one DER value that fills `bytes`.
 * @throws MalformedDer for anything else, BER's other encodings of the same value included
 */
export function readDer(bytes: Uint8Array): DerNode {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  let node: DerNode
  try {
    node = fromDer(text, { strict: true, parseAllBytes: true, decodeBitStrings: false, maxDepth: DEEPEST })
  } catch {
    throw new MalformedDer('not DER')
  }
  // Written again it must be the same: this refuses indefinite and over-long lengths, which the reader lets pass.
  if (forge.asn1.toDer(node).getBytes() !== text) throw new MalformedDer('BER, not DER')
  return node
}

/** The DER of a value that was read or built. */
export function writeDer(node: DerNode): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), 'latin1')
}

/** True for a value with this universal tag. */
export function isTag(node: DerNode | undefined, tag: number): node is DerNode {
  return node !== undefined && node.tagClass === UNIVERSAL && Number(node.type) === tag
}

/** The number of a context tag (`[n]`), undefined for a universal one. */
export function contextTag(node: DerNode | undefined): number | undefined {
  return node !== undefined && Number(node.tagClass) === CONTEXT ? Number(node.type) : undefined
}

/** The children of a constructed value; with `tag`, it must also have that universal tag. */
export function childrenOf(node: DerNode | undefined, tag?: number): DerNode[] {
  if (node === undefined || !node.constructed || typeof node.value === 'string')
    throw new MalformedDer('a structure is missing')
  if (tag !== undefined && !isTag(node, tag)) throw new MalformedDer('a structure has the wrong type')
  return node.value
}

/** The content of a primitive value; with `tag`, it must also have that universal tag. */
export function contentOf(node: DerNode | undefined, tag?: number): Buffer {
  if (node === undefined || node.constructed || typeof node.value !== 'string')
    throw new MalformedDer('a value is missing')
  if (tag !== undefined && !isTag(node, tag)) throw new MalformedDer('a value has the wrong type')
  return Buffer.from(node.value, isTag(node, Tag.bmp) ? 'utf16le' : 'latin1')
}

export function readOid(node: DerNode | undefined): string {
  const bytes = contentOf(node, Tag.oid)
  if (bytes.length === 0 || bytes.length > 64 || bytes[bytes.length - 1]! >= 0x80)
    throw new MalformedDer('bad object identifier')
  return forge.asn1.derToOid(bytes.toString('latin1'))
}

export function readBoolean(node: DerNode | undefined): boolean {
  const bytes = contentOf(node, Tag.boolean)
  if (bytes.length !== 1 || (bytes[0] !== 0 && bytes[0] !== 0xff)) throw new MalformedDer('bad boolean')
  return bytes[0] === 0xff
}

/** A small non-negative integer, such as a version or a path length. */
export function readCount(node: DerNode | undefined): number {
  const bytes = contentOf(node, Tag.integer)
  if (bytes.length === 0 || bytes.length > 4 || bytes[0]! >= 0x80) throw new MalformedDer('bad integer')
  return bytes.readUIntBE(0, bytes.length)
}

/** UTCTime or GeneralizedTime in the one form certificates may use (RFC 5280 §4.1.2.5): whole seconds, `Z`. */
export function readTime(node: DerNode | undefined): Date {
  const long = isTag(node, Tag.generalizedTime)
  const text = contentOf(node, long ? Tag.generalizedTime : Tag.utcTime).toString('latin1')
  const match = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text)
  if (!match || match[1]!.length !== (long ? 4 : 2)) throw new MalformedDer('bad time')
  const year = long ? match[1]! : `${Number(match[1]) < 50 ? '20' : '19'}${match[1]}`
  const iso = `${year}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}`
  const date = new Date(`${iso}Z`)
  if (Number.isNaN(date.getTime()) || !date.toISOString().startsWith(iso)) throw new MalformedDer('bad time')
  return date
}

const create = (tagClass: number, tag: number, value: string | DerNode[]): DerNode =>
  forge.asn1.create(tagClass, tag, typeof value !== 'string', value)

/** Builders, one per DER type in use. Bytes are given as buffers. */
export const der = {
  sequence: (...children: DerNode[]): DerNode => create(UNIVERSAL, Tag.sequence, children),
  set: (...children: DerNode[]): DerNode => create(UNIVERSAL, Tag.set, children),
  oid: (oid: string): DerNode => create(UNIVERSAL, Tag.oid, forge.asn1.oidToDer(oid).getBytes()),
  boolean: (value: boolean): DerNode => create(UNIVERSAL, Tag.boolean, value ? '\xff' : '\0'),
  integer: (bytes: Buffer): DerNode => create(UNIVERSAL, Tag.integer, bytes.toString('latin1')),
  count: (value: number): DerNode => create(UNIVERSAL, Tag.integer, forge.asn1.integerToDer(value).getBytes()),
  null: (): DerNode => create(UNIVERSAL, Tag.null, ''),
  octets: (bytes: Buffer): DerNode => create(UNIVERSAL, Tag.octetString, bytes.toString('latin1')),
  bits: (bytes: Buffer, unused = 0): DerNode =>
    create(UNIVERSAL, Tag.bitString, String.fromCharCode(unused) + bytes.toString('latin1')),
  text: (tag: number, text: string): DerNode => create(UNIVERSAL, tag, Buffer.from(text, 'utf8').toString('latin1')),
  /** UTCTime until 2049, GeneralizedTime after. */
  time: (date: Date): DerNode => {
    const digits = date.toISOString().replace(/\.\d+Z$|[-:T]/g, '')
    return date.getUTCFullYear() < 2050
      ? create(UNIVERSAL, Tag.utcTime, `${digits.slice(2)}Z`)
      : create(UNIVERSAL, Tag.generalizedTime, `${digits}Z`)
  },
  /** `[n] EXPLICIT` or a constructed `[n] IMPLICIT`. */
  context: (tag: number, ...children: DerNode[]): DerNode => create(CONTEXT, tag, children),
  /** A primitive `[n] IMPLICIT`. */
  contextBytes: (tag: number, bytes: Buffer): DerNode => create(CONTEXT, tag, bytes.toString('latin1')),
}
