/** The only source of time. Everything that waits is given a clock, so that specs can move time by hand. */
export interface Clock {
  /** Milliseconds of a clock that never jumps; only differences mean something. */
  now(): number
  /** The calendar time, for certificates, stamps and logs. */
  date(): Date
  /** Calls `action` once after `ms` milliseconds (any non-negative number); the result cancels it and may be called at any time. */
  after(ms: number, action: () => void): () => void
}

/** Longest delay that Node's timers hold; longer ones would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  after: (ms, action) => {
    let timer: NodeJS.Timeout
    const arm = (left: number): void => {
      timer = setTimeout(
        () => (left > LONGEST_TIMER ? arm(left - LONGEST_TIMER) : action()),
        Math.min(left, LONGEST_TIMER),
      )
    }
    arm(ms)
    return () => clearTimeout(timer)
  },
}
