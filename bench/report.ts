import type { Run } from './measure.js'
import type { Direction } from './options.js'

/** All runs of one server in one direction. */
export interface Series {
  readonly server: string
  readonly direction: Direction
  readonly runs: readonly Run[]
}

/** The medians of a series; `lowest` and `highest` are of the processor time per stanza. */
export interface Summary extends Run {
  readonly server: string
  readonly direction: Direction
  readonly lowest: number
  readonly highest: number
  readonly bottleneck: 'server' | 'load tool' | 'neither'
}

/** A share of a processor from which on it counts as busy. */
const BUSY = 0.9

export function summarize({ server, direction, runs }: Series): Summary {
  const of = (field: keyof Run): number => median(runs.map(run => run[field]))
  const costs = runs.map(run => run.cpuPerStanza)
  const serverShare = of('serverShare')
  const loadShare = of('loadShare')
  return {
    server,
    direction,
    cpuPerStanza: of('cpuPerStanza'),
    lowest: Math.min(...costs),
    highest: Math.max(...costs),
    stanzasPerSecond: of('stanzasPerSecond'),
    serverShare,
    loadShare,
    seconds: of('seconds'),
    bottleneck: serverShare >= BUSY ? 'server' : loadShare >= BUSY ? 'load tool' : 'neither',
  }
}

/** The summaries for people. */
export function table(summaries: readonly Summary[]): string {
  const head = ['', '', 'CPU µs/stanza', 'lowest–highest', 'stanzas/s', 'server CPU', 'load CPU', 'bottleneck']
  const rows = summaries.map(summary => [
    summary.server,
    summary.direction,
    summary.cpuPerStanza.toFixed(1),
    `${summary.lowest.toFixed(1)}–${summary.highest.toFixed(1)}`,
    Math.round(summary.stanzasPerSecond).toString(),
    percent(summary.serverShare),
    percent(summary.loadShare),
    summary.bottleneck,
  ])
  const lines = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...lines.map(line => line[column]!.length)))
  const isText = (column: number): boolean => column < 2 || column === head.length - 1
  return lines
    .map(line =>
      line
        .map((cell, i) => (isText(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
