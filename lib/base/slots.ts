/** On whose account a place is wanted; an object for each. What is a function is asked anew whenever places are given out. */
export interface Turn {
  /** What those that are to share have in common. */
  readonly group?: string
  /** Who wants it: whoever of them holds fewest counts, and all are charged. */
  wantedBy?(): Iterable<string>
  /** Breaks ties: the side that holds fewer goes first. */
  readonly side?: string
  /** Goes before others that hold as little. */
  isPreferred?(): boolean
  /** All that are in the background have a quarter of the places together. */
  isBackground?(): boolean
}

interface Waiter {
  readonly turn: Turn
  /** Who came earlier has the lower number. */
  readonly number: number
  lane: string
  enter(): void
}

/** Places for one group, or for whoever wants them, while others wait. */
const LARGEST_SHARE = 8
/** How many of those who want places on the same account are looked at, so that a long line costs no more than a short one. */
const LOOKED_AT = 32
/** Larger than any number of places. */
const STEP = 100_000

/**
 * A fixed number of places, given out in fair turns: whoever holds none goes before whoever holds some, and nobody gets more than a share
 * while others wait. The last quarter of the places is never given to those above their share, so that a newcomer finds one free.
 */
export class Slots {
  readonly #capacity: () => number
  readonly #waiting = new Map<Turn, Waiter>()
  /** Those who wait, by who wants it, first come first. */
  readonly #lanes = new Map<string, Set<Waiter>>()
  /** Places by group, by who wanted them and by side; as many entries as there are places, times a few. */
  readonly #held = new Map<string, number>()
  #lastNumber = 0
  #taken = 0
  #inBackground = 0

  constructor(capacity: () => number) {
    this.#capacity = capacity
  }

  /** Resolves with the function that gives the place back; rejects with the signal's reason. */
  take(signal: AbortSignal, turn: Turn = {}): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const give = (): void => {
        this.#leave(waiter)
        reject(signal.reason)
      }
      const waiter: Waiter = {
        turn,
        number: ++this.#lastNumber,
        lane: this.#laneOf(turn),
        enter: () => {
          this.#leave(waiter)
          signal.removeEventListener('abort', give)
          resolve(this.#hold(turn))
        },
      }
      // Whoever waits although there are free places may not have them.
      if (this.#rank(turn) !== undefined) return waiter.enter()
      signal.addEventListener('abort', give, { once: true })
      this.#waiting.set(turn, waiter)
      this.#join(waiter)
    })
  }

  /** To be called when somebody else wants what a turn waits for. */
  reconsider(turn: Turn): void {
    const waiter = this.#waiting.get(turn)
    if (waiter === undefined) return
    this.#leave(waiter)
    waiter.lane = this.#laneOf(turn)
    this.#waiting.set(turn, waiter)
    this.#join(waiter)
    this.#giveOut()
  }

  /** Where it waits: with what the one of those who want it wants who wants least, else with its group. */
  #laneOf(turn: Turn): string {
    const preferred = turn.isPreferred?.() === true ? 'preferred ' : ''
    const keys = [...(turn.wantedBy?.() ?? [])].map(who => preferred + whoKey(who))
    const lengthOf = (key: string): number => this.#lanes.get(key)?.size ?? 0
    return keys.sort((a, b) => lengthOf(a) - lengthOf(b))[0] ?? preferred + groupKey(turn.group ?? '')
  }

  #join(waiter: Waiter): void {
    const lane = this.#lanes.get(waiter.lane)
    if (lane === undefined) this.#lanes.set(waiter.lane, new Set([waiter]))
    else lane.add(waiter)
  }

  #leave(waiter: Waiter): void {
    this.#waiting.delete(waiter.turn)
    const lane = this.#lanes.get(waiter.lane)
    lane?.delete(waiter)
    if (lane?.size === 0) this.#lanes.delete(waiter.lane)
  }

  #giveOut(): void {
    while (this.#taken < this.#capacity()) {
      const next = this.#next()
      if (next === undefined) return
      next.enter()
    }
  }

  #hold(turn: Turn): () => void {
    const keys = keysOf(turn)
    const background = turn.isBackground?.() === true ? 1 : 0
    this.#taken++
    this.#inBackground += background
    for (const key of keys) this.#held.set(key, this.#heldBy(key) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#taken--
      this.#inBackground -= background
      for (const key of keys) {
        const left = this.#heldBy(key) - 1
        if (left > 0) this.#held.set(key, left)
        else this.#held.delete(key)
      }
      this.#giveOut()
    }
  }

  #next(): Waiter | undefined {
    let best: Waiter | undefined
    let lowest = Number.POSITIVE_INFINITY
    for (const lane of this.#lanes.values()) {
      let looked = 0
      for (const waiter of lane) {
        if (looked++ >= LOOKED_AT) break
        const rank = this.#rank(waiter.turn)
        if (rank === undefined || rank > lowest) continue
        if (rank === lowest && best !== undefined && best.number < waiter.number) continue
        lowest = rank
        best = waiter
      }
    }
    return best
  }

  /** The lowest goes first, and of equals who came first; undefined when there is no place for it now. */
  #rank(turn: Turn): number | undefined {
    const capacity = this.#capacity()
    const quarter = Math.floor(capacity / 4)
    if (this.#taken >= capacity) return undefined
    if (turn.isBackground?.() === true && this.#inBackground >= Math.max(1, quarter)) return undefined
    const held = this.#heldOf(turn)
    const isGreedy = held >= Math.min(LARGEST_SHARE, Math.max(1, quarter))
    if (isGreedy && this.#taken >= capacity - quarter) return undefined
    const order = (isGreedy ? 4 : held > 0 ? 2 : 0) + (turn.isPreferred?.() === true ? 0 : 1)
    const bySide = turn.side === undefined ? 0 : this.#heldBy(sideKey(turn.side))
    return (order * STEP + held) * STEP + bySide
  }

  #heldOf(turn: Turn): number {
    let least: number | undefined
    for (const who of turn.wantedBy?.() ?? []) least = Math.min(least ?? STEP, this.#heldBy(whoKey(who)))
    return Math.max(least ?? 0, turn.group === undefined ? 0 : this.#heldBy(groupKey(turn.group)))
  }

  #heldBy(key: string): number {
    return this.#held.get(key) ?? 0
  }
}

function keysOf(turn: Turn): readonly string[] {
  const { group, side } = turn
  return [
    ...(group === undefined ? [] : [groupKey(group)]),
    ...[...(turn.wantedBy?.() ?? [])].map(whoKey),
    ...(side === undefined ? [] : [sideKey(side)]),
  ]
}

function groupKey(group: string): string {
  return `group ${group}`
}

function whoKey(who: string): string {
  return `who ${who}`
}

function sideKey(side: string): string {
  return `side ${side}`
}
