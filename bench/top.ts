import { readFileSync } from 'node:fs'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const SHOWN = 25
const NOT_WORK = new Set(['(idle)'])

/** `tsx bench/top.ts FILE.cpuprofile`: the functions that used most of the time themselves, without those they called. */
function main(file: string): void {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === '' ? '' : ` ${url.replace(/^.*\/(dist|node_modules)\//, '')}:${lineNumber + 1}`
      return [id, `${functionName || '(anonymous)'}${place}`] as const
    }),
  )
  const times = new Map<string, number>()
  let total = 0
  for (const [i, id] of profile.samples.entries()) {
    const name = names.get(id) ?? ''
    const time = profile.timeDeltas[i] ?? 0
    if (NOT_WORK.has(name)) continue
    total += time
    times.set(name, (times.get(name) ?? 0) + time)
  }
  const lines = [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([name, time]) => `${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}\n`)
  process.stdout.write(lines.join(''))
}

const [file] = process.argv.slice(2)
if (file === undefined) {
  console.error('usage: tsx bench/top.ts FILE.cpuprofile')
  process.exitCode = 2
} else main(file)
