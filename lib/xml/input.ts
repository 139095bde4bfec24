import { isUtf8 } from 'node:buffer'

const NOTHING = Buffer.alloc(0)
/** Smallest store that is made for bytes which wait for more. */
const SMALLEST = 256
/** Chunks up to this length are looked at byte by byte, which is cheaper than asking the native check. */
const SHORT = 32

/**
 * The bytes of a stream that are not done with yet, in one piece, known to be UTF-8 up to `valid`.
 *
 * A chunk is used where it is while nothing waits before it; what waits is kept in a store of its own, so that a few
 * bytes never hold on to a large chunk. Chunks must not be changed after they were written. Memory stays below three
 * times what waits.
 */
export class Input {
  bytes: Buffer = NOTHING
  /** Where the bytes end. */
  end = 0
  /** Up to here the bytes are whole characters of valid UTF-8 (RFC 3629). */
  valid = 0
  /** The bytes at `valid` begin no character, whatever may follow. */
  broken = false
  /** Place of `bytes[0]` in the stream. */
  offset = 0
  #owned = false

  /** Adds a chunk; bytes before `keep` may be forgotten. Returns by how much every position in `bytes` has moved down. */
  write(chunk: Buffer, keep: number): number {
    if (this.broken || chunk.length === 0) return 0
    const shift = this.#makeRoom(chunk, keep)
    this.#validate()
    return shift
  }

  /** Called when everything that could be read was read; returns like `write`. */
  rest(keep: number): number {
    const waiting = this.end - keep
    if (waiting === 0) return this.#replace(NOTHING, false, keep)
    if (this.#owned && this.bytes.length <= SMALLEST + 4 * waiting) return 0
    const store = Buffer.allocUnsafeSlow(Math.max(SMALLEST, waiting + (waiting >> 1)))
    this.bytes.copy(store, 0, keep, this.end)
    return this.#replace(store, true, keep)
  }

  /** A copy of some of the bytes, to be kept. */
  copy(from: number, to: number): Buffer {
    if (to <= from) return NOTHING
    const copy = Buffer.allocUnsafe(to - from)
    this.bytes.copy(copy, 0, from, to)
    return copy
  }

  /** Forgets all bytes. */
  clear(): void {
    this.#replace(NOTHING, false, this.end)
  }

  #makeRoom(chunk: Buffer, keep: number): number {
    const waiting = this.end - keep
    const needed = waiting + chunk.length
    let shift = 0
    if (waiting === 0) {
      shift = this.#replace(chunk, false, keep)
      this.end = chunk.length
      return shift
    }
    if (!this.#owned || this.end + chunk.length > this.bytes.length) {
      if (this.#owned && needed <= this.bytes.length >> 1) {
        this.bytes.copyWithin(0, keep, this.end)
        shift = this.#replace(this.bytes, true, keep)
      } else {
        const store = Buffer.allocUnsafeSlow(Math.max(SMALLEST, needed + (waiting >> 1)))
        this.bytes.copy(store, 0, keep, this.end)
        shift = this.#replace(store, true, keep)
      }
    }
    chunk.copy(this.bytes, this.end)
    this.end += chunk.length
    return shift
  }

  #replace(store: Buffer, owned: boolean, shift: number): number {
    this.bytes = store
    this.#owned = owned
    this.end -= shift
    this.valid -= shift
    this.offset += shift
    return shift
  }

  #validate(): void {
    const { bytes, end } = this
    let from = this.valid
    if (end - from <= SHORT) {
      while (from < end && bytes[from]! < 0x80) from++
      this.valid = from
      if (from === end) return
    }
    const whole = wholeCharacters(bytes, from, end)
    if (isUtf8(bytes.subarray(from, whole))) {
      this.valid = whole
      return
    }
    this.broken = true
    this.valid = firstInvalid(bytes, from, whole)
  }
}

/** Where the last character that is not cut off ends. */
function wholeCharacters(bytes: Uint8Array, from: number, end: number): number {
  for (let back = 1; back <= 3 && end - back >= from; back++) {
    const byte = bytes[end - back]!
    if (byte < 0x80) return end
    if (byte >= 0xc0) {
      const length = byte < 0xc2 || byte > 0xf4 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
      return length > back ? end - back : end
    }
  }
  return end
}

/** Where the first sequence begins that is not UTF-8 (RFC 3629 §4). */
function firstInvalid(bytes: Uint8Array, from: number, end: number): number {
  let pos = from
  while (pos < end) {
    const lead = bytes[pos]!
    const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0
    if (length === 0 || pos + length > end) return pos
    if (length > 1) {
      const second = bytes[pos + 1]!
      const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
      const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
      if (second < lowest || second > highest) return pos
      for (let i = 2; i < length; i++) if ((bytes[pos + i]! & 0xc0) !== 0x80) return pos
    }
    pos += length
  }
  return pos
}
