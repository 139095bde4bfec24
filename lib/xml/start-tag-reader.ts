import {
  AMPERSAND,
  BREAK,
  CLASSES,
  characterAt,
  ILLEGAL,
  isNameCharacter,
  isNameStart,
  isNoncharacter,
  LAST_PLANE,
  LESS,
  lengthOf,
  NAME,
  NAME_START,
  QUOTE,
  SPACE,
  VALUE_CLASSES,
} from './characters.js'
import { COMPLETE, ENTITY, MALFORMED, ReferenceReader } from './reference.js'
import { type ErrorToken, malformed, restricted, type TokenizerLimits, tooMuch } from './token.js'

const TAG_NAME = 0
const BETWEEN = 1
const ATTRIBUTE_NAME = 2
const BEFORE_EQUALS = 3
const BEFORE_VALUE = 4
const VALUE = 5
const REFERENCE = 6
const BEHIND_VALUE = 7
const SLASH = 8

/** Slots of one attribute in `slots`; all places count from the tag's `<`. */
export const NAME_FROM = 0
/** Place of the colon of a name, 0 when it has none. */
export const COLON = 1
export const NAME_TO = 2
export const VALUE_FROM = 3
export const VALUE_TO = 4
/** 1 when the value has a reference or a line break, so that it is not its bytes. */
export const ESCAPED = 5
export const SLOTS = 6

const EQUALS = 0x3d
const COLON_BYTE = 0x3a

/**
 * Reads one start tag, with any number of stops between its bytes, and remembers where its parts are. It checks all that
 * can be seen without knowing namespaces (XML 1.0 §3.1, Namespaces in XML 1.0 §4).
 */
export class StartTagReader {
  done = false
  error: ErrorToken | undefined
  /** Ended by `/>`. */
  empty = false
  /** Where the element's name ends, from the tag's `<`. */
  nameTo = 0
  /** Place of the colon of the element's name, 0 when it has none. */
  colon = 0
  /** Attributes and declarations read. */
  count = 0
  declarations = 0
  slots = new Int32Array(8 * SLOTS)
  #state = TAG_NAME
  /** Where the part of the name being read begins: behind the colon when there was one. */
  #part = 0
  #quote = 0
  readonly #reference = new ReferenceReader()

  /** Begins a tag whose `<` was read. */
  begin(): void {
    this.done = false
    this.error = undefined
    this.empty = false
    this.colon = 0
    this.count = 0
    this.declarations = 0
    this.#state = TAG_NAME
    this.#part = 1
  }

  /** Reads on from `pos` to the tag's end, an error or `stop`, whichever comes first; returns where it stands. */
  read(data: Buffer, tagStart: number, from: number, stop: number, limits: TokenizerLimits): number {
    const classes = CLASSES
    let pos = from
    while (pos < stop) {
      switch (this.#state) {
        case TAG_NAME:
          pos = this.#name(data, tagStart, pos, stop)
          if (this.error !== undefined || pos >= stop) return pos
          if (data[pos] === COLON_BYTE) {
            if (this.colon !== 0) return this.#fail(pos, 'two colons in a name')
            this.colon = pos - tagStart
            this.#part = ++pos - tagStart
            break
          }
          this.nameTo = pos - tagStart
          this.#state = BEHIND_VALUE
          break
        case BEHIND_VALUE: {
          const byte = data[pos]!
          if ((classes[byte]! & SPACE) !== 0) {
            pos++
            this.#state = BETWEEN
          } else if (byte === 0x3e) {
            this.done = true
            return pos + 1
          } else if (byte === 0x2f) {
            pos++
            this.#state = SLASH
          } else return this.#fail(pos, 'unexpected character in a start tag')
          break
        }
        case BETWEEN: {
          while (pos < stop && (classes[data[pos]!]! & SPACE) !== 0) pos++
          if (pos >= stop) return pos
          const byte = data[pos]!
          if (byte === 0x3e || byte === 0x2f) {
            this.#state = BEHIND_VALUE
            break
          }
          this.#attribute(pos - tagStart)
          pos = this.#plainAttribute(data, tagStart, pos, stop, limits)
          if (this.error !== undefined) return pos
          break
        }
        case ATTRIBUTE_NAME: {
          pos = this.#name(data, tagStart, pos, stop)
          if (this.error !== undefined || pos >= stop) return pos
          const at = this.count * SLOTS
          if (data[pos] === COLON_BYTE) {
            if (this.slots[at + COLON] !== 0) return this.#fail(pos, 'two colons in a name')
            this.slots[at + COLON] = pos - tagStart
            this.#part = ++pos - tagStart
            break
          }
          this.slots[at + NAME_TO] = pos - tagStart
          if (!this.#counted(data, tagStart, limits)) return pos
          this.#state = BEFORE_EQUALS
          break
        }
        case BEFORE_EQUALS:
          while (pos < stop && (classes[data[pos]!]! & SPACE) !== 0) pos++
          if (pos >= stop) return pos
          if (data[pos++] !== EQUALS) return this.#fail(pos, 'attribute without value')
          this.#state = BEFORE_VALUE
          break
        case BEFORE_VALUE: {
          while (pos < stop && (classes[data[pos]!]! & SPACE) !== 0) pos++
          if (pos >= stop) return pos
          const byte = data[pos++]!
          if (byte !== 0x22 && byte !== 0x27) return this.#fail(pos, 'attribute value without quotes')
          this.#quote = byte
          this.slots[this.count * SLOTS + VALUE_FROM] = pos - tagStart
          this.#state = VALUE
          break
        }
        case VALUE:
          pos = this.#value(data, tagStart, pos, stop)
          if (this.error !== undefined) return pos
          break
        case REFERENCE: {
          const outcome = this.#reference.feed(data[pos++]!)
          if (outcome === MALFORMED) return this.#fail(pos, 'malformed reference in an attribute value')
          if (outcome === ENTITY) {
            this.error = restricted('entity reference in an attribute value')
            return pos
          }
          if (outcome === COMPLETE) this.#state = VALUE
          break
        }
        case SLASH:
          if (data[pos++] !== 0x3e) return this.#fail(pos, '/ within a start tag')
          this.empty = true
          this.done = true
          return pos
      }
    }
    return pos
  }

  /** Whether an attribute is a namespace declaration: `xmlns` or `xmlns:…`. */
  isDeclaration(data: Uint8Array, tagStart: number, index: number): boolean {
    const at = index * SLOTS
    const from = this.slots[at + NAME_FROM]!
    const colon = this.slots[at + COLON]!
    const to = colon === 0 ? this.slots[at + NAME_TO]! : colon
    if (to - from !== 5) return false
    const name = tagStart + from
    return (
      data[name] === 0x78 &&
      data[name + 1] === 0x6d &&
      data[name + 2] === 0x6c &&
      data[name + 3] === 0x6e &&
      data[name + 4] === 0x73
    )
  }

  #attribute(from: number): void {
    const at = this.count * SLOTS
    if (at + SLOTS > this.slots.length) {
      const more = new Int32Array(this.slots.length * 2)
      more.set(this.slots)
      this.slots = more
    }
    this.slots[at + NAME_FROM] = from
    this.slots[at + COLON] = 0
    this.slots[at + ESCAPED] = 0
    this.#part = from
    this.#state = ATTRIBUTE_NAME
  }

  /**
   * Reads an attribute as nearly all are, in one go: ASCII names, `=` without space, a value without references and line
   * breaks. Any other is left where it begins, to be read step by step.
   */
  #plainAttribute(data: Buffer, tagStart: number, from: number, stop: number, limits: TokenizerLimits): number {
    const classes = CLASSES
    const values = VALUE_CLASSES
    let pos = from
    let colon = 0
    if ((classes[data[pos]!]! & NAME_START) === 0) return from
    while (pos < stop && (classes[data[pos]!]! & NAME) !== 0) pos++
    if (data[pos] === COLON_BYTE && pos + 1 < stop && (classes[data[pos + 1]!]! & NAME_START) !== 0) {
      colon = pos++ - tagStart
      while (pos < stop && (classes[data[pos]!]! & NAME) !== 0) pos++
    }
    const nameTo = pos
    if (pos + 2 >= stop || data[pos] !== EQUALS) return from
    const quote = data[pos + 1]!
    if (quote !== 0x22 && quote !== 0x27) return from
    const valueFrom = (pos += 2)
    while (pos < stop && values[data[pos]!] === 0) pos++
    if (pos >= stop || data[pos] !== quote) return from
    const at = this.count * SLOTS
    const { slots } = this
    slots[at + COLON] = colon
    slots[at + NAME_TO] = nameTo - tagStart
    slots[at + VALUE_FROM] = valueFrom - tagStart
    slots[at + VALUE_TO] = pos - tagStart
    if (!this.#counted(data, tagStart, limits)) return pos
    this.count++
    this.#state = BEHIND_VALUE
    return pos + 1
  }

  /** Counts the attribute whose name was read. */
  #counted(data: Buffer, tagStart: number, limits: TokenizerLimits): boolean {
    if (this.isDeclaration(data, tagStart, this.count)) {
      if (++this.declarations > limits.declarations) this.error = tooMuch('too many namespace declarations')
    } else if (this.count + 1 - this.declarations > limits.attributes) this.error = tooMuch('too many attributes')
    return this.error === undefined
  }

  /** Passes over the characters of one part of a name. */
  #name(data: Buffer, tagStart: number, from: number, stop: number): number {
    const classes = CLASSES
    let pos = from
    if (pos - tagStart === this.#part) {
      const byte = data[pos]!
      if (byte < 0x80) {
        if ((classes[byte]! & NAME_START) === 0) return this.#fail(pos, 'a name may not begin so')
        pos++
      } else {
        if (!isNameStart(characterAt(data, pos))) return this.#fail(pos, 'a name may not begin so')
        pos += lengthOf(byte)
      }
    }
    while (pos < stop) {
      const byte = data[pos]!
      if ((classes[byte]! & NAME) !== 0) pos++
      else if (byte < 0x80) return pos
      else if (isNameCharacter(characterAt(data, pos))) pos += lengthOf(byte)
      else return this.#fail(pos, 'illegal character in a name')
    }
    return pos
  }

  /** Passes over the characters of a value, up to its closing quote or a reference. */
  #value(data: Buffer, tagStart: number, from: number, stop: number): number {
    const classes = VALUE_CLASSES
    const quote = this.#quote
    const at = this.count * SLOTS
    let pos = from
    for (;;) {
      while (pos < stop && classes[data[pos]!] === 0) pos++
      if (pos >= stop) return pos
      const byte = data[pos]!
      switch (classes[byte]) {
        case ILLEGAL:
          return this.#fail(pos, 'illegal character in an attribute value')
        case LESS:
          return this.#fail(pos, '< in an attribute value')
        case AMPERSAND:
          this.slots[at + ESCAPED] = 1
          this.#reference.begin()
          this.#state = REFERENCE
          return pos + 1
        case LAST_PLANE:
          if (isNoncharacter(data, pos)) return this.#fail(pos, 'illegal character in an attribute value')
          break
        case QUOTE:
          if (byte === quote) {
            this.slots[at + VALUE_TO] = pos - tagStart
            this.count++
            this.#state = BEHIND_VALUE
            return pos + 1
          }
          break
        case BREAK:
          this.slots[at + ESCAPED] = 1
          break
      }
      pos++
    }
  }

  #fail(pos: number, text: string): number {
    this.error = malformed(text)
    return pos
  }
}
