import type { Log, LogFields } from '../../lib/base/log.js'

export interface LogEntry {
  readonly event: string
  readonly fields: LogFields
}

/** Keeps every line of a log, and lets a spec wait for one. */
export class ScriptedLog implements Log {
  readonly entries: LogEntry[] = []
  readonly #waiting: { readonly event: string; readonly resolve: (entry: LogEntry) => void }[] = []

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

  /** The first entry with this name, now or when it comes. */
  async first(event: string): Promise<LogFields> {
    const entry = this.entries.find(one => one.event === event)
    if (entry !== undefined) return entry.fields
    return (await new Promise<LogEntry>(resolve => this.#waiting.push({ event, resolve }))).fields
  }

  #add(event: string, fields: LogFields): void {
    const entry = { event, fields }
    this.entries.push(entry)
    for (const waiting of this.#waiting.filter(one => one.event === event)) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      waiting.resolve(entry)
    }
  }
}
