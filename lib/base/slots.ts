/** A fixed number of places; whoever finds none waits its turn, first come first served. */
export class Slots {
  readonly #capacity: () => number
  readonly #waiting = new Set<() => void>()
  #taken = 0

  constructor(capacity: () => number) {
    this.#capacity = capacity
  }

  /** Resolves with the function that gives the place back; rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const enter = (): void => {
        signal.removeEventListener('abort', give)
        this.#taken++
        let held = true
        resolve(() => {
          if (!held) return
          held = false
          this.#taken--
          this.#next()
        })
      }
      const give = (): void => {
        this.#waiting.delete(enter)
        reject(signal.reason)
      }
      if (this.#taken < this.#capacity()) return enter()
      signal.addEventListener('abort', give, { once: true })
      this.#waiting.add(enter)
    })
  }

  #next(): void {
    // More than one when the capacity has grown since they began to wait.
    for (const first of this.#waiting) {
      if (this.#taken >= this.#capacity()) return
      this.#waiting.delete(first)
      first()
    }
  }
}
