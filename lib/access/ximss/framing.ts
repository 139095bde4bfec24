/** What a message made of: its bytes, or the report that it went over the limit. */
export type Frame = { readonly kind: 'message'; readonly bytes: Buffer } | { readonly kind: 'overflow' }

const ZERO = 0x00

/**
 * Cuts what a XIMSS client sends into messages: each is a text followed by one zero byte. The cut is made on bytes, before any
 * decoding, because 0x00 is neither part of a UTF-8 multi-byte sequence nor of legal XML. Messages without content are skipped.
 * Bytes behind the last zero byte wait for the next chunk and are never handed out, so a half message at the end is lost on purpose.
 */
export class Framing {
  /** Largest message in bytes, the zero byte not counted; may be changed between messages. */
  limit: number
  #chunk: Buffer = Buffer.alloc(0)
  #offset = 0
  #parts: Buffer[] = []
  #size = 0
  #overflown = false

  constructor(limit: number) {
    this.limit = limit
  }

  /** True while something is held that `next` has not looked at or handed out. */
  get buffered(): boolean {
    return this.#size > 0 || this.#offset < this.#chunk.length
  }

  /** Takes a chunk as it was read. All frames must have been taken with `next` before, or `chunk` is queued behind what is left. */
  push(chunk: Buffer): void {
    this.#chunk = this.#offset < this.#chunk.length ? Buffer.concat([this.#chunk.subarray(this.#offset), chunk]) : chunk
    this.#offset = 0
  }

  /** The next complete message, or undefined until more bytes come. After an overflow nothing follows. */
  next(): Frame | undefined {
    while (!this.#overflown && this.#offset < this.#chunk.length) {
      const end = this.#chunk.indexOf(ZERO, this.#offset)
      const part = this.#chunk.subarray(this.#offset, end === -1 ? undefined : end)
      if (this.#size + part.length > this.limit) return this.#overflow()
      this.#offset = end === -1 ? this.#chunk.length : end + 1
      if (end === -1) this.#keep(part)
      else {
        const bytes = this.#parts.length === 0 ? part : Buffer.concat([...this.#parts, part])
        this.#parts = []
        this.#size = 0
        if (!isBlank(bytes)) return { kind: 'message', bytes }
      }
    }
    return undefined
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return
    this.#size += part.length
    const last = this.#parts.at(-1)
    // A client that sends byte by byte must not cost one object per byte.
    if (last !== undefined && last.length < 1024) this.#parts[this.#parts.length - 1] = Buffer.concat([last, part])
    else this.#parts.push(Buffer.from(part))
  }

  #overflow(): Frame {
    this.#overflown = true
    this.#parts = []
    this.#chunk = Buffer.alloc(0)
    return { kind: 'overflow' }
  }
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) {
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return false
  }
  return true
}
