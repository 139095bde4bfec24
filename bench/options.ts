import { parseArgs } from 'node:util'

/** Which way the messages go, seen from the server under test. */
export const DIRECTIONS = ['inbound', 'outbound'] as const
export type Direction = (typeof DIRECTIONS)[number]

export interface BenchOptions {
  /** Messages per measured run. */
  readonly count: number
  /** Messages per direction that go before the first measured run. */
  readonly warmUp: number
  readonly repeat: number
  /** Most messages sent and not yet received. */
  readonly window: number
  /** Messages per write of the load tool. */
  readonly batch: number
  readonly directions: readonly Direction[]
  readonly withProsody: boolean
  readonly build: boolean
  readonly json: boolean
  /** Directory for CPU profiles of Comity; undefined: none are taken. */
  readonly profile: string | undefined
}

export const USAGE = `npm run bench -- [options]
  --count N          messages per measured run (30000)
  --warm-up N        messages per direction before the first measured run (20000)
  --repeat N         measured runs per server and direction (3)
  --window N         most messages sent and not yet received (400)
  --batch N          messages per write of the load tool (20)
  --only DIRECTION   inbound or outbound alone
  --no-prosody       Comity alone
  --no-build         measure what is in dist/ already
  --profile DIR      also write a CPU profile of Comity into DIR (the figures are then not comparable)
  --json             print JSON in place of the table
`

/** Reads the command line. Throws with a text for people. */
export function readOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: 'string', default: '30000' },
      'warm-up': { type: 'string', default: '20000' },
      repeat: { type: 'string', default: '3' },
      window: { type: 'string', default: '400' },
      batch: { type: 'string', default: '20' },
      only: { type: 'string' },
      'no-prosody': { type: 'boolean', default: false },
      'no-build': { type: 'boolean', default: false },
      profile: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  const directions = DIRECTIONS.filter(direction => values.only === undefined || values.only === direction)
  if (directions.length === 0) throw new Error('--only takes inbound or outbound')
  const batch = positive('batch', values.batch, 1000)
  const window = positive('window', values.window, 2500)
  if (window < batch) throw new Error('--window must not be smaller than --batch')
  return {
    count: positive('count', values.count, 10_000_000),
    warmUp: positive('warm-up', values['warm-up'], 10_000_000),
    repeat: positive('repeat', values.repeat, 1000),
    window,
    batch,
    directions,
    withProsody: !values['no-prosody'],
    build: !values['no-build'],
    json: values.json,
    profile: values.profile,
  }
}

/** The upper end of the window keeps a XIMSS client below the 1 MiB that may wait for it unread. */
function positive(name: string, text: string, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most) throw new Error(`--${name} takes 1 to ${most}`)
  return value
}
