import { z } from 'zod'
import { parseFlow } from './config-yaml.js'
import { type DurationUnit, formatDuration, parseDuration, unitName } from './durations.js'

/** What a setting may hold: reads it from YAML or from text (environment, `--set`, stored property) and writes it again. */
export interface OptionType<T> {
  readonly schema: z.ZodType<T>
  /** Continues the sentence "expected …". */
  readonly expected: string
  /** What a bare number counts; empty when nothing is counted. */
  readonly unit: string
  /** The values allowed, for tables. */
  readonly range: string
  /** Text that the schema reads back as the same value. */
  format(value: T): string
  /** For people, where `format` would tell a secret; a wrong value of such a setting is never shown. */
  readonly show?: (value: T) => string
}

/** Most entries that any list or map setting may have. */
const MOST_ENTRIES = 10_000

/** True or false; `yes`, `no`, `on`, `off` in any case mean the same. */
export function flag(): OptionType<boolean> {
  return {
    schema: z.preprocess(textToFlag, z.boolean('not true or false')),
    expected: 'true or false',
    unit: '',
    range: 'true, false',
    format: String,
  }
}

/** A whole number from `min` to `max`, both allowed. */
export function integer(min: number, max: number, unit = ''): OptionType<number> {
  const whole = z.int('not a whole number').min(min, 'out of range').max(max, 'out of range')
  return {
    schema: z.preprocess(textToNumber, whole),
    expected: `a whole number from ${min} to ${max}`,
    unit,
    range: `${min} – ${max}`,
    format: String,
  }
}

/** A port to listen at; `any` takes one that is free, and with `offAtZero` the number 0 means that nothing listens. */
export function listenerPort(offAtZero: boolean): OptionType<number | 'any'> {
  const lowest = offAtZero ? 0 : 1
  const port = z
    .union([z.literal('any'), z.int()], { error: 'not a port' })
    .refine(value => value === 'any' || (value >= lowest && value <= 65_535), 'out of range')
  const off = offAtZero ? ', 0 for none' : ''
  return {
    schema: z.preprocess(textToNumber, port),
    expected: `a port from 1 to 65535${off}, or any for a free one`,
    unit: '',
    range: `${lowest} – 65535, any`,
    format: String,
  }
}

/** Limits of a duration, both in milliseconds and both allowed. `never` lets -1 stand for "no limit". */
export interface DurationLimits {
  readonly unit: DurationUnit
  readonly min: number
  readonly max: number
  readonly never?: boolean
  /** Written as a bare number of `unit`, for keys whose name or tradition fixes the unit. */
  readonly bare?: boolean
}

/** A span of time; its value is in milliseconds, or -1 for never where that is allowed. */
export function duration({ unit, min, max, never = false, bare = false }: DurationLimits): OptionType<number> {
  const span = z.number('not a duration').refine(ms => (never && ms === -1) || (ms >= min && ms <= max), 'out of range')
  const readBack = (ms: number): number => ms / (parseDuration(1, unit) ?? 1)
  const limit = bare ? (ms: number) => String(readBack(ms)) : formatDuration
  const example = unit === 'ms' ? '250ms' : `30${unit}`
  return {
    schema: z.preprocess(raw => textToDuration(raw, unit), span),
    expected: `a number of ${unitName(unit)} or a text such as ${example}, from ${limit(min)} to ${limit(max)}${never ? ', or -1 for never' : ''}`,
    unit: unitName(unit),
    range: `${limit(min)} – ${limit(max)}${never ? ', -1' : ''}`,
    format: ms => (ms === -1 ? '-1' : limit(ms)),
  }
}

/** One of the words given. */
export function choice<const W extends readonly [string, ...string[]]>(...words: W): OptionType<W[number]> {
  return {
    schema: z.enum(words, 'not one of the choices'),
    expected: `one of ${words.join(', ')}`,
    unit: '',
    range: words.join(', '),
    format: word => word,
  }
}

/** A text; `problem` says what is wrong with one, or nothing. */
export function text(what: string, problem: (value: string) => string | undefined): OptionType<string> {
  const schema = z.string('not a text').superRefine((value, context) => {
    const found = problem(value)
    if (found !== undefined) context.addIssue(found)
  })
  return { schema, expected: what, unit: '', range: '', format: value => value }
}

/** A list without repetitions; one text is a list of its parts between commas. */
export function list<T extends string>(what: string, entry: z.ZodType<T>, leastEntries = 0): OptionType<readonly T[]> {
  const entries = z
    .array(entry, 'not a list')
    .min(leastEntries, 'empty')
    .max(MOST_ENTRIES, 'too many entries')
    .refine(all => new Set(all).size === all.length, 'the same entry twice')
  return {
    schema: z.preprocess(textToList, entries),
    expected: `a list of ${what}`,
    unit: '',
    range: '',
    format: value => JSON.stringify(value),
  }
}

/** Some of `values`, in an order that means something. */
export function someOf<const T extends readonly [string, ...string[]]>(...values: T): OptionType<readonly T[number][]> {
  const what = `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
  return list<T[number]>(what, z.enum(values, { error: `not ${what}` }))
}

/** A map of texts to texts; one text is a YAML map between braces, or `name=value` between commas. */
export function map(
  what: string,
  key: z.ZodType<string, string>,
  value: z.ZodType<string>,
): OptionType<Readonly<Record<string, string>>> {
  const record = z
    .record(key, value, { error: issue => (issue.code === 'invalid_key' ? firstMessage(issue.issues) : 'not a map') })
    .refine(all => Object.keys(all).length <= MOST_ENTRIES, 'too many entries')
  return {
    schema: z.preprocess(textToMap, record),
    expected: `a map of ${what}`,
    unit: '',
    range: '',
    format: all => JSON.stringify(all),
  }
}

function textToFlag(raw: unknown): unknown {
  if (typeof raw !== 'string') return raw
  if (/^(?:true|yes|on)$/i.test(raw)) return true
  return /^(?:false|no|off)$/i.test(raw) ? false : raw
}

function textToNumber(raw: unknown): unknown {
  return typeof raw === 'string' && /^-?\d{1,15}$/.test(raw) ? Number(raw) : raw
}

function textToDuration(raw: unknown, unit: DurationUnit): unknown {
  if (raw === -1 || raw === '-1') return -1
  return typeof raw === 'number' || typeof raw === 'string' ? (parseDuration(raw, unit) ?? raw.toString()) : raw
}

function textToList(raw: unknown): unknown {
  if (typeof raw !== 'string') return raw
  const written = raw.trim()
  if (written === '') return []
  const flow = written.startsWith('[') ? parseFlow(written) : written
  return Array.isArray(flow) ? flow : written.split(',').map(part => part.trim())
}

function textToMap(raw: unknown): unknown {
  if (typeof raw !== 'string') return raw
  const written = raw.trim()
  if (written === '') return {}
  if (written.startsWith('{')) return parseFlow(written)
  const pairs = written.split(',').map(part => part.trim().split('='))
  return pairs.every(pair => pair.length === 2) ? Object.fromEntries(pairs) : raw
}

function firstMessage(issues: readonly { readonly message: string }[]): string {
  return issues[0]?.message ?? 'not a map'
}
