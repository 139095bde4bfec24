/**
 * A property of code points, stored as runs: `<letter><distance from the start of the run before, base 36>`, in order from
 * U+0000. Look-up is a binary search.
 */
export class RunTable {
  readonly #starts: Uint32Array
  readonly #letters: string

  constructor(encoded: string) {
    const runs = [...encoded.matchAll(/([A-Z])([0-9a-z]+)/g)]
    let start = 0
    this.#starts = Uint32Array.from(runs, ([, , distance = '']) => (start += Number.parseInt(distance, 36)))
    this.#letters = runs.map(([, letter]) => letter).join('')
  }

  /** The letter of the run that holds `codePoint`. */
  letterOf(codePoint: number): string {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#starts[middle] ?? 0) <= codePoint) low = middle
      else high = middle - 1
    }
    return this.#letters.charAt(low)
  }
}
