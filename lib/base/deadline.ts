import type { Clock } from './clock.js'

/** An absolute end of a wait: the signal aborts after `ms`, with what `reason` gives at that moment, or with the outer signal. */
export class Deadline {
  readonly signal: AbortSignal
  readonly #cancel: () => void

  constructor(clock: Clock, ms: number, reason: () => Error, outer?: AbortSignal) {
    const aborter = new AbortController()
    this.signal = aborter.signal
    const passOn = (): void => aborter.abort(outer?.reason)
    const cancelTimer = clock.after(ms, () => aborter.abort(reason()))
    if (outer?.aborted === true) passOn()
    else outer?.addEventListener('abort', passOn, { once: true })
    this.#cancel = () => {
      cancelTimer()
      outer?.removeEventListener('abort', passOn)
    }
  }

  /** To be called when what was waited for has come; afterwards the signal never aborts. */
  done(): void {
    this.#cancel()
  }
}
