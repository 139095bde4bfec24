import type { Jid } from '../stanza/jid.js'

/** Most addresses one session may keep informed by directed presence. */
export const MOST_DIRECTED = 1000

/**
 * The addresses that saw a session by directed presence and must be told when it goes (RFC 6121 §4.6.3). Bounded: a session that
 * is at the limit cannot direct presence at yet another address.
 */
export class DirectedPresence {
  readonly #most: number
  readonly #seenBy = new Map<string, Jid>()

  constructor(most = MOST_DIRECTED) {
    this.#most = most
  }

  /** Remembers that `to` sees the session; false when there is no room. */
  add(to: Jid): boolean {
    const key = to.toString()
    if (!this.#seenBy.has(key) && this.#seenBy.size >= this.#most) return false
    this.#seenBy.set(key, to)
    return true
  }

  /** Forgets `to`: it was told that the session has gone, or refuses its presence. */
  delete(to: Jid): void {
    this.#seenBy.delete(to.toString())
  }

  get size(): number {
    return this.#seenBy.size
  }

  /** Hands out all addresses and forgets them. */
  take(): Jid[] {
    const all = [...this.#seenBy.values()]
    this.#seenBy.clear()
    return all
  }
}
