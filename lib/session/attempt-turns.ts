import type { Clock } from '../base/clock.js'
import { Deadline } from '../base/deadline.js'
import { Slots, type Turn } from '../base/slots.js'
import { isIpLiteral } from '../stanza/domain.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import { StreamEnd } from '../stream/end-reason.js'

/** How long an attempt waits for its turn when too many are under way. */
const LONGEST_TURN_MS = 30_000
/** Senders of one pair that are looked at: those who came last. */
const MOST_SENDERS = 16
const NOBODY: ReadonlyMap<string, unknown> = new Map()

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
  readonly #waiting = new Map<string, Turn>()

  constructor(clock: Clock, capacity: () => number, provenLately: (remote: string) => boolean) {
    this.#clock = clock
    this.#slots = new Slots(capacity)
    this.#provenLately = provenLately
  }

  /** Resolves with the function that ends the turn; rejects with `overload` when it does not come, or with the signal's reason. */
  async take({ pair, senders }: TurnOf, signal: AbortSignal): Promise<() => void> {
    const late = (): Error => new StreamEnd('overload', 'too-many-attempts')
    const wait = new Deadline(this.#clock, LONGEST_TURN_MS, late, signal)
    const turn: Turn = {
      group: siteOf(pair.remote),
      wantedBy: () => lastOf(senders?.() ?? NOBODY),
      side: pair.local,
      isPreferred: () => this.#provenLately(pair.remote),
      isBackground: () => senders?.().size === 0,
    }
    if (senders !== undefined) this.#waiting.set(pair.key, turn)
    try {
      return await this.#slots.take(wait.signal, turn)
    } finally {
      if (this.#waiting.get(pair.key) === turn) this.#waiting.delete(pair.key)
      wait.done()
    }
  }

  /** To be called when somebody else wants the pair's attempt, which may be waiting. */
  reconsider(pair: DomainPair): void {
    const turn = this.#waiting.get(pair.key)
    if (turn !== undefined) this.#slots.reconsider(turn)
  }
}

function lastOf(senders: ReadonlyMap<string, unknown>): readonly string[] {
  return [...senders.keys()].slice(-MOST_SENDERS)
}

/** Names that are likely to be in one hand: those with the same last two labels. */
export function siteOf(domain: string): string {
  return isIpLiteral(domain) ? domain : domain.split('.').slice(-2).join('.')
}
