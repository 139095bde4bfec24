import { CLASSES, isCharacter, NAME, NAME_START } from './characters.js'

/** What a byte did to the reference it was fed to. */
export const UNFINISHED = 0
/** The reference is complete: `value` is its character. */
export const COMPLETE = 1
/** Not a reference, or one to something that is no character: `not-well-formed`. */
export const MALFORMED = 2
/** A reference to an entity other than the five of XML: `restricted-xml` (RFC 6120 §11.1). */
export const ENTITY = 3

const FIRST = 0
const HASH = 1
const DECIMAL = 2
const HEX_FIRST = 3
const HEX = 4
const NAMED = 5

/** The five entities every processor knows (XML 1.0 §4.6), the bytes of their names as one number, and their characters. */
const PREDEFINED: ReadonlyMap<number, number> = new Map(
  Object.entries({ lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }).map(([name, character]) => [
    Buffer.from(name).reduce((sum, byte) => sum * 256 + byte, 0),
    character.charCodeAt(0),
  ]),
)
const LONGEST_PREDEFINED = 4
const BEYOND = 0x110000

/** Reads one reference a byte at a time, from behind its ampersand to its semicolon (XML 1.0 §4.1). */
export class ReferenceReader {
  /** The character, once complete. */
  value = 0
  #state = FIRST
  #length = 0

  begin(): void {
    this.#state = FIRST
    this.#length = 0
    this.value = 0
  }

  /** Takes the next byte and tells what became of the reference: one of `UNFINISHED`, `COMPLETE`, `MALFORMED`, `ENTITY`. */
  feed(byte: number): number {
    switch (this.#state) {
      case FIRST:
        if (byte === 0x23) this.#state = HASH
        else if (byte >= 0x80 || (CLASSES[byte]! & NAME_START) !== 0 || byte === 0x3a) {
          this.#state = NAMED
          this.#name(byte)
        } else return MALFORMED
        return UNFINISHED
      case HASH:
        if (byte === 0x78) {
          this.#state = HEX_FIRST
          return UNFINISHED
        }
        this.#state = DECIMAL
        return this.#digit(byte, 10)
      case HEX_FIRST:
        this.#state = HEX
        return this.#digit(byte, 16)
      case DECIMAL:
        return byte === 0x3b ? this.#character() : this.#digit(byte, 10)
      case HEX:
        return byte === 0x3b ? this.#character() : this.#digit(byte, 16)
      default:
        if (byte === 0x3b) {
          const character = this.#length <= LONGEST_PREDEFINED ? PREDEFINED.get(this.value) : undefined
          if (character === undefined) return ENTITY
          this.value = character
          return COMPLETE
        }
        if (byte < 0x80 && (CLASSES[byte]! & NAME) === 0 && byte !== 0x3a) return MALFORMED
        this.#name(byte)
        return UNFINISHED
    }
  }

  #name(byte: number): void {
    if (++this.#length <= LONGEST_PREDEFINED) this.value = this.value * 256 + byte
  }

  #digit(byte: number, base: number): number {
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : base === 16 ? hexLetter(byte) : -1
    if (digit < 0) return MALFORMED
    if (this.value < BEYOND) this.value = this.value * base + digit
    return UNFINISHED
  }

  #character(): number {
    return isCharacter(this.value) ? COMPLETE : MALFORMED
  }
}

function hexLetter(byte: number): number {
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1
}
