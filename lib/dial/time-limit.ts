import type { Clock } from '../base/clock.js'

/** A signal that aborts when the outer one does or when the time is up. */
export interface TimeLimit {
  readonly signal: AbortSignal
  /** Whether the time was up before the outer signal aborted. */
  readonly passed: boolean
  /** Ends the waiting; the signal aborts no more. */
  release(): void
}

/** Limits what is done under `outer` to `ms` milliseconds. To be released on every way out. */
export function timeLimit(clock: Clock, ms: number, outer: AbortSignal): TimeLimit {
  const inner = new AbortController()
  let passed = false
  const follow = (): void => inner.abort(outer.reason)
  if (outer.aborted) follow()
  else outer.addEventListener('abort', follow, { once: true })
  const cancel = clock.after(ms, () => {
    if (inner.signal.aborted) return
    passed = true
    inner.abort(new Error('the time is up'))
  })
  return {
    signal: inner.signal,
    get passed() {
      return passed
    },
    release: () => {
      cancel()
      outer.removeEventListener('abort', follow)
    },
  }
}

/** Waits for `promise` no longer than `signal` allows; then rejects with its reason, while what was waited for goes on. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
