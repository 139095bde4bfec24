import { BoundedQueue } from '../base/bounded-queue.js'
import type { Refused } from '../stanza/route.js'
import type { Stanza } from '../stanza/stanza.js'
import type { QueueBudget } from './queue-budget.js'

/** A stanza that waits for a stream. */
export interface Waiting {
  readonly stanza: Stanza
  readonly refused: Refused
  /** When it was accepted, by the clock's `now`. */
  readonly since: number
}

/** Errors are written on behalf of whoever sent what they answer: all of them count as one sender, which no account is. */
const BOUNCES = ''

/** What waits for the stream of one pair, within bounds of its own and those of all pairs; knows who wants it to go out. */
export class PairQueue {
  readonly #queue: BoundedQueue<Waiting>
  readonly #budget: QueueBudget
  /** How many of each account wait. */
  readonly #senders = new Map<string, number>()

  constructor(limits: () => { readonly count: number; readonly bytes: number }, budget: QueueBudget) {
    this.#queue = new BoundedQueue(limits, ({ stanza }) => stanza.size)
    this.#budget = budget
  }

  get length(): number {
    return this.#queue.length
  }

  get bytes(): number {
    return this.#queue.bytes
  }

  get first(): Waiting | undefined {
    return this.#queue.first
  }

  /** The local accounts of which something waits that is not an error. */
  get senders(): ReadonlyMap<string, number> {
    return this.#senders
  }

  /** False when there is no room here, or none for this sender. */
  push(item: Waiting): boolean {
    const sender = senderOf(item)
    const { size } = item.stanza
    if (!this.#budget.take(sender, size)) return false
    if (!this.#queue.push(item)) {
      this.#budget.give(sender, size)
      return false
    }
    if (sender !== BOUNCES) this.#senders.set(sender, (this.#senders.get(sender) ?? 0) + 1)
    return true
  }

  shift(): Waiting | undefined {
    const item = this.#queue.shift()
    if (item !== undefined) this.#left(item)
    return item
  }

  /** Empties it. */
  takeAll(): Waiting[] {
    const items = this.#queue.takeAll()
    for (const item of items) this.#left(item)
    return items
  }

  #left(item: Waiting): void {
    const sender = senderOf(item)
    this.#budget.give(sender, item.stanza.size)
    if (sender === BOUNCES) return
    const left = (this.#senders.get(sender) ?? 0) - 1
    if (left > 0) this.#senders.set(sender, left)
    else this.#senders.delete(sender)
  }
}

function senderOf({ stanza }: Waiting): string {
  return stanza.isError || stanza.from === undefined ? BOUNCES : stanza.from.bare.toString()
}
