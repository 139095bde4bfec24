/** Picks what a spec waits for. */
export type Match<T> = (item: T) => boolean

interface Waiter<T> {
  readonly match: Match<T>
  readonly resolve: (item: T) => void
  readonly reject: (error: Error) => void
}

/** Most that is kept for nobody. */
const MOST_KEPT = 1000

/** What has come for a user and what specs wait for; each item goes to one waiter, and is kept until somebody asks for it. */
export class Inbox<T> {
  readonly #owner: () => string
  readonly #kept: T[] = []
  readonly #waiters = new Set<Waiter<T>>()
  #closed: Error | undefined

  /** `owner` names the user in errors. */
  constructor(owner: () => string) {
    this.#owner = owner
  }

  /** Why nothing will come any more. */
  get closed(): Error | undefined {
    return this.#closed
  }

  put(item: T): void {
    for (const waiter of this.#waiters) {
      if (!waiter.match(item)) continue
      waiter.resolve(item)
      return
    }
    this.#kept.push(item)
    if (this.#kept.length > MOST_KEPT) this.#kept.shift()
  }

  /** The first item, kept or still to come, that matches; it is taken out. Rejects after `limit` ms, and when the inbox is closed. */
  async next(match: Match<T>, what: string, limit = 10_000): Promise<T> {
    const index = this.#kept.findIndex(match)
    if (index !== -1) return this.#kept.splice(index, 1)[0]!
    if (this.#closed !== undefined) throw this.#closed
    return await new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        const seen = this.#kept.map(String).join('\n')
        waiter.reject(new Error(`${this.#owner()} waited ${limit} ms for ${what}; there is\n${seen}`))
      }, limit)
      const done = (): void => {
        clearTimeout(timer)
        this.#waiters.delete(waiter)
      }
      const waiter: Waiter<T> = {
        match,
        resolve: item => {
          done()
          resolve(item)
        },
        reject: error => {
          done()
          reject(error)
        },
      }
      this.#waiters.add(waiter)
    })
  }

  /** Whoever waits now or later for what has not come is told. */
  close(error: Error): void {
    this.#closed ??= error
    for (const waiter of [...this.#waiters]) waiter.reject(this.#closed)
  }
}
