import type { Clock } from '../base/clock.js'
import { Deadline } from '../base/deadline.js'
import { Slots } from '../base/slots.js'
import { isIpLiteral } from '../stanza/domain.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import { StreamEnd } from '../stream/end-reason.js'

/** How long an attempt waits for its turn when too many are under way. */
const LONGEST_TURN_MS = 30_000
/** Senders of one pair that are looked at. */
const MOST_SENDERS = 16

/** What an attempt waits with. */
export interface TurnOf {
  readonly pair: DomainPair
  /** Local accounts of which something waits for it, other than errors; undefined when no stanza has caused it. */
  readonly senders?: (() => ReadonlyMap<string, unknown>) | undefined
}

/**
 * Gives attempts their turns, so that neither a remote site with very many names nor one local account keeps out the others. Domains that
 * have proven themselves lately are preferred, and attempts that only errors wait for are made in the background.
 */
export class AttemptTurns {
  readonly #clock: Clock
  readonly #slots: Slots
  readonly #provenLately: (remote: string) => boolean

  constructor(clock: Clock, capacity: () => number, provenLately: (remote: string) => boolean) {
    this.#clock = clock
    this.#slots = new Slots(capacity)
    this.#provenLately = provenLately
  }

  /** Resolves with the function that ends the turn; rejects with `overload` when it does not come, or with the signal's reason. */
  async take({ pair, senders }: TurnOf, signal: AbortSignal): Promise<() => void> {
    const late = (): Error => new StreamEnd('overload', 'too-many-attempts')
    const wait = new Deadline(this.#clock, LONGEST_TURN_MS, late, signal)
    try {
      return await this.#slots.take(wait.signal, {
        group: siteOf(pair.remote),
        wantedBy: () => firstOf(senders?.().keys() ?? []),
        side: pair.local,
        isPreferred: () => this.#provenLately(pair.remote),
        isBackground: () => senders?.().size === 0,
      })
    } finally {
      wait.done()
    }
  }

  /** To be called when somebody else wants an attempt that may be waiting. */
  reconsider(): void {
    this.#slots.reconsider()
  }
}

function* firstOf(senders: Iterable<string>): Generator<string> {
  let count = 0
  for (const sender of senders) {
    if (count++ >= MOST_SENDERS) return
    yield sender
  }
}

/** Names that are likely to be in one hand: those with the same last two labels. */
export function siteOf(domain: string): string {
  return isIpLiteral(domain) ? domain : domain.split('.').slice(-2).join('.')
}
