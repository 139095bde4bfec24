import type { Command } from 'commander'
import { checkFiles } from '../check-files.js'
import { problemText, settingNotes } from '../config-problems.js'
import { referencePage, sampleYaml } from '../config-sample.js'
import { Settings } from '../settings.js'
import { type DataFlags, load, show, withData } from './cli.js'
import type { CliIo } from './io.js'

interface Flags extends DataFlags {
  readonly sample?: boolean
  readonly reference?: boolean
}

/** `comity check-config`: ends with 0, or with 1 and every error. */
export function addCheckConfig(program: Command, io: CliIo, exit: (code: number) => void): void {
  withData(program.command('check-config'))
    .description('check all settings and the files they name, and exit: 0, or 1 with every error')
    .option('--sample', 'print a settings file with every key and its default instead')
    .option('--reference', 'print the page that explains every setting instead')
    .action(async (flags: Flags) => {
      if (flags.sample) io.output.write(sampleYaml())
      else if (flags.reference) io.output.write(referencePage())
      else exit(await check(io, flags))
    })
}

async function check(io: CliIo, flags: Flags): Promise<number> {
  const loaded = load(io, flags)
  if (loaded.ok) {
    const { file = null, values } = loaded.config
    const { problems, notes: fileNotes } = await checkFiles(new Settings(loaded.config))
    const notes = [...settingNotes(values), ...fileNotes]
    const ok = problems.length === 0
    if (!ok && !flags.json) io.errors.write(problems.map(problem => `${problem}\n`).join(''))
    const verdict = `${file ?? 'no settings file'}: the settings can be used\n`
    show(io, flags, { ok, file, problems, notes }, () => notes.map(note => `${note}\n`).join('') + (ok ? verdict : ''))
    return ok ? 0 : 1
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
