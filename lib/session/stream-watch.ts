import type { Clock } from '../base/clock.js'
import type { XmlStream } from '../stream/xml-stream.js'
import type { SessionSettings } from './context.js'

/** How often a living stream is looked at, in milliseconds; idle and stuck streams are seen this late at most. */
const LOOK_MS = 15_000
/** One element begun must be finished within this time. */
const ELEMENT_MS = 60_000

/** Looks after a proven stream: closes it when idle, ends it when an element is begun and never finished. One timer per stream. */
export class StreamWatch {
  readonly #stream: XmlStream
  readonly #clock: Clock
  readonly #settings: SessionSettings
  #cancel: (() => void) | undefined
  #touchedAt: number
  #partialSince: number | undefined

  constructor(stream: XmlStream, clock: Clock, settings: SessionSettings) {
    this.#stream = stream
    this.#clock = clock
    this.#settings = settings
    this.#touchedAt = clock.now()
  }

  get started(): boolean {
    return this.#cancel !== undefined
  }

  start(): void {
    if (this.#cancel === undefined) this.#arm()
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
    this.#cancel = this.#clock.after(Math.min(LOOK_MS, this.#settings.idleMs), () => this.#look())
  }

  #look(): void {
    const now = this.#clock.now()
    if (now - this.#touchedAt >= this.#settings.idleMs) {
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
