import type { Input } from './input.js'
import { type ErrorToken, malformed, type TokenizerLimits, tooMuch } from './token.js'

/** Counts what a stream and its current first-level element have used of their limits. Places count from the first byte ever written. */
export class Bounds {
  limits: TokenizerLimits
  /** Where the stream began. */
  origin = 0
  /** Where the first-level element began, -1 outside of one. */
  elementAt = -1
  /** The element is over `elementBytes`: it is read to its end without being kept. */
  skipping = false
  #elements = 0
  #streamElements = 0
  readonly #input: Input

  constructor(limits: TokenizerLimits, input: Input) {
    this.limits = limits
    this.#input = input
  }

  /** Begins a stream. */
  restart(origin: number): void {
    this.origin = origin
    this.elementAt = -1
    this.#streamElements = 0
  }

  /** Begins a first-level element. */
  enter(place: number): void {
    this.elementAt = place
    this.skipping = false
    this.#elements = 0
  }

  /** Counts an element at `depth`. */
  count(depth: number): ErrorToken | undefined {
    const { limits } = this
    if (depth > limits.depth) return tooMuch('nested too deep')
    if (++this.#elements > limits.elements) return tooMuch('too many elements')
    if (++this.#streamElements > limits.streamElements) return tooMuch('too many elements')
    return undefined
  }

  /** Position in the input up to which may be read. */
  stop(): number {
    const { offset, valid } = this.#input
    const stop = Math.min(valid, this.origin + this.limits.streamBytes - offset)
    return this.elementAt < 0 ? stop : Math.min(stop, this.#elementCap() - offset)
  }

  /**
   * Why reading stopped at `pos`: more bytes are needed, or an error; undefined when it may go on, without keeping the
   * element. A limit is gone over only once a byte behind it has come.
   */
  stopped(pos: number): ErrorToken | 'more' | undefined {
    const { offset, valid, end, broken } = this.#input
    const streamCap = this.origin + this.limits.streamBytes
    if (offset + pos >= streamCap && offset + end > streamCap) return tooMuch('too many bytes')
    if (this.elementAt >= 0) {
      const cap = this.#elementCap()
      if (offset + pos >= cap && offset + end > cap) {
        if (this.skipping) return tooMuch('element too large')
        this.skipping = true
        return undefined
      }
    }
    return broken && pos >= valid ? malformed('invalid UTF-8') : 'more'
  }

  #elementCap(): number {
    return this.elementAt + (this.skipping ? this.limits.skippedBytes : this.limits.elementBytes)
  }
}
