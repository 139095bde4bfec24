import type { Log, LogFields } from '../../lib/base/log.js'

export interface LogEntry {
  readonly event: string
  readonly fields: LogFields
}

type Match = (fields: LogFields) => boolean

interface Waiting {
  readonly event: string
  readonly match: Match
  resolve(fields: LogFields): void
}

/** Keeps every line of a log, and lets a spec wait for one. */
export class ScriptedLog implements Log {
  readonly entries: LogEntry[] = []
  #waiting: Waiting[] = []

  readonly error = (event: string, fields: LogFields = {}): void => this.#add(event, fields)
  readonly warn = this.error
  readonly info = this.error
  readonly debug = this.error

  /** Tags are of no interest here. */
  child(): Log {
    return this
  }

  all(event: string): readonly LogFields[] {
    return this.entries.filter(entry => entry.event === event).map(({ fields }) => fields)
  }

  /** The first entry with this name that fits, now or when it comes. */
  first(event: string, match: Match = () => true): Promise<LogFields> {
    const fields = this.all(event).find(match)
    if (fields !== undefined) return Promise.resolve(fields)
    return new Promise(resolve => this.#waiting.push({ event, match, resolve }))
  }

  #add(event: string, fields: LogFields): void {
    this.entries.push({ event, fields })
    const fits = (one: Waiting): boolean => one.event === event && one.match(fields)
    const told = this.#waiting.filter(fits)
    this.#waiting = this.#waiting.filter(one => !fits(one))
    for (const { resolve } of told) resolve(fields)
  }
}
