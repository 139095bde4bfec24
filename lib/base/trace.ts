import type { Clock } from './clock.js'

/** One step of an attempt: what was done or learned, and how many milliseconds after the start. */
export interface TraceStep {
  readonly atMs: number
  readonly step: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** Most steps one attempt keeps; a peer cannot make a trace grow without end. */
const MOST_STEPS = 200

/** The steps of one attempt, in order; kept to explain it to people. `waitingFor` names the step a deadline interrupts. */
export class Trace {
  readonly steps: TraceStep[] = []
  waitingFor = 'start'
  readonly #clock: Clock
  readonly #start: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#start = clock.now()
  }

  note(step: string, facts: Readonly<Record<string, unknown>> = {}): void {
    if (this.steps.length < MOST_STEPS) this.steps.push({ atMs: Math.round(this.#clock.now() - this.#start), step, facts })
  }

  /** Notes that from now on the attempt waits for `step`. */
  waitFor(step: string): void {
    this.waitingFor = step
  }
}
