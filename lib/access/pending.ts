import type { Clock } from '../base/clock.js'

/**
 * Requests that wait for an answer, by key, oldest first. All have the same time to live, so one timer serves them all.
 * Bounded; what runs out of time is handed to `expired` once.
 */
export class Pending<T> {
  readonly #clock: Clock
  readonly #ttlMs: number
  readonly #most: number
  readonly #expired: (entry: T) => void
  readonly #entries = new Map<string, { readonly entry: T; readonly due: number }>()
  #cancelTimer: (() => void) | undefined

  constructor(options: { clock: Clock; ttlMs: number; most: number; expired: (entry: T) => void }) {
    this.#clock = options.clock
    this.#ttlMs = options.ttlMs
    this.#most = options.most
    this.#expired = options.expired
  }

  get size(): number {
    return this.#entries.size
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  /** Starts to wait; false, and nothing changes, when the key is taken or there is no room. */
  add(key: string, entry: T): boolean {
    if (this.#entries.size >= this.#most || this.#entries.has(key)) return false
    this.#entries.set(key, { entry, due: this.#clock.now() + this.#ttlMs })
    this.#arm()
    return true
  }

  /** Ends the wait for `key` and returns what was waiting. */
  take(key: string): T | undefined {
    const found = this.#entries.get(key)
    this.#entries.delete(key)
    if (this.#entries.size === 0) this.#disarm()
    return found?.entry
  }

  /** Ends all waits, oldest first. */
  takeAll(): T[] {
    const all = [...this.#entries.values()].map(({ entry }) => entry)
    this.#entries.clear()
    this.#disarm()
    return all
  }

  #arm(): void {
    if (this.#cancelTimer !== undefined) return
    const oldest = this.#entries.values().next().value
    if (oldest === undefined) return
    this.#cancelTimer = this.#clock.after(Math.max(0, oldest.due - this.#clock.now()), () => this.#sweep())
  }

  #disarm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #sweep(): void {
    this.#cancelTimer = undefined
    const now = this.#clock.now()
    for (const [key, { entry, due }] of this.#entries) {
      if (due > now) break
      this.#entries.delete(key)
      this.#expired(entry)
    }
    this.#arm()
  }
}
