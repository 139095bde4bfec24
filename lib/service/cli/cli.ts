import { type Command, InvalidArgumentError } from 'commander'
import { printableJson } from '../../admin/printable.js'
import { type ConfigInput, type LoadResult, loadConfig } from '../config.js'
import { ConfigInvalid } from '../config-problems.js'
import { Settings } from '../settings.js'
import type { CliIo } from './io.js'

/** The options that every command has. */
export interface SettingsFlags {
  readonly config?: string
  readonly set: readonly (readonly [key: string, text: string])[]
}

/** The options of commands that print data. */
export interface DataFlags extends SettingsFlags {
  readonly json?: boolean
}

/** Adds `--config` and `--set`. */
export function withSettings(command: Command): Command {
  return command
    .option('--config <file>', 'settings file (default: conf/comity.yaml when there is one)')
    .option('--set <key=value>', 'one setting, stronger than file and environment; may be repeated', collectSet, [])
}

/** Adds `--config`, `--set` and `--json`. */
export function withData(command: Command): Command {
  return withSettings(command).option('--json', 'print JSON')
}

/** Reads all settings again, with every flag of the command line. */
export function load(io: CliIo, flags: SettingsFlags): LoadResult {
  const input: ConfigInput = { file: flags.config, env: io.env, sets: flags.set }
  return loadConfig(input)
}

/** @throws ConfigInvalid */
export function loadSettings(io: CliIo, flags: SettingsFlags): Settings {
  const loaded = load(io, flags)
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems)
  return new Settings(loaded.config)
}

/** Prints `value` as JSON when that was asked for, else the text. */
export function show(io: CliIo, flags: DataFlags, value: unknown, text: () => string): void {
  io.output.write(flags.json ? `${printableJson(value, 2)}\n` : text())
}

function collectSet(text: string, before: SettingsFlags['set']): SettingsFlags['set'] {
  const end = text.indexOf('=')
  if (end < 1) throw new InvalidArgumentError('Expected KEY=VALUE.')
  return [...before, [text.slice(0, end).trim(), text.slice(end + 1)]]
}
