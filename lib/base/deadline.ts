import type { Clock } from './clock.js'

/** An absolute end of a wait: the signal aborts after `ms`, with what `reason` gives at that moment, or with the outer signal. */
export class Deadline {
  readonly signal: AbortSignal
  readonly #cancel: () => void
  #passed = false

  constructor(clock: Clock, ms: number, reason: () => Error, outer?: AbortSignal) {
    const aborter = new AbortController()
    this.signal = aborter.signal
    const cancelTimer = clock.after(ms, () => {
      this.#passed = true
      outer?.removeEventListener('abort', passOn)
      aborter.abort(reason())
    })
    const passOn = (): void => {
      cancelTimer()
      aborter.abort(outer?.reason)
    }
    if (outer?.aborted === true) passOn()
    else outer?.addEventListener('abort', passOn, { once: true })
    this.#cancel = () => {
      cancelTimer()
      outer?.removeEventListener('abort', passOn)
    }
  }

  /** Whether the time was up before the outer signal aborted. */
  get passed(): boolean {
    return this.#passed
  }

  /** To be called when what was waited for has come; afterwards the signal never aborts. */
  done(): void {
    this.#cancel()
  }
}

/** What `promise` comes to, unless `signal` aborts first: then its reason. The promise itself goes on. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason)
    if (signal.aborted) aborted()
    else signal.addEventListener('abort', aborted, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
