const PLACES = 64
const LONGEST = 64

/**
 * Makes strings of bytes, and gives the same string again for a name it has seen lately: most names, prefixes and
 * namespaces of a stream come with every stanza. Bounded, and without a guess a stranger could use against it: a
 * collision only costs the string.
 */
export class Names {
  readonly #places: string[] = []

  /** The string of the bytes from `start` to `end`, which must be valid UTF-8. */
  get(data: Buffer, start: number, end: number): string {
    const length = end - start
    if (length === 0) return ''
    if (length > LONGEST) return data.toString('utf8', start, end)
    let hash = length
    let bits = 0
    for (let i = start; i < end; i++) {
      const byte = data[i]!
      bits |= byte
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    if (bits >= 0x80) return data.toString('utf8', start, end)
    const place = (hash ^ (hash >>> 8)) & (PLACES - 1)
    const known = this.#places[place]
    if (known !== undefined && known.length === length && same(known, data, start)) return known
    const made = data.toString('latin1', start, end)
    if (this.#places.length === 0) for (let i = 0; i < PLACES; i++) this.#places.push('')
    this.#places[place] = made
    return made
  }
}

function same(text: string, data: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== data[start + i]) return false
  return true
}
