import type { Clock } from '../../lib/base/clock.js'

interface Timer {
  readonly at: number
  readonly action: () => void
}

/** Time that stands still until it is moved by hand. */
export class ManualClock implements Clock {
  #now = 0
  readonly #start = Date.UTC(2026, 0, 1)
  #timers: Timer[] = []

  now(): number {
    return this.#now
  }

  date(): Date {
    return new Date(this.#start + this.#now)
  }

  after(ms: number, action: () => void): () => void {
    const timer = { at: this.#now + ms, action }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer)
    }
  }

  /** How many timers are set: none should be left when everything has ended. */
  get waiting(): number {
    return this.#timers.length
  }

  /** Moves the time; timers fire in order, each at its own time, also those that others set on the way. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = this.#timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter(timer => timer !== due)
      this.#now = Math.max(this.#now, due.at)
      due.action()
    }
    this.#now = end
  }
}
