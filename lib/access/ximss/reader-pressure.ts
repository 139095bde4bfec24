import type { Clock } from '../../base/clock.js'
import type { Congestion } from '../../stanza/route.js'

/** Longest wait for one client that does not keep up; afterwards what finds no room goes back to its senders. */
const LONGEST_WAIT_MS = 2000

/** Asks those who write to a client to wait until it has read more; never for long, since they have others to serve. */
export class ReaderPressure implements Congestion {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()
  #cancel: (() => void) | undefined
  #isSpent = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The client has used up the patience of others and has not read since. */
  get isSpent(): boolean {
    return this.#isSpent
  }

  onRelief(resume: () => void): void {
    if (this.#isSpent) return resume()
    this.#waiting.add(resume)
    this.#cancel ??= this.#clock.after(LONGEST_WAIT_MS, () => {
      this.#isSpent = true
      this.#release()
    })
  }

  /** The client has read, or is gone. */
  ease(): void {
    this.#isSpent = false
    this.#release()
  }

  #release(): void {
    this.#cancel?.()
    this.#cancel = undefined
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resume of waiting) resume()
  }
}
