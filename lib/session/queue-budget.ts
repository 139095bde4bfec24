/** Bytes that wait in the queues of all pairs together: bounded in all, and for each sender at a quarter of that. */
export class QueueBudget {
  readonly #total: () => number
  /** An entry for each sender of whom something waits. */
  readonly #bySender = new Map<string, number>()
  #used = 0

  constructor(total: () => number) {
    this.#total = total
  }

  get used(): number {
    return this.#used
  }

  /** False when there is no room for so many bytes. */
  take(sender: string, bytes: number): boolean {
    const total = this.#total()
    const used = this.#bySender.get(sender) ?? 0
    if (this.#used + bytes > total || used + bytes > total / 4) return false
    this.#used += bytes
    this.#bySender.set(sender, used + bytes)
    return true
  }

  give(sender: string, bytes: number): void {
    this.#used -= bytes
    const left = (this.#bySender.get(sender) ?? 0) - bytes
    if (left > 0) this.#bySender.set(sender, left)
    else this.#bySender.delete(sender)
  }
}
