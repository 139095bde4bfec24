import { readFileSync, statSync } from 'node:fs'
import {
  type ConfigProblem,
  isWholeKey,
  readValue,
  relationProblems,
  type Source,
  unknownKey,
} from './config-problems.js'
import { readYaml } from './config-yaml.js'
import { isKey, KEYS, type Key, optionOf, type Values } from './options.js'

/** The file that is read when none is named and it exists. */
export const DEFAULT_FILE = 'conf/comity.yaml'

/** What one source says: only the keys it sets, as values that were checked. */
export type Layer = ReadonlyMap<Key, unknown>

/** Every source but the defaults. */
export type Layers = Readonly<Record<Exclude<Source, 'default'>, Layer>>

/** Where settings are read from. */
export interface ConfigInput {
  /** A YAML file that must exist; without it `conf/comity.yaml` counts when there is one; null: no file. */
  readonly file?: string | null | undefined
  /** The environment: `COMITY_` and the key in upper case, `.` and `-` as `_`. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** From the command line as key and text, or from a program as key and value; of one key the last counts. */
  readonly sets: readonly (readonly [key: string, raw: unknown])[]
  /** Stored properties as they were set. */
  readonly stored?: ReadonlyMap<string, unknown> | undefined
}

export interface Config {
  readonly values: Values
  readonly sources: ReadonlyMap<Key, Source>
  readonly layers: Layers
  /** The file that was read. */
  readonly file: string | undefined
}

export type LoadResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }

/** Larger files are no settings. */
const MOST_BYTES = 1_048_576

/** Variables that Kubernetes gives every program beside a service named comity; they are no settings. */
const FROM_KUBERNETES = /^COMITY_(?:SERVICE_(?:HOST|PORT(?:_.+)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_.+)?)?)$/

/**
 * Reads and checks all settings. Precedence, lowest first: default, file, environment, stored property, `--set`.
 * Everything that is wrong is reported at once.
 */
export function loadConfig({ file, env, sets, stored = new Map() }: ConfigInput): LoadResult {
  const problems: ConfigProblem[] = []
  const path = file === undefined && exists(DEFAULT_FILE) ? DEFAULT_FILE : (file ?? undefined)
  const set = checked(sets, '--set', problems)
  const layers: Layers = {
    file: path === undefined ? new Map() : fromFile(path, problems),
    environment: fromEnvironment(env, problems),
    stored: storedLayer(stored, set, problems),
    set,
  }
  const { values, sources } = merge(layers)
  // A relation between half-read values would only confuse.
  if (problems.length === 0) problems.push(...relationProblems(key => values[key]))
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: { values, sources, layers, file: path } }
}

/** The value and the source that count for every key. */
export function merge(layers: Layers): { readonly values: Values; readonly sources: ReadonlyMap<Key, Source> } {
  const sources = new Map<Key, Source>()
  const pairs = KEYS.map(key => {
    for (const source of ['set', 'stored', 'environment', 'file'] as const) {
      if (layers[source].has(key)) {
        sources.set(key, source)
        return [key, layers[source].get(key)]
      }
    }
    sources.set(key, 'default')
    return [key, optionOf(key).default]
  })
  return { values: Object.fromEntries(pairs) as Values, sources }
}

/** The stored properties as a layer. One that is wrong is passed over when `--set` replaces it, so that a service can be mended. */
export function storedLayer(stored: ReadonlyMap<string, unknown>, set: Layer, problems: ConfigProblem[]): Layer {
  const relevant = [...stored].filter(
    ([key]) => !(isKey(key) && set.has(key) && 'problem' in readValue(key, stored.get(key), '')),
  )
  for (const [key] of relevant) if (isKey(key) && optionOf(key).beforeStore) problems.push(beforeStoreProblem(key))
  return checked(relevant, 'a stored property', problems)
}

/** Why `key` cannot be a stored property. */
export function beforeStoreProblem(key: Key): ConfigProblem {
  return { key, problem: 'cannot be a stored property, it is needed to find them; set it in the file' }
}

/** The name of the environment variable for `key`. */
export function variableOf(key: Key): string {
  return `COMITY_${key.toUpperCase().replace(/[.-]/g, '_')}`
}

function fromEnvironment(env: ConfigInput['env'], problems: ConfigProblem[]): Layer {
  const keys = new Map(KEYS.map(key => [variableOf(key), key]))
  const layer = new Map<Key, unknown>()
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('COMITY_') || text === undefined || FROM_KUBERNETES.test(name)) continue
    const key = keys.get(name)
    if (key === undefined) {
      const likely = KEYS.find(
        known => variableOf(known).replaceAll('_', '') === name.toUpperCase().replaceAll('_', ''),
      )
      const hint = likely === undefined ? '' : `, did you mean ${variableOf(likely)}?`
      problems.push({ key: name, problem: `unknown environment variable${hint}` })
    } else put(layer, key, text, variableOf(key), problems)
  }
  return layer
}

function fromFile(path: string, problems: ConfigProblem[]): Layer {
  const yaml = readText(path, problems)
  if (yaml === undefined) return new Map()
  const found = readYaml(yaml, isWholeKey)
  for (const { line, problem } of found.problems) problems.push({ key: `${path}:${line}`, problem })
  const seen = new Set<string>()
  const layer = new Map<Key, unknown>()
  for (const { key, raw } of found.entries) {
    // A group whose settings are all commented out.
    if (raw === null && KEYS.some(known => known.startsWith(`${key}.`))) continue
    if (seen.has(key)) problems.push({ key, problem: 'given twice' })
    else if (isKey(key)) put(layer, key, raw, '', problems)
    else problems.push(unknownKey(key, ''))
    seen.add(key)
  }
  return layer
}

function checked(entries: Iterable<readonly [string, unknown]>, place: string, problems: ConfigProblem[]): Layer {
  const layer = new Map<Key, unknown>()
  for (const [key, raw] of entries) {
    if (isKey(key)) put(layer, key, raw, place, problems)
    else problems.push(unknownKey(key, place))
  }
  return layer
}

function put(layer: Map<Key, unknown>, key: Key, raw: unknown, place: string, problems: ConfigProblem[]): void {
  const read = readValue(key, raw, place)
  if ('problem' in read) problems.push(read.problem)
  else layer.set(key, read.value)
}

function readText(path: string, problems: ConfigProblem[]): string | undefined {
  try {
    const { size } = statSync(path)
    if (size <= MOST_BYTES) return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
    problems.push({
      key: path,
      problem: `too large for a file of settings`,
      got: `${size} bytes`,
      expected: `at most ${MOST_BYTES}`,
    })
  } catch (error) {
    problems.push({ key: path, problem: `cannot be read: ${error instanceof Error ? error.message : String(error)}` })
  }
  return undefined
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
