/** What is written within one turn of the event loop, joined so that the socket is called once. */
export class WriteBatch {
  #parts: (Buffer | string)[] = []
  #bytes = 0
  #onlyText = true

  /** Bytes waiting; a string counts its characters. */
  get bytes(): number {
    return this.#bytes
  }

  /** True when this is the first part of the turn: whoever adds it sees to it that the batch is taken. */
  add(part: Buffer | string): boolean {
    this.#parts.push(part)
    this.#bytes += part.length
    if (typeof part !== 'string') this.#onlyText = false
    return this.#parts.length === 1
  }

  /** Everything as one piece, and the batch is empty; undefined when it was. */
  take(): Buffer | string | undefined {
    const parts = this.#parts
    if (parts.length === 0) return undefined
    const onlyText = this.#onlyText
    this.clear()
    if (parts.length === 1) return parts[0]
    if (onlyText) return parts.join('')
    return Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part) : part)))
  }

  clear(): void {
    this.#parts = []
    this.#bytes = 0
    this.#onlyText = true
  }
}
