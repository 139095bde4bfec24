import type { Clock } from '../../base/clock.js'
import { networkOf } from '../../base/network-of.js'
import type { AccountName } from '../../store/accounts.js'
import type { XimssLimits } from './services.js'

/** Strangers choose what is remembered, so only so much of each kind is. */
const MOST_REMEMBERED = 10_000

/** A row of failures is forgotten when nothing follows it for so long. */
const FORGET_AFTER_MS = 3_600_000

/** Passwords of one network that are looked at at the same time, and those that wait for it. */
const MOST_VERIFYING = 2
const MOST_WAITING = 20

interface Failures {
  readonly inRow: number
  readonly last: number
  /** By the clock's `now`: nothing is checked before. */
  readonly restUntil: number
}

interface Verifying {
  running: number
  readonly waiting: (() => void)[]
}

type Limits = Pick<XimssLimits, 'failedLoginDelayMs' | 'freeFailures' | 'firstRestMs' | 'longestRestMs'>

/**
 * Slows guessing down, whatever connections the guesses come by. After some failures in a row, of one network or for one account,
 * no password is looked at for a time that doubles with each further failure. A success ends it. A network from which the account
 * has been logged in to is spared the failures that others make: else anybody could lock the owner out.
 */
export class LoginGuard {
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #networks = new Map<string, Failures>()
  readonly #accounts = new Map<string, Failures>()
  /** Account and network of past successes. */
  readonly #trusted = new Map<string, true>()
  readonly #verifying = new Map<string, Verifying>()

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Whether a password or proof may be looked at now. */
  admits(address: string, account: AccountName): boolean {
    const network = networkOf(address)
    const name = keyOf(account)
    if (this.#rests(this.#networks.get(network))) return false
    return this.#trusted.has(`${name}\0${network}`) || !this.#rests(this.#accounts.get(name))
  }

  /** Tells what came of a try that was admitted; the result is the rest that follows it, 0 for none. */
  record(address: string, account: AccountName, isProven: boolean): number {
    const network = networkOf(address)
    const name = keyOf(account)
    if (!isProven) return Math.max(this.#failed(this.#networks, network), this.#failed(this.#accounts, name))
    this.#networks.delete(network)
    this.#accounts.delete(name)
    remember(this.#trusted, `${name}\0${network}`, true)
    return 0
  }

  /** Waits until a password of this network may be looked at; the result gives the place back. Undefined: too many wait already. */
  async enter(address: string): Promise<(() => void) | undefined> {
    const network = networkOf(address)
    const place = this.#verifying.get(network) ?? { running: 0, waiting: [] }
    this.#verifying.set(network, place)
    if (place.running < MOST_VERIFYING) place.running++
    else if (place.waiting.length >= MOST_WAITING) return undefined
    else await new Promise<void>(resolve => place.waiting.push(resolve))
    return () => {
      const next = place.waiting.shift()
      if (next !== undefined) next()
      else if (--place.running === 0) this.#verifying.delete(network)
    }
  }

  #rests(failures: Failures | undefined): boolean {
    return failures !== undefined && this.#clock.now() < failures.restUntil
  }

  #failed(all: Map<string, Failures>, key: string): number {
    const { failedLoginDelayMs, freeFailures, firstRestMs, longestRestMs } = this.#limits
    const now = this.#clock.now()
    const earlier = all.get(key)
    const inRow = earlier === undefined || now - earlier.last > FORGET_AFTER_MS ? 1 : earlier.inRow + 1
    const restMs = inRow < freeFailures ? 0 : Math.min(firstRestMs * 2 ** (inRow - freeFailures), longestRestMs)
    // From the answer on, which itself is held back: else the first rest would be over before it comes.
    remember(all, key, { inRow, last: now, restUntil: restMs === 0 ? now : now + failedLoginDelayMs + restMs })
    return restMs
  }
}

/** An account name holds no NUL. */
function keyOf({ local, domain }: AccountName): string {
  return `${local}\0${domain}`
}

/** Makes it the newest entry, and drops the oldest when there are too many. */
function remember<T>(all: Map<string, T>, key: string, value: T): void {
  all.delete(key)
  all.set(key, value)
  for (const oldest of all.keys()) {
    if (all.size <= MOST_REMEMBERED) return
    all.delete(oldest)
  }
}
