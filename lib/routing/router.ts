import type { Congestion, Refusal, Route } from '../stanza/route.js'
import type { Stanza } from '../stanza/stanza.js'
import { errorReply } from '../stanza/stanza-error.js'
import type { RouteTable } from './route-table.js'

export interface RouterOptions {
  readonly table: RouteTable
  /** Whether a domain, in canonical form, is served here. */
  readonly serves: (domain: string) => boolean
  readonly local: Route
  /** For pairs that the table has no proven route for. */
  readonly remote: Route
}

export interface RouterCounters {
  routed: number
  bounced: number
  /** Refused stanzas that may not be answered: errors and results (RFC 6120 §8.2.3, §8.3.1). */
  dropped: number
}

/** Every stanza passes here once, already stamped or checked at the edge. The only place where bounces are made. */
export class Router {
  readonly counters: RouterCounters = { routed: 0, bounced: 0, dropped: 0 }
  readonly #options: RouterOptions

  constructor(options: RouterOptions) {
    this.#options = options
  }

  /** Delivers a stanza that has `to` and `from`, or answers it. The result asks the producer to wait. */
  readonly route = (stanza: Stanza): Congestion | undefined => {
    this.counters.routed++
    const { table, serves, local, remote } = this.#options
    const to = stanza.to!.domain
    const route = serves(to) ? local : (table.pair(stanza.from!.domain, to) ?? remote)
    const refusal = route.deliver(stanza, this.#bounce)
    if (refusal !== undefined) this.#bounce(stanza, refusal)
    return route.congestion
  }

  readonly #bounce = (stanza: Stanza, refusal: Refusal): void => {
    if (!stanza.answerable) {
      this.counters.dropped++
      return
    }
    this.counters.bounced++
    this.route(errorReply(stanza, refusal))
  }
}
