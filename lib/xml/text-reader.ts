import {
  AMPERSAND,
  BRACKET,
  GREATER,
  ILLEGAL,
  isNoncharacter,
  LAST_PLANE,
  LESS,
  PLAIN,
  TEXT_CLASSES,
} from './characters.js'
import { COMPLETE, ENTITY, MALFORMED, ReferenceReader } from './reference.js'
import { type ErrorToken, malformed, restricted } from './token.js'

const TEXT = 0
const REFERENCE = 1
const SECTION = 2

const CLOSING_BRACKET = 0x5d

/** Reads the character data of elements, with any number of stops between its bytes: text, references, CDATA sections (XML 1.0 §2.4, §2.7). */
export class TextReader {
  error: ErrorToken | undefined
  #state = TEXT
  /** How many `]` stand directly before the next byte. */
  #brackets = 0
  readonly #reference = new ReferenceReader()

  /** Stands in text, with nothing half read before it. */
  get idle(): boolean {
    return this.#state === TEXT && this.#brackets === 0
  }

  /** Begins a CDATA section whose opening was read. */
  beginSection(): void {
    this.#state = SECTION
    this.#brackets = 0
  }

  /** Reads on from `pos` to the next `<` that begins markup, an error or `stop`, whichever comes first; returns where it stands. */
  read(data: Buffer, from: number, stop: number): number {
    // An imported table is looked up at each use; a local one is not.
    const classes = TEXT_CLASSES
    let pos = from
    while (pos < stop) {
      if (this.#brackets === 0 && this.#state !== REFERENCE) {
        while (pos < stop && classes[data[pos]!] === 0) pos++
        if (pos >= stop) return pos
      }
      const byte = data[pos]!
      if (this.#state === REFERENCE) {
        pos++
        const outcome = this.#reference.feed(byte)
        if (outcome === MALFORMED) return this.#fail(pos, malformed('malformed reference'))
        if (outcome === ENTITY) return this.#fail(pos, restricted('entity reference'))
        if (outcome === COMPLETE) this.#state = TEXT
        continue
      }
      if (this.#brackets > 0) {
        if (byte === CLOSING_BRACKET) {
          this.#brackets++
          pos++
          continue
        }
        const closing = byte === 0x3e && this.#brackets > 1
        this.#brackets = 0
        if (closing) {
          if (this.#state === TEXT) return this.#fail(pos, malformed(']]> in text'))
          this.#state = TEXT
          pos++
          continue
        }
      }
      switch (classes[byte]) {
        case PLAIN:
          pos++
          break
        case LESS:
          if (this.#state === TEXT) return pos
          pos++
          break
        case AMPERSAND:
          if (this.#state === TEXT) {
            this.#reference.begin()
            this.#state = REFERENCE
          }
          pos++
          break
        case BRACKET:
          this.#brackets = 1
          pos++
          break
        case LAST_PLANE:
          if (isNoncharacter(data, pos)) return this.#fail(pos, malformed('illegal character'))
          pos += 3
          break
        case GREATER:
          pos++
          break
        case ILLEGAL:
          return this.#fail(pos, malformed('illegal character'))
      }
    }
    return pos
  }

  #fail(pos: number, error: ErrorToken): number {
    this.error = error
    return pos
  }
}
