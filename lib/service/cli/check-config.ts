import type { Command } from 'commander'
import { problemText } from '../config-problems.js'
import { referencePage, sampleYaml } from '../config-sample.js'
import { type DataFlags, load, show, withData } from './cli.js'
import type { CliIo } from './io.js'

interface Flags extends DataFlags {
  readonly sample?: boolean
  readonly reference?: boolean
}

/** `comity check-config`: ends with 0, or with 1 and every error. */
export function addCheckConfig(program: Command, io: CliIo, exit: (code: number) => void): void {
  withData(program.command('check-config'))
    .description('check all settings and exit: 0, or 1 with every error')
    .option('--sample', 'print a settings file with every key and its default instead')
    .option('--reference', 'print the page that explains every setting instead')
    .action((flags: Flags) => {
      if (flags.sample) io.output.write(sampleYaml())
      else if (flags.reference) io.output.write(referencePage())
      else exit(check(io, flags))
    })
}

function check(io: CliIo, flags: Flags): number {
  const loaded = load(io, flags)
  if (loaded.ok) {
    const { file } = loaded.config
    show(
      io,
      flags,
      { ok: true, file: file ?? null, problems: [] },
      () => `${file ?? 'no settings file'}: the settings can be used\n`,
    )
    return 0
  }
  if (flags.json)
    show(
      io,
      flags,
      { ok: false, problems: loaded.problems.map(problem => ({ ...problem, text: problemText(problem) })) },
      String,
    )
  else io.errors.write(loaded.problems.map(problem => `${problemText(problem)}\n`).join(''))
  return 1
}
