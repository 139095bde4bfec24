/** *error* is for the makers, *warn* for the admin, *info* for life-cycle events, *debug* for single elements. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

export type LogFields = Readonly<Record<string, unknown>>

/** Structured log: an event name that never changes, then fields. Never a secret, a key or a message body. */
export interface Log {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  /** A log that adds `fields` (for example `tag: 'S2SO-00001'`) to every line. */
  child(fields: LogFields): Log
}

/** Says nothing: for embedding and for specs. */
export const silentLog: Log = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  child: () => silentLog,
}
