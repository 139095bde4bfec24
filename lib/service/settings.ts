import { beforeStoreProblem, type Config, type Layer, type Layers, loadConfig, merge, storedLayer } from './config.js'
import {
  ConfigInvalid,
  type ConfigProblem,
  formatted,
  readValue,
  relationProblems,
  type Source,
  unknownKey,
  withoutSecrets,
} from './config-problems.js'
import { isKey, KEYS, type Key, optionOf, type TakesEffect, type Value, type Values } from './options.js'

/** A source that can be changed while the service runs. */
export type LiveSource = 'stored' | 'set'

/** A setting that holds another value than before. */
export interface Change {
  readonly key: Key
  readonly value: unknown
  readonly previous: unknown
  readonly takesEffect: TakesEffect
}

/** What came of a change. */
export type Applied =
  | {
      readonly ok: true
      readonly key: Key
      /** The value that counts now, as text. */
      readonly value: string
      /** Where it comes from; another source than the one changed when a stronger one hides the change. */
      readonly source: Source
      readonly changed: boolean
      readonly takesEffect: TakesEffect
      /** Whether the running service obeys it already. */
      readonly atOnce: boolean
    }
  | { readonly ok: false; readonly problem: ConfigProblem }

/** One line of the list of settings. */
export interface SettingRow {
  readonly key: Key
  readonly value: string
  readonly default: string
  readonly source: Source
  readonly takesEffect: TakesEffect
  readonly unit: string
  readonly meaning: string
}

/** The settings of a running service: what counts now, where it comes from, and changes with their listeners. */
export class Settings {
  #layers: Layers
  #values: Values
  #sources: ReadonlyMap<Key, Source>
  readonly #listeners = new Set<(change: Change) => void>()

  constructor(config: Config) {
    this.#layers = config.layers
    this.#values = config.values
    this.#sources = config.sources
  }

  /** The value that counts. Durations are in milliseconds, -1 is never. */
  get<K extends Key>(key: K): Value<K> {
    return this.#values[key]
  }

  /** Where the value of `key` comes from. */
  source(key: Key): Source {
    return this.#sources.get(key) ?? 'default'
  }

  /** Calls `listener` after every change of a value, once all settings hold their new values; the result ends that. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls `listener` with the value of `key` after it changed; the result ends that. */
  onChangeOf<K extends Key>(key: K, listener: (value: Value<K>) => void): () => void {
    return this.onChange(change => {
      if (change.key === key) listener(this.get(key))
    })
  }

  /** Checks `raw` and lets `source` say it for `name`. Nothing changes when it is wrong. */
  apply(name: string, raw: unknown, source: LiveSource): Applied {
    if (!isKey(name)) return { ok: false, problem: unknownKey(name, '') }
    if (source === 'stored' && optionOf(name).beforeStore) return { ok: false, problem: beforeStoreProblem(name) }
    const read = readValue(name, raw, '')
    if ('problem' in read) return { ok: false, problem: read.problem }
    return this.#change(name, source, new Map([...this.#layers[source], [name, read.value]]))
  }

  /** Lets `source` say nothing about `name` any more, so that the next weaker source counts again. */
  unset(name: string, source: LiveSource): Applied {
    if (!isKey(name)) return { ok: false, problem: unknownKey(name, '') }
    return this.#change(name, source, new Map([...this.#layers[source]].filter(([key]) => key !== name)))
  }

  /** Takes the stored properties in, all or none. @throws ConfigInvalid when one cannot be used. */
  useStored(stored: ReadonlyMap<string, unknown>): void {
    const problems: ConfigProblem[] = []
    const layer = storedLayer(stored, this.#layers.set, problems)
    if (problems.length > 0) throw new ConfigInvalid(problems)
    this.#replaceOrThrow({ ...this.#layers, stored: layer })
  }

  /** Takes file and environment from `config`, which was read again; live changes stay. The result takes it back. @throws ConfigInvalid. */
  reload(config: Config): () => void {
    const { file, environment } = this.#layers
    this.#replaceOrThrow({ ...this.#layers, file: config.layers.file, environment: config.layers.environment })
    return () => this.#replaceOrThrow({ ...this.#layers, file, environment })
  }

  /** One row of the list, or all of them in the order of the table. */
  row(key: Key): SettingRow {
    const { default: fallback, takesEffect, meaning, type } = optionOf(key)
    const value = withoutSecrets(key, this.#values[key])
    return {
      key,
      value,
      default: withoutSecrets(key, fallback),
      source: this.source(key),
      takesEffect,
      unit: type.unit,
      meaning,
    }
  }

  rows(): SettingRow[] {
    return KEYS.map(key => this.row(key))
  }

  #change(key: Key, source: LiveSource, layer: Layer): Applied {
    const before = formatted(key, this.#values[key])
    const problem = this.#replace({ ...this.#layers, [source]: layer })[0]
    if (problem) return { ok: false, problem }
    const { takesEffect } = optionOf(key)
    return {
      ok: true,
      key,
      value: withoutSecrets(key, this.#values[key]),
      source: this.source(key),
      changed: formatted(key, this.#values[key]) !== before,
      takesEffect,
      atOnce: takesEffect === 'now',
    }
  }

  #replaceOrThrow(layers: Layers): void {
    const problems = this.#replace(layers)
    if (problems.length > 0) throw new ConfigInvalid(problems)
  }

  #replace(layers: Layers): ConfigProblem[] {
    const { values, sources } = merge(layers)
    const problems = relationProblems(key => values[key])
    if (problems.length > 0) return problems
    const previous = this.#values
    this.#layers = layers
    this.#values = values
    this.#sources = sources
    for (const key of KEYS) {
      if (formatted(key, previous[key]) === formatted(key, values[key])) continue
      const change = { key, value: values[key], previous: previous[key], takesEffect: optionOf(key).takesEffect }
      for (const listener of [...this.#listeners]) listener(change)
    }
    return []
  }
}

/** Settings from values alone, without file or environment: for programs that embed the service. @throws ConfigInvalid */
export function settingsOf(values: Readonly<Record<string, unknown>>): Settings {
  const loaded = loadConfig({ file: null, env: {}, sets: Object.entries(values) })
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems)
  return new Settings(loaded.config)
}
