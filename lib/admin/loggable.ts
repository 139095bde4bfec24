import type { LogFields } from '../base/log.js'
import { printable, withoutPasswords } from './printable.js'

/** Longest text of one value, most entries of one collection, deepest nesting: a line is for reading. */
const LONGEST_TEXT = 2_000
const MOST_ENTRIES = 100
const DEEPEST = 5

/** Names whose values are never written. A net below the rule that nobody logs them, not a replacement for it. */
const SECRET_NAMES =
  /pass(?:word|wd|phrase|code)|^pass$|secret|auth[_-]?data|authorization|credential|token|cookie|private[_-]?key/i
/** Apart, because case tells `privateKey` from `monkey`. */
const KEY_NAMES = /^keys?$|^KEYS?$|[a-z0-9]Keys?$|[_.-][Kk]eys?$|_KEYS?$/

/** Fields as they may stand in a log. */
export function loggableFields(fields: LogFields): LogFields {
  return loggableEntries(Object.entries(fields), 1)
}

/** One value as it may stand in a log: plain, limited, nothing but printable text, no passwords of URLs. */
export function loggable(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case 'string':
      return loggableText(value)
    case 'bigint':
      return value.toString()
    case 'function':
    case 'symbol':
      return `[${typeof value}]`
    case 'object':
      return value === null ? null : loggableObject(value, depth + 1)
    default:
      return value
  }
}

function loggableObject(value: object, depth: number): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString()
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (value instanceof URL) return loggableText(value.href)
  if (depth > DEEPEST) return '[deeper]'
  if (value instanceof Error) return loggableError(value, depth)
  if (value instanceof Map)
    return loggableEntries(
      [...value].map(([name, part]) => [String(name), part]),
      depth,
    )
  if (Array.isArray(value) || value instanceof Set) return loggableList([...value], depth)
  try {
    return loggableEntries(Object.entries(value), depth)
  } catch {
    return '[unreadable]'
  }
}

function loggableEntries(entries: readonly (readonly [string, unknown])[], depth: number): Record<string, unknown> {
  const kept = entries
    .slice(0, MOST_ENTRIES)
    .map(([name, value]) => [loggableText(name), isSecretName(name) ? '[redacted]' : loggable(value, depth)])
  return Object.fromEntries(
    entries.length > MOST_ENTRIES ? [...kept, ['…', `${entries.length - MOST_ENTRIES} more`]] : kept,
  )
}

function loggableList(values: readonly unknown[], depth: number): unknown[] {
  const kept = values.slice(0, MOST_ENTRIES).map(value => loggable(value, depth))
  return values.length > MOST_ENTRIES ? [...kept, `… ${values.length - MOST_ENTRIES} more`] : kept
}

function loggableError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause, ...rest } = error
  const facts: [string, unknown][] = [['name', name], ['message', message], ...Object.entries(rest)]
  if (stack !== undefined) facts.push(['stack', stack])
  if (cause !== undefined) facts.push(['cause', cause])
  return loggableEntries(facts, depth)
}

function loggableText(text: string): string {
  const cut = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text
  return printable(withoutPasswords(cut))
}

function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name) || KEY_NAMES.test(name)
}
