import { type Command, Option } from 'commander'
import { z } from 'zod'
import { adminRequest } from '../../admin/admin-client.js'
import { SIDES } from '../../stream/end-reason.js'
import { adminSocketPath } from '../config-paths.js'
import { type QueueRow, type RouteRow, SESSION_KINDS, type SessionRow } from '../contract.js'
import { type DataFlags, loadSettings, show, withData } from './cli.js'
import type { CliIo } from './io.js'
import { table } from './table.js'

interface SessionFlags extends DataFlags {
  readonly kind?: string
}

const sessionRows: z.ZodType<SessionRow[]> = z.array(
  z.object({
    id: z.string(),
    kind: z.enum(SESSION_KINDS),
    subject: z.string(),
    address: z.string(),
    connected: z.string(),
    state: z.string(),
  }),
)

const routeRows: z.ZodType<RouteRow[]> = z.array(
  z.object({ target: z.string(), kind: z.string(), via: z.string(), since: z.string() }),
)

const queueRows: z.ZodType<QueueRow[]> = z.array(
  z.object({
    pair: z.string(),
    state: z.string(),
    waiting: z.number(),
    bytes: z.number(),
    oldestMs: z.number(),
    reason: z.string(),
    nextTryMs: z.number(),
    mends: z.enum(['', ...SIDES]),
  }),
)

/** `comity sessions`, `comity close ID`, `comity routes`, `comity queue`: what a running service is doing. */
export function addLive(program: Command, io: CliIo): void {
  withData(program.command('sessions'))
    .description('live sessions of the running service')
    .addOption(new Option('--kind <kind>', 'only these').choices(SESSION_KINDS))
    .action(async (flags: SessionFlags) => {
      const query = flags.kind === undefined ? '' : `?kind=${flags.kind}`
      const rows = sessionRows.parse(await adminRequest(socketOf(io, flags), 'GET', `/sessions${query}`))
      show(io, flags, rows, () =>
        table(
          ['ID', 'KIND', 'ADDRESS', 'CONNECTED', 'STATE', 'SUBJECT'],
          rows.map(row => [row.id, row.kind, row.address, row.connected, row.state, row.subject]),
        ),
      )
    })
  withData(program.command('close'))
    .description('end one session of the running service')
    .argument('<id>', 'as `comity sessions` shows it')
    .action(async (id: string, flags: DataFlags) => {
      await adminRequest(socketOf(io, flags), 'DELETE', `/sessions/${encodeURIComponent(id)}`)
      show(io, flags, { id, done: 'closed' }, () => `closed ${id}\n`)
    })
  withData(program.command('routes'))
    .description('the routing table of the running service')
    .action(async (flags: DataFlags) => {
      const rows = routeRows.parse(await adminRequest(socketOf(io, flags), 'GET', '/routes'))
      show(io, flags, rows, () =>
        table(
          ['TARGET', 'KIND', 'SINCE', 'VIA'],
          rows.map(row => [row.target, row.kind, row.since, row.via]),
        ),
      )
    })
  withData(program.command('queue'))
    .description('what waits for remote domains, and the domains that rest after a failure')
    .action(async (flags: DataFlags) => {
      const rows = queueRows.parse(await adminRequest(socketOf(io, flags), 'GET', '/queue'))
      show(io, flags, rows, () =>
        table(
          ['STATE', 'WAITING', 'BYTES', 'OLDEST', 'NEXT TRY', 'MENDS', 'PAIR', 'REASON'],
          rows.map(row => [
            row.state,
            String(row.waiting),
            String(row.bytes),
            row.waiting === 0 ? '' : seconds(row.oldestMs),
            row.nextTryMs === 0 ? 'now' : seconds(row.nextTryMs),
            row.mends,
            row.pair,
            row.reason,
          ]),
        ),
      )
    })
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`
}

function socketOf(io: CliIo, flags: DataFlags): string {
  return adminSocketPath(loadSettings(io, flags))
}
