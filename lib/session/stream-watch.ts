import type { Clock } from '../base/clock.js'
import type { XmlStream } from '../stream/xml-stream.js'

/** How often a living stream is looked at, in milliseconds; a stuck stream, or one whose idle time was shortened, is seen this late at most. */
const LOOK_MS = 15_000
/** One element begun must be finished within this time. */
const ELEMENT_MS = 60_000

/** Looks after a proven stream: closes it when idle, ends it when an element is begun and never finished. One timer per stream. */
export class StreamWatch {
  readonly #stream: XmlStream
  readonly #clock: Clock
  readonly #idleMs: () => number
  #cancel: (() => void) | undefined
  #touchedAt: number
  #partialSince: number | undefined

  /** `idleMs` is asked at each look: what it says may change while the stream lives. */
  constructor(stream: XmlStream, clock: Clock, idleMs: () => number) {
    this.#stream = stream
    this.#clock = clock
    this.#idleMs = idleMs
    this.#touchedAt = clock.now()
  }

  get started(): boolean {
    return this.#cancel !== undefined
  }

  start(): void {
    if (this.#cancel !== undefined) return
    this.touched()
    this.#arm()
  }

  stop(): void {
    this.#cancel?.()
  }

  /** A stanza has passed; nothing else counts as use. */
  touched(): void {
    this.#touchedAt = this.#clock.now()
  }

  /** An element that was begun has been finished. */
  progressed(): void {
    this.#partialSince = undefined
  }

  #arm(): void {
    const left = this.#touchedAt + this.#idleMs() - this.#clock.now()
    this.#cancel = this.#clock.after(Math.max(1, Math.min(LOOK_MS, left)), () => this.#look())
  }

  #look(): void {
    const now = this.#clock.now()
    if (now - this.#touchedAt >= this.#idleMs()) {
      return this.#stream.close({ kind: 'idle', detail: 'no stanza for the idle time' })
    }
    if (this.#stream.bufferedBytes === 0 || this.#stream.held) this.#partialSince = undefined
    else if (this.#partialSince === undefined) this.#partialSince = now
    else if (now - this.#partialSince >= ELEMENT_MS) {
      return this.#stream.fail('connection-timeout', 'an element was begun and not finished')
    }
    this.#arm()
  }
}
