import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Surroundings } from '../spec/peers/surroundings.js'
import { startComity } from './comity.js'
import { canPin, findProgram, pinLoad, tickMicroseconds } from './cpu.js'
import { measure, type Run } from './measure.js'
import { MOST_NUMBERS } from './messages.js'
import { type BenchOptions, readOptions, USAGE } from './options.js'
import { startProsody } from './prosody.js'
import { pump } from './pump.js'
import { type Series, summarize, table } from './report.js'
import { openSetting, type Setting } from './setting.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What is said on the way; the results alone go to standard output. */
function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

function build(): void {
  say('building dist/ …')
  const tsc = `${ROOT}node_modules/.bin/tsc`
  const { status } = spawnSync(tsc, ['-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error('the build failed; --no-build measures what is in dist/ already')
}

async function openSettings(options: BenchOptions, surroundings: Surroundings, pin: boolean): Promise<Setting[]> {
  const settings: Setting[] = []
  try {
    const comity = openSetting('comity', surroundings, pin, request => startComity(request, options.profile))
    settings.push(await comity)
    if (options.withProsody) {
      if (findProgram('prosody') === undefined) {
        say('Prosody is not installed and is left out; spec/peers/install.sh installs it')
      } else settings.push(await openSetting('prosody', surroundings, pin, startProsody))
    }
    return settings
  } catch (error) {
    await Promise.allSettled(settings.map(setting => setting.close()))
    throw error
  }
}

/** The servers take turns, so that a change in the machine's mood meets all of them. */
async function measureAll(settings: readonly Setting[], options: BenchOptions): Promise<Series[]> {
  const { directions, count, warmUp, repeat, window, batch } = options
  if (1 + directions.length * (warmUp + repeat * count) > MOST_NUMBERS) throw new Error('too many messages to number')
  const tick = tickMicroseconds()
  const all = settings.flatMap(setting =>
    directions.map(direction => ({ setting, direction, runs: [] as Run[], first: 1 })),
  )
  for (const { setting, direction, ...one } of all) {
    say(`warming up ${setting.server.name}, ${direction} …`)
    await pump(setting.paths.get(direction)!, { first: one.first, count: warmUp, window, batch })
  }
  for (let round = 1; round <= repeat; round++) {
    say(`round ${round} of ${repeat} …`)
    for (const { setting, direction, runs, first } of all) {
      const begin = first + warmUp + (round - 1) * count
      runs.push(await measure(setting, direction, tick, { first: begin, count, window, batch }))
    }
  }
  return all.map(({ setting, direction, runs }) => ({ server: setting.server.name, direction, runs }))
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(USAGE)
    return
  }
  if (options.build) build()
  const pin = canPin()
  if (pin) pinLoad()
  else say('one processor, or no taskset: nothing is pinned, figures vary more')
  const surroundings = await Surroundings.open('external')
  let settings: Setting[] = []
  try {
    settings = await openSettings(options, surroundings, pin)
    const series = await measureAll(settings, options)
    const summaries = series.map(summarize)
    const { count, repeat, window, batch } = options
    const machine = { node: process.version, processor: cpus()[0]?.model ?? '', processors: cpus().length, pinned: pin }
    const result = { machine, count, repeat, window, batch, summaries, series }
    const heading = `${count} messages of 300 bytes per run, ${repeat} runs, medians; Node ${process.version}, ${machine.processor}`
    process.stdout.write(
      options.json ? `${JSON.stringify(result, null, 2)}\n` : `\n${heading}\n\n${table(summaries)}\n`,
    )
  } finally {
    await Promise.allSettled(settings.map(setting => setting.close()))
    await surroundings.close()
  }
}

try {
  await main()
} catch (error) {
  say(`bench failed: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
