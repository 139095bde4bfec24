/** One attribute of a start tag, namespace resolved; namespace declarations are not attributes. */
export interface Attribute {
  readonly prefix: string
  readonly name: string
  /** '' for an attribute without prefix. */
  readonly namespace: string
  readonly value: string
}

/** A start tag: the stream header, or the opening of a first-level element. */
export interface StartTag {
  readonly prefix: string
  readonly name: string
  readonly namespace: string
  readonly attributes: readonly Attribute[]
  /** Namespace declarations made on this tag, in order; the default namespace has prefix ''. */
  readonly declarations: readonly { readonly prefix: string; readonly namespace: string }[]
  /** The value of an attribute, or undefined. `namespace` '' means unprefixed. */
  attribute(name: string, namespace?: string): string | undefined
}

/** The opening tag of the root (stream mode only). */
export interface HeaderToken {
  readonly kind: 'header'
  readonly tag: StartTag
}

/** A complete element: first-level child of the stream root, or the document itself (document mode). */
export interface ElementToken {
  readonly kind: 'element'
  readonly tag: StartTag
  /** The bytes between the start and the end tag, exactly as they came; a copy that may be kept. */
  readonly inner: Buffer
  /**
   * True when `inner` means the same wherever it is put as the children of an element in the same default namespace:
   * it uses no prefix declared outside itself (other than `xml`), its unprefixed elements without own declaration are in the
   * root's default (content) namespace, and it declares none of the content namespaces handed to the tokenizer.
   */
  readonly portable: boolean
  /** Prefix to namespace as in force outside the element (those of the root); the default namespace has key ''. */
  readonly scope: ReadonlyMap<string, string>
  /** Size of the whole element on the wire. */
  readonly bytes: number
}

/** An element over `elementBytes` but not over `skippedBytes`: read to its end without being kept. */
export interface OversizeToken {
  readonly kind: 'oversize'
  readonly tag: StartTag
  readonly bytes: number
}

/** The root's end tag. Nothing behind it is read. */
export interface FooterToken {
  readonly kind: 'footer'
}

/** The input cannot be accepted; the condition is one of RFC 6120 §4.9.3. Nothing follows. */
export interface ErrorToken {
  readonly kind: 'error'
  readonly condition: 'not-well-formed' | 'restricted-xml' | 'unsupported-encoding' | 'invalid-xml' | 'policy-violation'
  /** What is wrong, for people; never quotes the input at length. */
  readonly text: string
}

export type Token = HeaderToken | ElementToken | OversizeToken | FooterToken | ErrorToken

/** Bounds on what a tokenizer accepts; going over any of them is `policy-violation`. */
export interface TokenizerLimits {
  /** All bytes since the (re)start of the stream, white space and header included; Infinity: no bound. */
  readonly streamBytes: number
  /** Bytes of one first-level element that is kept. */
  readonly elementBytes: number
  /** Bytes of one first-level element that is read to its end without being kept (an oversize token); at least `elementBytes`. */
  readonly skippedBytes: number
  readonly startTagBytes: number
  /** Attributes of one start tag, declarations not counted. */
  readonly attributes: number
  /** Namespace declarations of one start tag. */
  readonly declarations: number
  /** Nesting below the root; a first-level element has depth 1. */
  readonly depth: number
  /** Elements in one first-level element, itself included. */
  readonly elements: number
  /** Elements since the (re)start of the stream, the root not counted; Infinity: no bound. */
  readonly streamElements: number
}

/** Broken XML (RFC 6120 §4.9.3.13). */
export function malformed(text: string): ErrorToken {
  return { kind: 'error', condition: 'not-well-formed', text }
}

/** XML that is not allowed on a stream (RFC 6120 §4.9.3.18, §11.1). */
export function restricted(text: string): ErrorToken {
  return { kind: 'error', condition: 'restricted-xml', text }
}

/** A bound was gone over (RFC 6120 §4.9.3.14). */
export function tooMuch(text: string): ErrorToken {
  return { kind: 'error', condition: 'policy-violation', text }
}

/** Well-formed XML that has no place on a stream (RFC 6120 §4.9.3.9). */
export function misplaced(text: string): ErrorToken {
  return { kind: 'error', condition: 'invalid-xml', text }
}
