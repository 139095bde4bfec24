import type { Command } from 'commander'
import { printable } from '../../admin/printable.js'
import { type Config, loadConfig } from '../config.js'
import { ConfigInvalid, formatted } from '../config-problems.js'
import type { RunDemo } from '../contract.js'
import { type SettingsFlags, withSettings } from './cli.js'
import { CliFailure, type CliIo } from './io.js'
import { onSignals } from './signals.js'

interface Flags extends SettingsFlags {
  readonly once?: boolean
}

/** `comity demo`: two services for two made-up domains exchange messages on loopback. Of files only one that is named counts. */
export function addDemo(program: Command, io: CliIo, loadDemo: () => Promise<RunDemo>): void {
  withSettings(program.command('demo'))
    .description('two services for two domains exchange messages on loopback')
    .option('--once', 'exit after the exchange instead of staying up')
    .action(async (flags: Flags) => {
      const loaded = loadConfig({ file: flags.config ?? null, env: {}, sets: flags.set })
      if (!loaded.ok) throw new ConfigInvalid(loaded.problems)
      const runDemo = await loadDemo()
      const stopping = new AbortController()
      const release = onSignals({ stop: () => stopping.abort() })
      try {
        const isDone = await runDemo({
          once: flags.once === true,
          sets: [...fromFile(loaded.config), ...flags.set],
          signal: stopping.signal,
          print: line => io.output.write(`${printable(line)}\n`),
        })
        if (!isDone) throw new CliFailure('the exchange failed')
      } finally {
        release()
      }
    })
}

function fromFile(config: Config): (readonly [string, string])[] {
  return [...config.layers.file].map(([key, value]) => [key, formatted(key, value)])
}
