import { CLASSES, NAME_START, SPACE } from './characters.js'
import { type ErrorToken, malformed, restricted } from './token.js'

/** Not known yet. */
export const UNKNOWN = 0
/** The opening of a CDATA section was read. */
export const SECTION = 1
/** An XML declaration was begun, and the white space behind its `<?xml` was read. */
export const DECLARATION = 2
/** Nothing that may be accepted: see `error`. */
export const REFUSED = 3

const COMMENT = Buffer.from('--')
const DOCTYPE = Buffer.from('DOCTYPE')
const CDATA = Buffer.from('[CDATA[')
const XML = Buffer.from('xml')

/** Tells what `<!` or `<?` begins, a byte at a time, and refuses what RFC 6120 §11.1 forbids as soon as it is known. */
export class SpecialMarkup {
  error: ErrorToken = malformed('')
  #instruction = false
  #matched = 0
  #literal: Buffer = COMMENT

  /** Begins behind `<!`, or behind `<?` for an `instruction`. */
  begin(instruction: boolean): void {
    this.#instruction = instruction
    this.#matched = 0
    this.#literal = XML
  }

  /** Takes the next byte; one of `UNKNOWN`, `SECTION`, `DECLARATION`, `REFUSED`. */
  feed(byte: number): number {
    if (this.#instruction) return this.#instructionByte(byte)
    if (this.#matched === 0) this.#literal = byte === 0x2d ? COMMENT : byte === 0x5b ? CDATA : DOCTYPE
    if (byte !== this.#literal[this.#matched]) return this.#refuse(malformed('unknown markup'))
    if (++this.#matched < this.#literal.length) return UNKNOWN
    if (this.#literal === CDATA) return SECTION
    return this.#refuse(restricted(this.#literal === COMMENT ? 'comment' : 'document type declaration'))
  }

  #instructionByte(byte: number): number {
    if (this.#matched === XML.length) {
      if ((CLASSES[byte]! & SPACE) !== 0) return DECLARATION
      if (byte === 0x3f) return this.#refuse(malformed('malformed XML declaration'))
    } else if (byte === XML[this.#matched]) {
      this.#matched++
      return UNKNOWN
    } else if (this.#matched === 0 && byte < 0x80 && (CLASSES[byte]! & NAME_START) === 0) {
      return this.#refuse(malformed('processing instruction without target'))
    }
    return this.#refuse(restricted('processing instruction'))
  }

  #refuse(error: ErrorToken): number {
    this.error = error
    return REFUSED
  }
}
