import type { LogFields, LogLevel } from '../base/log.js'
import { printableJson } from './printable.js'

const LABELS: Readonly<Record<LogLevel, string>> = { error: 'ERROR', warn: 'WARN ', info: 'INFO ', debug: 'DEBUG' }

const COLORS: Readonly<Record<LogLevel, number>> = { error: 31, warn: 33, info: 32, debug: 90 }

/** A line of the log before it is text; its fields are loggable already. */
export interface PrettyLine {
  readonly date: Date
  readonly level: LogLevel
  readonly event: string
  readonly fields: LogFields
  readonly color: boolean
}

/** `2026-01-31 12:00:00.000 INFO  [TAG] event name=value …` with a line feed. */
export function prettyLine({ date, level, event, fields, color }: PrettyLine): string {
  const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text)
  const { tag, ...others } = fields
  const parts = [paint(90, date.toISOString().replace('T', ' ').replace('Z', '')), paint(COLORS[level], LABELS[level])]
  if (tag !== undefined) parts.push(paint(36, `[${prettyValue(tag)}]`))
  parts.push(color ? paint(1, event) : event)
  for (const [name, value] of Object.entries(others))
    if (value !== undefined) parts.push(`${paint(90, `${name}=`)}${prettyValue(value)}`)
  return `${parts.join(' ')}\n`
}

/** Bare when that cannot be misread, else as JSON. */
function prettyValue(value: unknown): string {
  return typeof value === 'string' && /^[^\s"'=[\]{}]+$/.test(value) ? value : printableJson(value)
}
