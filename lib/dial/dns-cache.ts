import type { Clock } from '../base/clock.js'
import type { DnsAnswer } from './dns-record.js'

/** Answers by question, each until its time is up; the one that was asked for least recently goes first when it is full. */
export class DnsCache {
  readonly #entries = new Map<string, { readonly answer: DnsAnswer; readonly until: number }>()
  readonly #clock: Clock
  readonly #capacity: number

  constructor(clock: Clock, capacity: number) {
    this.#clock = clock
    this.#capacity = capacity
  }

  /** The answer with what is left of its TTL, in whole seconds. */
  find(key: string): DnsAnswer | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    const left = entry.until - this.#clock.now()
    if (left <= 0) return undefined
    this.#entries.set(key, entry)
    return { ...entry.answer, ttlSeconds: Math.ceil(left / 1000) }
  }

  keep(key: string, answer: DnsAnswer): void {
    this.#entries.delete(key)
    this.#entries.set(key, { answer, until: this.#clock.now() + answer.ttlSeconds * 1000 })
    if (this.#entries.size <= this.#capacity) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  clear(): void {
    this.#entries.clear()
  }
}
