/** First in, first out, limited by count and by size; a full queue says no to the newest. */
export class BoundedQueue<T> {
  readonly #limits: () => { readonly count: number; readonly bytes: number }
  readonly #sizeOf: (item: T) => number
  #items: T[] = []
  #head = 0
  #bytes = 0

  constructor(limits: () => { readonly count: number; readonly bytes: number }, sizeOf: (item: T) => number) {
    this.#limits = limits
    this.#sizeOf = sizeOf
  }

  get length(): number {
    return this.#items.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The oldest item, left where it is. */
  get first(): T | undefined {
    return this.#items[this.#head]
  }

  /** False when there is no room. */
  push(item: T): boolean {
    const { count, bytes } = this.#limits()
    const size = this.#sizeOf(item)
    if (this.length >= count || this.#bytes + size > bytes) return false
    this.#items.push(item)
    this.#bytes += size
    return true
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#items[this.#head] as T
    this.#head++
    this.#bytes -= this.#sizeOf(item)
    if (this.#head > 1000 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** Puts items back in front, in their order, whatever the limits: they were accepted before. */
  unshift(items: readonly T[]): void {
    this.#items = [...items, ...this.#items.slice(this.#head)]
    this.#head = 0
    for (const item of items) this.#bytes += this.#sizeOf(item)
  }

  /** Empties it. */
  takeAll(): T[] {
    const items = this.#items.slice(this.#head)
    this.#items = []
    this.#head = 0
    this.#bytes = 0
    return items
  }
}
