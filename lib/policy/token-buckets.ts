import { LRUCache } from 'lru-cache'

/** How often something may happen: steadily, and how much at once after a pause. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

interface Bucket {
  readonly tokens: number
  /** Milliseconds of the clock that `now` is of. */
  readonly at: number
}

/** One token bucket for each key; keys come from strangers, so only the latest are remembered. */
export class TokenBuckets {
  readonly #buckets: LRUCache<string, Bucket>

  constructor(mostKeys: number) {
    this.#buckets = new LRUCache({ max: mostKeys })
  }

  /** Takes one token of `key`; false when there is none left at `now`. */
  take(key: string, now: number, { perSecond, burst }: Rate): boolean {
    const last = this.#buckets.get(key)
    const filled = last === undefined ? burst : last.tokens + (Math.max(0, now - last.at) / 1000) * perSecond
    const tokens = Math.min(burst, filled)
    const isThere = tokens >= 1
    this.#buckets.set(key, { tokens: isThere ? tokens - 1 : tokens, at: now })
    return isThere
  }
}
