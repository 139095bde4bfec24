import { cpuMicroseconds } from './cpu.js'
import type { Direction } from './options.js'
import { type PumpOptions, pump } from './pump.js'
import type { Setting } from './setting.js'

/** The figures of one run. */
export interface Run {
  /** Processor time of the server under test, user and system, in microseconds. */
  readonly cpuPerStanza: number
  readonly stanzasPerSecond: number
  /** Of one processor: 1 is all of it. */
  readonly serverShare: number
  readonly loadShare: number
  readonly seconds: number
}

/** Pumps once and looks at the clocks before and after. */
export async function measure(
  setting: Setting,
  direction: Direction,
  tick: number,
  options: PumpOptions,
): Promise<Run> {
  const path = setting.paths.get(direction)!
  const serverBefore = cpuMicroseconds(setting.server.pid, tick)
  const loadBefore = process.cpuUsage()
  const began = performance.now()
  await pump(path, options)
  const seconds = (performance.now() - began) / 1000
  const load = process.cpuUsage(loadBefore)
  const server = cpuMicroseconds(setting.server.pid, tick) - serverBefore
  return {
    cpuPerStanza: server / options.count,
    stanzasPerSecond: options.count / seconds,
    serverShare: server / 1e6 / seconds,
    loadShare: (load.user + load.system) / 1e6 / seconds,
    seconds,
  }
}
