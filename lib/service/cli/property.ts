import type { Command } from 'commander'
import { z } from 'zod'
import { adminRequest } from '../../admin/admin-client.js'
import { adminSocketPath } from '../config-paths.js'
import { type DataFlags, loadSettings, show, withData } from './cli.js'
import type { CliIo } from './io.js'
import { liveOrStored } from './store.js'
import { table } from './table.js'

const row = z.object({
  key: z.string(),
  value: z.string(),
  default: z.string(),
  source: z.string(),
  takesEffect: z.string(),
  unit: z.string(),
  meaning: z.string(),
})

const applied = z.object({
  key: z.string(),
  value: z.string(),
  source: z.string(),
  changed: z.boolean(),
  takesEffect: z.string(),
  atOnce: z.boolean(),
})

const EFFECTS: Readonly<Record<string, string>> = {
  now: 'at once',
  new: 'for new streams',
  listener: 'at once, the listener re-opens',
  restart: 'after a restart',
}

const STRONGER: Readonly<Record<string, string>> = {
  set: '--set on the command line of the service',
  stored: 'a stored property',
  environment: 'an environment variable of the service',
  file: 'the settings file',
}

/** `comity property …`: the settings of a running service. */
export function addProperty(program: Command, io: CliIo): void {
  const property = program.command('property').description('settings of the running service')
  const ask = async (flags: DataFlags, method: string, key: string, body?: unknown): Promise<unknown> =>
    adminRequest(
      adminSocketPath(loadSettings(io, flags)),
      method,
      `/properties${key && `/${encodeURIComponent(key)}`}`,
      body,
    )

  withData(property.command('list'))
    .description('every setting with its value, default, source and when a change takes effect')
    .action(async (flags: DataFlags) => {
      const rows = z.array(row).parse(await ask(flags, 'GET', ''))
      show(io, flags, rows, () => rowsTable(rows))
    })
  withData(property.command('get'))
    .description('one setting')
    .argument('<key>')
    .action(async (key: string, flags: DataFlags) => {
      const found = row.parse(await ask(flags, 'GET', key))
      show(io, flags, found, () => rowsTable([found]))
    })
  withData(property.command('set'))
    .description('store a setting and apply it while running where that is possible')
    .argument('<key>')
    .argument('<value>')
    .action(async (key: string, value: string, flags: DataFlags) => {
      const result = applied.parse(await ask(flags, 'PUT', key, { value }))
      show(io, flags, result, () => appliedText(result, 'stored'))
    })
  withData(property.command('unset'))
    .description('forget a stored setting, so that environment, file or default count again')
    .argument('<key>')
    .action(async (key: string, flags: DataFlags) => {
      // A stored setting may be the very reason why the service cannot start: it can be taken away without one.
      await liveOrStored(
        loadSettings(io, flags),
        async () => {
          const result = applied.parse(await ask(flags, 'DELETE', key))
          show(io, flags, result, () => appliedText(result, result.source))
        },
        async store => {
          const wasStored = await store.properties.unset(key)
          const text = `${key} ${wasStored ? 'is no longer' : 'was not'} stored; no service runs\n`
          show(io, flags, { key, done: wasStored ? 'unset' : 'nothing' }, () => text)
        },
      )
    })
}

function rowsTable(rows: readonly z.infer<typeof row>[]): string {
  return table(
    ['KEY', 'VALUE', 'DEFAULT', 'SOURCE', 'A CHANGE TAKES EFFECT'],
    rows.map(({ key, value, default: fallback, source, takesEffect }) => [
      key,
      value,
      fallback,
      source,
      EFFECTS[takesEffect] ?? takesEffect,
    ]),
  )
}

function appliedText(result: z.infer<typeof applied>, wantedSource: string): string {
  const { key, value, source, changed, takesEffect } = result
  if (source !== wantedSource) return `${key} stays ${value}: ${STRONGER[source] ?? source} is stronger\n`
  if (!changed) return `${key} is ${value} as before\n`
  return `${key} is ${value}, this takes effect ${EFFECTS[takesEffect] ?? takesEffect}\n`
}
