import { LRUCache } from 'lru-cache'
import type { Clock } from '../base/clock.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import { consequenceOf, type EndReason } from '../stream/end-reason.js'
import type { SessionSettings } from './context.js'

/** Names come from strangers, so only so many are remembered. */
const MOST_REMEMBERED = 10_000
/** "No such domain" is believed for as long as resolvers do, not for the whole back-off. */
const LONGEST_NEGATIVE_MS = 60_000

/** A rest after failures in a row. */
export interface Rest {
  readonly failures: number
  /** By the clock's `now`. */
  readonly until: number
  readonly reason: EndReason
}

/** What rests of one remote domain: all of it, and pairs by our domain. */
interface Rests {
  domain: Rest | undefined
  readonly pairs: Map<string, Rest>
}

/** How long to leave a failing domain, or pair, alone: doubling, jittered, bounded, and forgotten when the domain is heard from. */
export class Backoff {
  readonly #clock: Clock
  readonly #settings: Pick<SessionSettings, 'backoffInitialMs' | 'backoffMaxMs'>
  readonly #random: () => number
  readonly #rests = new LRUCache<string, Rests>({ max: MOST_REMEMBERED })

  constructor(
    clock: Clock,
    settings: Pick<SessionSettings, 'backoffInitialMs' | 'backoffMaxMs'>,
    random: () => number = Math.random,
  ) {
    this.#clock = clock
    this.#settings = settings
    this.#random = random
  }

  /** Records a failed attempt; undefined when its kind calls for no rest. */
  failed(pair: DomainPair, reason: EndReason): Rest | undefined {
    const { rests } = consequenceOf(reason)
    if (rests === 'nothing') return undefined
    const known = this.#rests.get(pair.remote) ?? { domain: undefined, pairs: new Map<string, Rest>() }
    const earlier = rests === 'domain' ? known.domain : known.pairs.get(pair.local)
    // Attempts that were under way together fail together: that counts once.
    if (earlier !== undefined && earlier.until > this.#clock.now()) return earlier
    const failures = (earlier?.failures ?? 0) + 1
    const { backoffInitialMs, backoffMaxMs } = this.#settings
    const longest =
      reason.kind === 'dns' && reason.detail.startsWith('no-')
        ? Math.min(LONGEST_NEGATIVE_MS, backoffMaxMs)
        : backoffMaxMs
    const delay = Math.min(longest, backoffInitialMs * 2 ** Math.min(failures - 1, 40)) * (0.5 + this.#random() / 2)
    const rest = { failures, until: this.#clock.now() + delay, reason }
    if (rests === 'domain') known.domain = rest
    else known.pairs.set(pair.local, rest)
    this.#rests.set(pair.remote, known)
    return rest
  }

  /** The rest that holds for a pair now, its own or its domain's, whichever ends later. */
  restOf(pair: DomainPair): Rest | undefined {
    const now = this.#clock.now()
    const known = this.#rests.get(pair.remote)
    const rests = [known?.domain, known?.pairs.get(pair.local)].filter(rest => rest !== undefined && rest.until > now)
    return rests.sort((a, b) => b!.until - a!.until)[0]
  }

  /** The domain has been heard from, or an admin asks for a try: nothing about it rests any more. */
  clear(remote: string): void {
    this.#rests.delete(remote)
  }

  /** What was changed here may have mended what failed: nothing rests any more. */
  clearAll(): void {
    this.#rests.clear()
  }
}
