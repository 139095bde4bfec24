import { execFileSync, spawnSync } from 'node:child_process'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const SERVER_CPU = 0
const LOAD_CPU = 1

/** CPU time that a process and its descendants, also those that have ended, have used so far, in microseconds (proc_pid_stat(5)). */
export function cpuMicroseconds(pid: number, tickMicroseconds: number): number {
  const family = new Set([pid])
  const stats = readdirSync('/proc').flatMap(name => (/^\d+$/.test(name) ? (readStat(name) ?? []) : []))
  for (let before = 0; before !== family.size; ) {
    before = family.size
    for (const stat of stats) if (family.has(stat.parent)) family.add(stat.pid)
  }
  const ticks = stats.reduce((sum, stat) => sum + (family.has(stat.pid) ? stat.ticks : 0), 0)
  return ticks * tickMicroseconds
}

/** The unit of the kernel's CPU accounting. */
export function tickMicroseconds(): number {
  return 1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
}

interface Stat {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
}

/** Undefined when the process has just ended. */
function readStat(pid: string): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The second field is the program's name and may hold anything; fields are counted from the third on.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number) as [
    number,
    number,
    number,
    number,
  ]
  return { pid: Number(pid), parent: Number(fields[1]), ticks: user + system + childrenUser + childrenSystem }
}

/** Whether servers and load tool can have a processor each. */
export function canPin(): boolean {
  return availableParallelism() > 1 && findProgram('taskset') !== undefined
}

/** Puts this process, all threads, on its processor. */
export function pinLoad(): void {
  spawnSync('taskset', ['-a', '-c', '-p', String(LOAD_CPU), String(process.pid)], { stdio: 'ignore' })
}

/** The command that runs another one on the servers' processor, under the same process id. */
export function pinned(file: string, args: readonly string[], pin: boolean): { file: string; args: string[] } {
  return pin ? { file: 'taskset', args: ['-c', String(SERVER_CPU), file, ...args] } : { file, args: [...args] }
}

/** Where a program is, by PATH. */
export function findProgram(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(':')
    .map(directory => join(directory, name))
    .find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
