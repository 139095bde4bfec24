import { printable, printableJson, withoutPasswords } from '../admin/printable.js'
import { isLater, refusalReason } from './config-refused.js'
import { isKey, KEYS, type Key, optionOf, type Values } from './options.js'

/** Where a value comes from, weakest first. */
export const SOURCES = ['default', 'file', 'environment', 'stored', 'set'] as const

export type Source = (typeof SOURCES)[number]

/** One thing wrong with the settings. `got` is ready to print: limited, escaped, without passwords. */
export interface ConfigProblem {
  readonly key: string
  readonly problem: string
  readonly got?: string
  readonly expected?: string
}

/** The settings cannot be used; nothing was changed. */
export class ConfigInvalid extends Error {
  override readonly name = 'ConfigInvalid'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(problemText).join('\n'))
    this.problems = problems
  }
}

/** `KEY: problem (got VALUE, expected …)`. */
export function problemText({ key, problem, got, expected }: ConfigProblem): string {
  const facts = [got === undefined ? '' : `got ${got}`, expected === undefined ? '' : `expected ${expected}`].filter(
    fact => fact !== '',
  )
  return `${printable(key)}: ${printable(problem)}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`
}

/** What `raw` is as a value of `key`, or what is wrong with it; `place` says where it was written, unless that is the file. */
export function readValue(
  key: Key,
  raw: unknown,
  place: string,
): { readonly value: unknown } | { readonly problem: ConfigProblem } {
  const { schema, expected, show } = optionOf(key).type
  const result = schema.safeParse(raw)
  if (result.success) return { value: freeze(result.data) }
  const message = raw === null ? 'has no value' : (result.error.issues[0]?.message ?? 'not usable')
  const got = show === undefined ? { got: shown(raw) } : {}
  return { problem: { key, problem: placed(message, place), ...got, expected } }
}

/** What to say about a name that is no setting. Its value is never shown: it might be another program's secret. */
export function unknownKey(name: string, place: string): ConfigProblem {
  const key = name.slice(0, LONGEST_SHOWN)
  if (isLater(name)) return { key, problem: placed('not available in this version', place) }
  const reason = refusalReason(name)
  if (reason !== undefined) return { key, problem: placed(`not used here: ${reason}`, place) }
  const near = nearestKey(name)
  const where = place === '' ? 'unknown key' : `unknown key in ${place}`
  return { key, problem: near === undefined ? where : `${where}, did you mean ${near}?` }
}

/** The setting whose name is most like `name`; undefined when none is. */
export function nearestKey(name: string): Key | undefined {
  const wanted = name.toLowerCase().slice(0, LONGEST_SHOWN)
  const lastPart = wanted.slice(wanted.lastIndexOf('.') + 1)
  const sameEnd = KEYS.filter(key => key.toLowerCase().endsWith(`.${lastPart}`))
  let nearest: Key | undefined
  let least = Math.max(2, Math.floor(wanted.length / 5)) + 1
  for (const key of KEYS) {
    const distance = editDistance(wanted, key.toLowerCase())
    if (distance < least) [nearest, least] = [key, distance]
  }
  return nearest ?? (sameEnd.length === 1 ? sameEnd[0] : undefined)
}

/** A value for people: JSON, limited, with nothing that moves a terminal's cursor and no password of a URL. */
export function shown(raw: unknown): string {
  const json = withoutPasswords(printableJson(raw))
  return json.length > LONGEST_SHOWN ? `${json.slice(0, LONGEST_SHOWN)}…` : json
}

/** Relations between settings that no single one can check. */
export function relationProblems(current: (key: Key) => unknown): ConfigProblem[] {
  return [...sharedPorts(current), ...inWrongOrder(current)]
}

/** Two listeners cannot have one port, since all bind the same addresses. */
function sharedPorts(current: (key: Key) => unknown): ConfigProblem[] {
  const seen = new Map<unknown, Key>()
  return PORTS.flatMap(key => {
    const port = current(key)
    if (port === 0 || port === 'any') return []
    const other = seen.get(port)
    seen.set(port, key)
    return other === undefined
      ? []
      : [{ key, problem: `the same port as ${other}`, got: formatted(key, port), expected: 'another port' }]
  })
}

function inWrongOrder(current: (key: Key) => unknown): ConfigProblem[] {
  return RELATIONS.filter(([low, high]) => Number(current(low)) > Number(current(high))).map(([low, high]) => ({
    key: low,
    problem: `greater than ${high}`,
    got: formatted(low, current(low)),
    expected: `at most ${formatted(high, current(high))}`,
  }))
}

/** The text of a value of `key` for people and logs, without secrets. */
export function withoutSecrets(key: Key, value: unknown): string {
  const { type } = optionOf(key)
  return type.show === undefined ? type.format(value) : type.show(value)
}

/** The text of a value of `key` as it can be set again, secrets and all. */
export function formatted(key: Key, value: unknown): string {
  return optionOf(key).type.format(value)
}

/** Every listener's port. */
const PORTS: readonly Key[] = [
  'xmpp.server.socket.port',
  'xmpp.server.socket.ssl.port',
  'ximss.listener.port',
  'ximss.listener.tls.port',
]

/** Settings that are good and do less than one may think. */
export function settingNotes(
  values: Pick<Values, 'xmpp.server.tls.policy' | 'xmpp.server.socket.ssl.active'>,
): string[] {
  if (values['xmpp.server.tls.policy'] !== 'disabled' || !values['xmpp.server.socket.ssl.active']) return []
  return [
    'xmpp.server.socket.ssl.active: no effect, the listener for Direct TLS does not open while xmpp.server.tls.policy is disabled',
  ]
}

/** Pairs of which the first may not be greater than the second. */
const RELATIONS: readonly (readonly [low: Key, high: Key])[] = [
  ['xmpp.server.backoff.initial', 'xmpp.server.backoff.max'],
  ['xmpp.server.limits.stanza-bytes', 'xmpp.server.outgoing.queue-bytes'],
]

const LONGEST_SHOWN = 120

function placed(problem: string, place: string): string {
  return place === '' ? problem : `${problem}, in ${place}`
}

function freeze(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? Object.freeze(value) : value
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** Whether a map below `name` is a value of its own and not a group of settings. */
export function isWholeKey(name: string): boolean {
  return isKey(name) || isLater(name)
}
