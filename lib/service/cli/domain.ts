import { open } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { adminRequest } from '../../admin/admin-client.js'
import { systemClock } from '../../base/clock.js'
import { PERMISSION_DIRECTIONS, type PermissionDirection } from '../../policy/permission.js'
import { adminSocketPath } from '../config-paths.js'
import type { PermissionChange, PermissionImport, PermissionImported, PermissionRow } from '../contract.js'
import { type PermissionDirectory, StoredPermissions } from '../permissions.js'
import type { Settings } from '../settings.js'
import { type DataFlags, loadSettings, show, withData } from './cli.js'
import { CliFailure, type CliIo } from './io.js'
import { liveOrStored } from './store.js'
import { table } from './table.js'

interface EntryFlags extends DataFlags {
  readonly direction?: PermissionDirection
  readonly reason?: string
  readonly expires?: string
}

interface AllowFlags extends EntryFlags {
  readonly tls?: PermissionChange['tls']
  readonly proof?: PermissionChange['proof']
  readonly strict?: true
  readonly lax?: true
}

/** Largest block list. */
const MOST_BYTES = 4 * 1_048_576

const WAYS: Readonly<Record<PermissionDirection, string>> = { in: 'incoming', out: 'outgoing', both: 'both directions' }

const PATTERN = 'a domain and its sub-domains, *.suffix for sub-domains only, or * for every domain'

const permissionRow: z.ZodType<PermissionRow> = z.object({
  pattern: z.string(),
  direction: z.enum(PERMISSION_DIRECTIONS),
  action: z.enum(['allow', 'block']),
  tls: z.enum(['', 'disabled', 'optional', 'required']),
  proof: z.enum(['', 'external', 'dialback']),
  certificates: z.enum(['', 'strict', 'lax']),
  reason: z.string(),
  expires: z.string(),
  expired: z.boolean(),
  changed: z.string(),
})

const imported: z.ZodType<PermissionImported> = z.object({
  imported: z.number(),
  replaced: z.number(),
  noLongerAllowed: z.array(z.string()),
})

/** `comity domain …`: asks the running service, or opens the store itself when none runs. */
export function addDomain(program: Command, io: CliIo): void {
  const domain = program
    .command('domain')
    .description('which remote domains are spoken with, and what is asked of them')
  const set = async (pattern: string, action: PermissionChange['action'], flags: AllowFlags): Promise<void> => {
    const { direction, tls, proof, reason, expires } = flags
    const strict = flags.strict ? true : flags.lax ? false : undefined
    const change = { pattern, action, direction, tls, proof, strict, reason, expires }
    const row = await withPermissions(loadSettings(io, flags), permissions => permissions.set(change))
    show(io, flags, row, () => setText(row))
  }

  withEntry(domain.command('allow'))
    .description('speak with a domain, perhaps on terms of its own')
    .argument('<pattern>', PATTERN)
    .addOption(
      new Option('--tls <policy>', 'instead of the general setting').choices(['disabled', 'optional', 'required']),
    )
    .addOption(new Option('--proof <proof>', 'the only proof that counts').choices(['external', 'dialback', 'any']))
    .addOption(new Option('--strict', 'a certificate that does not verify ends the attempt').conflicts('lax'))
    .addOption(new Option('--lax', 'with a bad certificate dialback over TLS may still prove the domain'))
    .action((pattern: string, flags: AllowFlags) => set(pattern, 'allow', flags))
  withEntry(domain.command('block'))
    .description('do not speak with a domain')
    .argument('<pattern>', PATTERN)
    .action((pattern: string, flags: EntryFlags) => set(pattern, 'block', flags))
  withData(domain.command('remove'))
    .description('forget what was said of a pattern')
    .argument('<pattern>', 'as `comity domain list` shows it')
    .addOption(directionOption('only what was said for this direction'))
    .action(async (pattern: string, flags: EntryFlags) => {
      const { direction } = flags
      await withPermissions(loadSettings(io, flags), permissions => permissions.remove(pattern, direction))
      show(io, flags, { pattern, done: 'removed' }, () => `removed ${pattern}\n`)
    })
  withData(domain.command('list'))
    .description('list all entries')
    .action(async (flags: DataFlags) => {
      const rows = await withPermissions(loadSettings(io, flags), permissions => permissions.list())
      show(io, flags, rows, () => rowsTable(rows))
    })
  withEntry(domain.command('import'))
    .description('block every domain of a text file, or none when a line is wrong')
    .argument('<file>', 'one domain per line; # begins a comment')
    .action(async (file: string, { direction, reason, expires, ...flags }: EntryFlags) => {
      const list = { text: await listText(file), direction, reason, expires }
      const result = await withPermissions(loadSettings(io, flags), permissions => permissions.import(list))
      show(io, flags, result, () => importedText(result))
    })
}

function withEntry(command: Command): Command {
  return withData(command)
    .addOption(directionOption('only stanzas that come from there, or go there'))
    .option('--reason <text>', 'for the list and the log; never told to others')
    .option('--expires <time>', 'a span such as 12h, 30d, 2w, or a date such as 2030-12-31')
}

function directionOption(meaning: string): Option {
  return new Option('--direction <direction>', meaning).choices(PERMISSION_DIRECTIONS)
}

/** The entries of a running service. */
class RemotePermissions implements PermissionDirectory {
  readonly #socketPath: string

  constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  async set(change: PermissionChange): Promise<PermissionRow> {
    return permissionRow.parse(await adminRequest(this.#socketPath, 'POST', '/domains', change))
  }

  async remove(pattern: string, direction?: PermissionDirection): Promise<void> {
    const query = direction === undefined ? '' : `?direction=${direction}`
    await adminRequest(this.#socketPath, 'DELETE', `/domains/${encodeURIComponent(pattern)}${query}`)
  }

  async import(list: PermissionImport): Promise<PermissionImported> {
    return imported.parse(await adminRequest(this.#socketPath, 'POST', '/domains/import', list))
  }

  async list(): Promise<readonly PermissionRow[]> {
    return z.array(permissionRow).parse(await adminRequest(this.#socketPath, 'GET', '/domains'))
  }
}

function withPermissions<T>(settings: Settings, action: (permissions: PermissionDirectory) => Promise<T>): Promise<T> {
  return liveOrStored(
    settings,
    () => action(new RemotePermissions(adminSocketPath(settings))),
    store => action(new StoredPermissions(store.permissions, systemClock)),
  )
}

async function listText(path: string): Promise<string> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    if (size > MOST_BYTES) throw new CliFailure(`${path} is longer than ${MOST_BYTES} bytes`)
    const bytes = await file.readFile()
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw error instanceof TypeError ? new CliFailure(`${path} is not UTF-8`) : error
  } finally {
    await file.close()
  }
}

function setText({ action, pattern, direction, expires }: PermissionRow): string {
  const until = expires === '' ? '' : `, until ${expires}`
  return `${action === 'allow' ? 'allowed' : 'blocked'} ${pattern} (${WAYS[direction]}${until})\n`
}

function importedText({ imported: count, replaced, noLongerAllowed }: PermissionImported): string {
  const others = noLongerAllowed.length === 0 ? '' : `no longer allowed: ${noLongerAllowed.join(', ')}\n`
  return `blocked ${count} ${count === 1 ? 'entry' : 'entries'}, ${replaced} of them said before\n${others}`
}

function rowsTable(rows: readonly PermissionRow[]): string {
  return table(
    ['PATTERN', 'DIRECTION', 'ACTION', 'DEMANDS', 'EXPIRES', 'REASON'],
    rows.map(({ pattern, direction, action, tls, proof, certificates, expires, expired, reason }) => [
      pattern,
      direction,
      action,
      [tls && `TLS ${tls}`, proof && `proof ${proof}`, certificates].filter(part => part !== '').join(', '),
      expired ? 'expired' : expires,
      reason,
    ]),
  )
}
