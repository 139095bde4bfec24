import { type Element, toElement } from '../../xml/element.js'
import { CONTENT_NAMESPACES } from '../../xml/namespaces.js'
import type { ElementToken, TokenizerLimits } from '../../xml/token.js'
import { Tokenizer } from '../../xml/tokenizer.js'
import { badParameter } from './ximss-error.js'

/** A message of the client. Unknown attributes and children are nobody's business. */
export class Request {
  readonly name: string
  /** Chosen by the client and only ever echoed; it need not be unique. */
  readonly id: string | undefined
  readonly #token: ElementToken
  #element: Element | undefined

  constructor(token: ElementToken) {
    this.#token = token
    this.name = token.tag.prefix === '' ? token.tag.name : `${token.tag.prefix}:${token.tag.name}`
    this.id = token.tag.attribute('id')
  }

  /** Whether the response is to say how long the request took. */
  get wantsTime(): boolean {
    const value = this.attribute('exeTime')
    return value !== undefined && Number(value) !== 0
  }

  /** The message as a tree, built on first use. */
  get element(): Element {
    if (this.#element === undefined) {
      this.#element = toElement(this.#token)
      // Said aloud, because what has no namespace here must not slip into that of a stanza.
      this.#element.attrs.xmlns ??= ''
    }
    return this.#element
  }

  attribute(name: string): string | undefined {
    return this.#token.tag.attribute(name)
  }

  /** An attribute that must be there and not empty. @throws XimssError 501 */
  required(name: string): string {
    const value = this.attribute(name)
    if (value === undefined || value === '') throw badParameter(name)
    return value
  }

  /** `yes`, `true` and `1` in any case are true. */
  flag(name: string): boolean {
    return /^(yes|true|1)$/i.test(this.attribute(name) ?? '')
  }
}

const limits: TokenizerLimits = {
  streamBytes: Number.POSITIVE_INFINITY,
  elementBytes: 1024 * 1024,
  skippedBytes: 1024 * 1024,
  startTagBytes: 1024 * 1024,
  attributes: 100,
  declarations: 20,
  depth: 50,
  elements: 10_000,
  streamElements: Number.POSITIVE_INFINITY,
}

/** Reads one message: a request, or why it is none. Refuses what a RFC 6120 §11 parser refuses: DTDs, own entities, comments, instructions. */
export function readRequest(bytes: Buffer): Request | { readonly problem: string } {
  const tokenizer = new Tokenizer({ mode: 'document', limits, contentNamespaces: CONTENT_NAMESPACES })
  tokenizer.write(bytes)
  const token = tokenizer.next()
  if (token?.kind === 'element') {
    const rest = tokenizer.next()
    return rest === undefined && tokenizer.buffered === 0
      ? new Request(token)
      : { problem: 'more than one document in a message' }
  }
  return { problem: token?.kind === 'error' ? token.text : 'incomplete document' }
}
