import { childNamed, createElement, type Element, textOf, toElement } from '../xml/element.js'
import { CONTENT_NAMESPACES, NS_CLIENT, NS_XML } from '../xml/namespaces.js'
import { escapeAttribute, serializeAll } from '../xml/serializer.js'
import type { Attribute, ElementToken } from '../xml/token.js'
import { fill, setAttribute } from '../xml/tree.js'
import type { Jid, Jids } from './jid.js'

/** RFC 6120 §8.2. */
export type StanzaKind = 'message' | 'presence' | 'iq'

/** Why an element is not taken as a stanza. */
export type StanzaDefect =
  /** Another name, or a namespace that is not the content namespace of its stream (RFC 6120 §4.8.2). */
  | 'not-a-stanza'
  /** `to` or `from` is there but no address (RFC 6120 §4.9.3.7). */
  | 'improper-addressing'
  /** To stand on its own it would have to declare namespaces of its stream so often that it grew beyond measure. */
  | 'excessive-namespaces'

/** The attributes common to all stanzas (RFC 6120 §8.1). */
export interface StanzaAttributes {
  readonly to?: Jid | undefined
  readonly from?: Jid | undefined
  readonly id?: string | undefined
  readonly type?: string | undefined
  /** `xml:lang`. */
  readonly lang?: string | undefined
}

const CONTENT: ReadonlySet<string> = new Set(CONTENT_NAMESPACES)
const NOTHING = Buffer.alloc(0)
const GREATER = 0x3e
const NO_ATTRIBUTES: readonly Attribute[] = []

/**
 * A stanza on its way between streams; nothing in it ever changes. Its children stay the bytes they came as and go out
 * as the same bytes. They belong to no stream: an element without prefix and without a default namespace declared in the
 * children is in the content namespace of whatever stream they are written to, be it `jabber:server` or `jabber:client`,
 * which count as one namespace within a stanza.
 */
export class Stanza {
  readonly kind: StanzaKind
  readonly to: Jid | undefined
  readonly from: Jid | undefined
  readonly id: string | undefined
  readonly type: string | undefined
  readonly lang: string | undefined
  /** Attributes other than the common ones; they are passed on. */
  readonly extra: readonly Attribute[]
  /** The children, on their own: see the class. Must not be changed. */
  readonly inner: Buffer
  #head: string | undefined
  #element: Element | undefined

  private constructor(kind: StanzaKind, attributes: StanzaAttributes, extra: readonly Attribute[], inner: Buffer) {
    this.kind = kind
    this.to = attributes.to
    this.from = attributes.from
    this.id = attributes.id
    this.type = attributes.type
    this.lang = attributes.lang
    this.extra = extra
    this.inner = inner
  }

  /**
   * The stanza an element is. It must be in the default namespace of its stream, and in either content namespace when it
   * comes from no stream. A missing address is no defect here.
   */
  static fromToken(token: ElementToken, jids: Jids): Stanza | { readonly defect: StanzaDefect } {
    const { tag } = token
    const kind = kindOf(tag.name)
    const expected = token.scope.get('')
    if (kind === undefined || !CONTENT.has(tag.namespace)) return { defect: 'not-a-stanza' }
    if (expected !== undefined && tag.namespace !== expected) return { defect: 'not-a-stanza' }
    let to: Jid | undefined
    let from: Jid | undefined
    let id: string | undefined
    let type: string | undefined
    let lang: string | undefined
    let extra: Attribute[] | undefined
    for (const attribute of tag.attributes) {
      const { name, namespace, value } = attribute
      if (namespace === '' && name === 'to') {
        to = jids.parse(value)
        if (to === undefined) return { defect: 'improper-addressing' }
      } else if (namespace === '' && name === 'from') {
        from = jids.parse(value)
        if (from === undefined) return { defect: 'improper-addressing' }
      } else if (namespace === '' && name === 'id') id = value
      else if (namespace === '' && name === 'type') type = value
      else if (namespace === NS_XML && name === 'lang') lang = value
      else {
        extra ??= []
        extra.push(attribute)
      }
    }
    const inner = token.portable ? token.inner : neutralized(token)
    if (inner === undefined) return { defect: 'excessive-namespaces' }
    return new Stanza(kind, { to, from, id, type, lang }, extra ?? NO_ATTRIBUTES, inner)
  }

  /** Makes a stanza. Children without a namespace of their own are in the content namespace; strings are text. */
  static build(kind: StanzaKind, attributes: StanzaAttributes, children: readonly (Element | string)[] = []): Stanza {
    return new Stanza(kind, attributes, NO_ATTRIBUTES, neutral(children))
  }

  /** The same stanza with other addresses; an address left out stays. The children are shared. */
  readdressed(addresses: { readonly from?: Jid | undefined; readonly to?: Jid | undefined }): Stanza {
    const { from = this.from, to = this.to } = addresses
    if (from === this.from && to === this.to) return this
    return new Stanza(this.kind, { to, from, id: this.id, type: this.type, lang: this.lang }, this.extra, this.inner)
  }

  withFrom(from: Jid): Stanza {
    return this.readdressed({ from })
  }

  withTo(to: Jid): Stanza {
    return this.readdressed({ to })
  }

  /** `type='error'`: no error may ever be sent in answer (RFC 6120 §8.3.1). */
  get isError(): boolean {
    return this.type === 'error'
  }

  /** An answer to a request of whoever it is addressed to (RFC 6120 §8.2.3). */
  get isResponse(): boolean {
    return this.kind === 'iq' && (this.type === 'result' || this.type === 'error')
  }

  /** Whether an error may be sent in answer: never to an error, never to the result of an IQ (RFC 6120 §8.2.3, §8.3.1). */
  get answerable(): boolean {
    return !this.isError && !this.isResponse
  }

  /** The stanza as a tree in the namespace `jabber:client`, built on first use. Shared: do not change it. */
  get element(): Element {
    if (this.#element === undefined) {
      const element = createElement(this.kind, { xmlns: NS_CLIENT })
      for (const [name, value] of this.#attributes()) setAttribute(element.attrs, name, value)
      fill(element, this.inner)
      this.#element = element
    }
    return this.#element
  }

  /** The first child of that name; `jabber:client` stands for the content namespace. */
  childNamed(name: string, namespace: string = NS_CLIENT): Element | undefined {
    return this.inner.length === 0 ? undefined : childNamed(this.element, name, namespace)
  }

  /** The text of the first child of that name in the content namespace, undefined without such a child. */
  textOf(name: string): string | undefined {
    const child = this.childNamed(name)
    return child === undefined ? undefined : textOf(child)
  }

  /** Bytes that `serialize` makes. */
  get size(): number {
    const head = this.#startTag()
    if (this.inner.length === 0) return Buffer.byteLength(head) + 2
    return Buffer.byteLength(head) + this.inner.length + this.kind.length + 4
  }

  /** The stanza as the bytes to write to a stream whose default namespace is its content namespace. Made anew each time. */
  serialize(): Buffer {
    const head = this.#startTag()
    const { inner, kind } = this
    if (inner.length === 0) return Buffer.from(`${head}/>`)
    const headLength = Buffer.byteLength(head)
    const bytes = Buffer.allocUnsafe(headLength + inner.length + kind.length + 4)
    bytes.write(head, 0)
    bytes[headLength] = GREATER
    inner.copy(bytes, headLength + 1)
    bytes.write(`</${kind}>`, headLength + 1 + inner.length, 'latin1')
    return bytes
  }

  /** The start tag without its end, which depends on the children. */
  #startTag(): string {
    if (this.#head === undefined) {
      let head = `<${this.kind}`
      for (const [name, value] of this.#attributes()) head += ` ${name}='${escapeAttribute(value)}'`
      this.#head = head
    }
    return this.#head
  }

  #attributes(): [string, string][] {
    const all: [string, string][] = []
    if (this.from !== undefined) all.push(['from', this.from.toString()])
    if (this.to !== undefined) all.push(['to', this.to.toString()])
    if (this.id !== undefined) all.push(['id', this.id])
    if (this.type !== undefined) all.push(['type', this.type])
    if (this.lang !== undefined) all.push(['xml:lang', this.lang])
    if (this.extra.length === 0) return all
    const declared = new Set(['', 'xml'])
    for (const { prefix, name, namespace, value } of this.extra) {
      if (!declared.has(prefix)) all.push([`xmlns:${prefix}`, namespace])
      declared.add(prefix)
      all.push([prefix === '' ? name : `${prefix}:${name}`, value])
    }
    return all
  }
}

function kindOf(name: string): StanzaKind | undefined {
  return name === 'message' || name === 'presence' || name === 'iq' ? name : undefined
}

/** Children as bytes that belong to no stream. */
function neutral(children: readonly (Element | string)[]): Buffer {
  const text = serializeAll(children, NS_CLIENT, CONTENT)
  return text === '' ? NOTHING : Buffer.from(text)
}

/** The children of an element that is not portable; undefined when they would grow beyond measure. */
function neutralized(token: ElementToken): Buffer | undefined {
  try {
    return neutral(toElement(token).children)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
