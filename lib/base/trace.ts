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
  readonly #onStep: (step: TraceStep) => void

  /** `onStep` hears each step as it is noted. */
  constructor(clock: Clock, onStep: (step: TraceStep) => void = () => {}) {
    this.#clock = clock
    this.#start = clock.now()
    this.#onStep = onStep
  }

  note(step: string, facts: Readonly<Record<string, unknown>> = {}): void {
    if (this.steps.length >= MOST_STEPS) return
    const noted = { atMs: Math.round(this.#clock.now() - this.#start), step, facts }
    this.steps.push(noted)
    this.#onStep(noted)
  }

  /** Notes that from now on the attempt waits for `step`. */
  waitFor(step: string): void {
    this.waitingFor = step
  }
}
