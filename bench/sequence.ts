/** Checks that the numbers `first` to `first + count - 1` come once each, in order. */
export class Sequence {
  received = 0
  #doubled = 0
  #reordered = 0
  #strange = 0
  #next: number
  readonly #first: number
  readonly #seen: Uint8Array

  constructor(first: number, count: number) {
    this.#first = first
    this.#next = first
    this.#seen = new Uint8Array(count)
  }

  take(number: number): void {
    const index = number - this.#first
    const seen = this.#seen[index]
    if (seen === undefined) this.#strange++
    else if (seen === 1) this.#doubled++
    else {
      this.#seen[index] = 1
      this.received++
      if (number < this.#next) this.#reordered++
      else this.#next = number + 1
    }
  }

  get complete(): boolean {
    return this.received === this.#seen.length
  }

  /** What is wrong, or undefined when every number came once and in order. */
  get fault(): string | undefined {
    const lost = this.#seen.length - this.received
    const faults = { lost, doubled: this.#doubled, reordered: this.#reordered, 'never sent': this.#strange }
    const told = Object.entries(faults).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`]))
    return told.length === 0 ? undefined : told.join(', ')
  }
}
