import { Element } from '@xmpp/xml'
import { CLASSES, passSpace, SPACE } from './characters.js'
import { unescapeText, unescapeValue, unifyBreaks } from './unescape.js'

const LESS = 0x3c
const GREATER = 0x3e
const SLASH = 0x2f
const BANG = 0x21
const EQUALS = 0x3d
const SECTION_OPENING = '<![CDATA['.length
const SECTION_CLOSING = ']]>'

/**
 * Appends what `inner` holds to `root`. The bytes must have gone through the tokenizer: nothing is checked again here.
 * Every string is made of its own bytes, so that a short one never keeps a large stanza alive.
 */
export function fill(root: Element, inner: Buffer): void {
  let parent: Element = root
  let text = ''
  let pos = 0
  const flush = (): void => {
    if (text !== '') parent.children.push(text)
    text = ''
  }
  while (pos < inner.length) {
    if (inner[pos] !== LESS) {
      const found = inner.indexOf(LESS, pos)
      const end = found < 0 ? inner.length : found
      text += unescapeText(inner.toString('utf8', pos, end))
      pos = end
      continue
    }
    const byte = inner[pos + 1]
    if (byte === BANG) {
      const end = inner.indexOf(SECTION_CLOSING, pos + SECTION_OPENING)
      text += unifyBreaks(inner.toString('utf8', pos + SECTION_OPENING, end))
      pos = end + SECTION_CLOSING.length
      continue
    }
    flush()
    if (byte === SLASH) {
      pos = inner.indexOf(GREATER, pos) + 1
      parent = parent.parent ?? root
      continue
    }
    const nameEnd = endOfName(inner, pos + 1)
    const element = new Element(inner.toString('utf8', pos + 1, nameEnd))
    element.parent = parent
    parent.children.push(element)
    pos = readAttributes(inner, nameEnd, element)
    if (inner[pos] === SLASH) pos += 2
    else {
      pos++
      parent = element
    }
  }
  flush()
}

/** Sets an attribute whatever its name; a plain assignment would lose `__proto__`. */
export function setAttribute(attrs: Element['attrs'], name: string, value: string): void {
  if (name === '__proto__') {
    Object.defineProperty(attrs, name, { value, enumerable: true, configurable: true, writable: true })
  } else attrs[name] = value
}

/** Reads the attributes of a start tag; returns the place of its `/` or `>`. */
function readAttributes(inner: Buffer, from: number, element: Element): number {
  const end = inner.length
  let pos = from
  for (;;) {
    pos = passSpace(inner, pos, end)
    if (inner[pos] === GREATER || inner[pos] === SLASH) return pos
    const nameEnd = endOfName(inner, pos)
    const name = inner.toString('utf8', pos, nameEnd)
    pos = passSpace(inner, passSpace(inner, nameEnd, end) + 1, end)
    const quote = inner.indexOf(inner[pos]!, pos + 1)
    const value = unescapeValue(inner.toString('utf8', pos + 1, quote))
    setAttribute(element.attrs, name, value)
    pos = quote + 1
  }
}

function endOfName(inner: Uint8Array, from: number): number {
  let pos = from
  for (;;) {
    const byte = inner[pos]
    if (byte === GREATER || byte === SLASH || byte === EQUALS || (CLASSES[byte!]! & SPACE) !== 0) return pos
    pos++
  }
}
