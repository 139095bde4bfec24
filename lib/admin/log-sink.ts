import { type DestinationStream, pino } from 'pino'
import { type Clock, systemClock } from '../base/clock.js'
import type { Log, LogFields, LogLevel } from '../base/log.js'
import { loggable, loggableFields } from './loggable.js'
import { prettyLine } from './pretty-line.js'

const RANK: Readonly<Record<LogLevel, number>> = { error: 3, warn: 2, info: 1, debug: 0 }

/** How a log is written. */
export interface LogSinkOptions {
  readonly level: LogLevel
  /** *json*: one object per line; *pretty*: one line of text, for people. */
  readonly format: 'json' | 'pretty'
  /** Takes one whole line with its line feed; default standard error. */
  readonly write?: (line: string) => void
  /** Pretty lines with colours. */
  readonly color?: boolean
  readonly clock?: Clock
}

/** What all children of one log share. */
interface Shared {
  level: LogLevel
  readonly write: (level: LogLevel, event: string, fields: LogFields) => void
}

/**
 * Writes one line per event. Control characters in names and values are escaped, so that nothing a stranger sends starts a line or
 * drives a terminal; fields named like secrets are never written; long values are cut.
 */
export class LogSink implements Log {
  readonly #shared: Shared
  readonly #fields: LogFields

  constructor(shared: Shared, fields: LogFields = {}) {
    this.#shared = shared
    this.#fields = fields
  }

  /** The least important level that is written; setting it counts at once for all children. */
  get level(): LogLevel {
    return this.#shared.level
  }

  set level(level: LogLevel) {
    this.#shared.level = level
  }

  error(event: string, fields?: LogFields): void {
    this.#log('error', event, fields)
  }

  warn(event: string, fields?: LogFields): void {
    this.#log('warn', event, fields)
  }

  info(event: string, fields?: LogFields): void {
    this.#log('info', event, fields)
  }

  debug(event: string, fields?: LogFields): void {
    this.#log('debug', event, fields)
  }

  child(fields: LogFields): LogSink {
    return new LogSink(this.#shared, { ...this.#fields, ...loggableFields(fields) })
  }

  #log(level: LogLevel, event: string, fields: LogFields = {}): void {
    if (RANK[level] < RANK[this.#shared.level]) return
    this.#shared.write(level, String(loggable(event)), { ...this.#fields, ...loggableFields(fields) })
  }
}

/** Makes a log. */
export function createLog({ level, format, write, color = false, clock = systemClock }: LogSinkOptions): LogSink {
  const destination: DestinationStream = write ? { write } : pino.destination({ fd: 2, sync: true })
  if (format === 'pretty') {
    return new LogSink({
      level,
      write: (rank, event, fields) =>
        destination.write(prettyLine({ date: clock.date(), level: rank, event, fields, color })),
    })
  }
  const json = pino(
    {
      level: 'debug',
      base: null,
      timestamp: () => `,"time":"${clock.date().toISOString()}"`,
      formatters: { level: name => ({ level: name }) },
      messageKey: 'event',
    },
    destination,
  )
  return new LogSink({ level, write: (rank, event, fields) => json[rank](withoutOwnNames(fields), event) })
}

/** A field must not stand for the time, level or event of its line: readers would see two. */
function withoutOwnNames(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [OWN_NAMES.has(name) ? `${name}_` : name, value]),
  )
}

const OWN_NAMES: ReadonlySet<string> = new Set(['time', 'level', 'event'])
