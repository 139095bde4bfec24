import type { Command } from 'commander'
import { z } from 'zod'
import { adminRequest } from '../../admin/admin-client.js'
import { adminSocketPath } from '../config-paths.js'
import type { UserRow } from '../contract.js'
import type { Settings } from '../settings.js'
import { StoredUsers, type UserDirectory } from '../users.js'
import { type DataFlags, loadSettings, show, withData } from './cli.js'
import type { CliIo } from './io.js'
import { readPassword } from './password.js'
import { liveOrStored } from './store.js'
import { table } from './table.js'

const userRows: z.ZodType<UserRow[]> = z.array(
  z.object({ jid: z.string(), created: z.string(), passwordChanged: z.string() }),
)

/** `comity user …`: asks the running service, or opens the store itself when none runs. */
export function addUser(program: Command, io: CliIo): void {
  const user = program.command('user').description('local accounts')
  withData(user.command('add'))
    .description('make an account; its password is read from the terminal or from standard input')
    .argument('<jid>', 'name@domain')
    .action(async (jid: string, flags: DataFlags) => {
      const settings = loadSettings(io, flags)
      const password = await readPassword(io)
      await withUsers(settings, users => users.add(jid, password))
      show(io, flags, { jid, done: 'added' }, () => `added ${jid}\n`)
    })
  withData(user.command('passwd'))
    .description('change the password of an account; it is read from the terminal or from standard input')
    .argument('<jid>', 'name@domain')
    .action(async (jid: string, flags: DataFlags) => {
      const settings = loadSettings(io, flags)
      const password = await readPassword(io)
      await withUsers(settings, users => users.changePassword(jid, password))
      show(io, flags, { jid, done: 'password changed' }, () => `changed the password of ${jid}\n`)
    })
  withData(user.command('remove'))
    .description('remove an account and all that belongs to it')
    .argument('<jid>', 'name@domain')
    .action(async (jid: string, flags: DataFlags) => {
      await withUsers(loadSettings(io, flags), users => users.remove(jid))
      show(io, flags, { jid, done: 'removed' }, () => `removed ${jid}\n`)
    })
  withData(user.command('list'))
    .description('list all accounts')
    .action(async (flags: DataFlags) => {
      const rows = await withUsers(loadSettings(io, flags), users => users.list())
      show(io, flags, rows, () =>
        table(
          ['ACCOUNT', 'CREATED', 'PASSWORD CHANGED'],
          rows.map(row => [row.jid, row.created, row.passwordChanged]),
        ),
      )
    })
}

/** The accounts of a running service. */
class RemoteUsers implements UserDirectory {
  readonly #socketPath: string

  constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  async add(jid: string, password: string): Promise<void> {
    await adminRequest(this.#socketPath, 'POST', '/users', { jid, password })
  }

  async changePassword(jid: string, password: string): Promise<void> {
    await adminRequest(this.#socketPath, 'PUT', `/users/${encodeURIComponent(jid)}`, { password })
  }

  async remove(jid: string): Promise<void> {
    await adminRequest(this.#socketPath, 'DELETE', `/users/${encodeURIComponent(jid)}`)
  }

  async list(): Promise<readonly UserRow[]> {
    return userRows.parse(await adminRequest(this.#socketPath, 'GET', '/users'))
  }
}

function withUsers<T>(settings: Settings, action: (users: UserDirectory) => Promise<T>): Promise<T> {
  return liveOrStored(
    settings,
    () => action(new RemoteUsers(adminSocketPath(settings))),
    store => action(new StoredUsers(store.accounts, () => settings.get('xmpp.domains'))),
  )
}
