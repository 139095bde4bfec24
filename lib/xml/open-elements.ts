/** The names of the elements that are open, as bytes, to compare end tags with (XML 1.0 §3: element type match). */
export class OpenElements {
  #names = Buffer.allocUnsafeSlow(64)
  readonly #ends: number[] = []
  #matched = 0

  get depth(): number {
    return this.#ends.length
  }

  /** Opens an element whose name is the bytes between `from` and `to`. */
  open(data: Buffer, from: number, to: number): void {
    let end = this.#ends.length === 0 ? 0 : this.#ends[this.#ends.length - 1]!
    const needed = end + to - from
    if (needed > this.#names.length) {
      const more = Buffer.allocUnsafeSlow(needed * 2)
      this.#names.copy(more, 0, 0, end)
      this.#names = more
    }
    for (let i = from; i < to; i++) this.#names[end++] = data[i]!
    this.#ends.push(end)
  }

  /** Begins the name of an end tag. */
  beginEnd(): void {
    this.#matched = 0
  }

  /** Compares on from `from`; returns where the name or the bytes end, or -1 when they differ. See `ended`. */
  match(data: Buffer, from: number, stop: number): number {
    const first = this.#first()
    const length = this.#ends[this.#ends.length - 1]! - first
    let pos = from
    let matched = this.#matched
    while (matched < length && pos < stop) {
      if (data[pos] !== this.#names[first + matched]) return -1
      pos++
      matched++
    }
    this.#matched = matched
    return pos
  }

  /** Whether the whole name of the innermost element was seen in the end tag. */
  get ended(): boolean {
    return this.#matched === this.#ends[this.#ends.length - 1]! - this.#first()
  }

  /** Closes the innermost element. */
  close(): void {
    this.#ends.pop()
  }

  clear(): void {
    this.#ends.length = 0
  }

  #first(): number {
    return this.#ends.length < 2 ? 0 : this.#ends[this.#ends.length - 2]!
  }
}
