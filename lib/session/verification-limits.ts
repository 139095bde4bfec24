import type { Clock } from '../base/clock.js'

/** Questions under way at once: over all streams, and of peers at one place. */
const MOST_PENDING = 512
const MOST_PENDING_PER_PLACE = 64
/** Streams that are opened to ask a question that came from one place, in a minute. */
const MOST_OPENED_PER_MINUTE = 32
const MINUTE_MS = 60_000
/** Places whose minute is remembered; places are strangers'. */
const MOST_PLACES = 10_000

interface Minute {
  readonly startedAt: number
  opened: number
}

/** How often strangers may have us ask other servers (XEP-0220 §5): a peer must not use us to knock on other people's doors. */
export class VerificationLimits {
  readonly #clock: Clock
  readonly #pending = new Map<string, number>()
  /** The oldest first. */
  readonly #minutes = new Map<string, Minute>()
  #allPending = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Admits one question, with the function that says that it is over; undefined when there are too many. */
  enter(place: string): (() => void) | undefined {
    const here = this.#pending.get(place) ?? 0
    if (this.#allPending >= MOST_PENDING || here >= MOST_PENDING_PER_PLACE) return undefined
    this.#allPending++
    this.#pending.set(place, here + 1)
    return () => {
      this.#allPending--
      const left = (this.#pending.get(place) ?? 0) - 1
      if (left > 0) this.#pending.set(place, left)
      else this.#pending.delete(place)
    }
  }

  /** Whether one more stream may be opened because of this place; it counts when it may. */
  mayOpen(place: string): boolean {
    const now = this.#clock.now()
    const minute = this.#minutes.get(place)
    if (minute !== undefined && now - minute.startedAt < MINUTE_MS) {
      if (minute.opened >= MOST_OPENED_PER_MINUTE) return false
      minute.opened++
      return true
    }
    this.#minutes.delete(place)
    this.#minutes.set(place, { startedAt: now, opened: 1 })
    for (const oldest of this.#minutes.keys()) {
      if (this.#minutes.size <= MOST_PLACES) break
      this.#minutes.delete(oldest)
    }
    return true
  }
}
