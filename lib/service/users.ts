import { z } from 'zod'
import { AdminRefusal, type AdminRoutes } from '../admin/admin-socket.js'
import { type Jid, Jids } from '../stanza/jid.js'
import type { Accounts } from '../store/accounts.js'
import { StoreError } from '../store/store-error.js'
import type { UserRow } from './contract.js'

/** Local accounts as an admin manages them. Rejects with a text for the admin when something is not possible. */
export interface UserDirectory {
  add(jid: string, password: string): Promise<void>
  changePassword(jid: string, password: string): Promise<void>
  remove(jid: string): Promise<void>
  list(): Promise<readonly UserRow[]>
}

/** The accounts of the store, for the domains served. */
export class StoredUsers implements UserDirectory {
  readonly #accounts: Accounts
  readonly #domains: () => readonly string[]
  readonly #changed: (account: string) => void
  readonly #jids = new Jids(16)

  /** `changed` is told of each account that was removed or has another password: its sessions were proven by the old one. */
  constructor(accounts: Accounts, domains: () => readonly string[], changed: (account: string) => void = () => {}) {
    this.#accounts = accounts
    this.#domains = domains
    this.#changed = changed
  }

  /** @throws AdminRefusal */
  async add(text: string, password: string): Promise<void> {
    const { local, domain } = this.#parse(text)
    if (!this.#domains().includes(domain)) {
      throw new AdminRefusal(400, `${domain} is not served here, xmpp.domains is ${this.#domains().join(', ')}`)
    }
    const outcome = await refusing(() => this.#accounts.add(local, domain, password))
    if (outcome === 'exists') throw new AdminRefusal(409, `${local}@${domain} exists already`)
  }

  /** @throws AdminRefusal */
  async changePassword(text: string, password: string): Promise<void> {
    const { local, domain } = this.#parse(text)
    const isDone = await refusing(() => this.#accounts.setPassword(local, domain, password))
    if (!isDone) throw noSuchUser(local, domain)
    this.#changed(`${local}@${domain}`)
  }

  /** @throws AdminRefusal */
  async remove(text: string): Promise<void> {
    const { local, domain } = this.#parse(text)
    if (!(await this.#accounts.remove(local, domain))) throw noSuchUser(local, domain)
    this.#changed(`${local}@${domain}`)
  }

  async list(): Promise<readonly UserRow[]> {
    const entries = await this.#accounts.list()
    return entries.map(({ local, domain, createdAt, passwordChangedAt }) => ({
      jid: `${local}@${domain}`,
      created: createdAt.toISOString(),
      passwordChanged: passwordChangedAt.toISOString(),
    }))
  }

  #parse(text: string): Jid {
    const jid = this.#jids.parse(text)
    if (!jid?.isBare || jid.local === '')
      throw new AdminRefusal(400, 'not the address of an account, expected name@domain')
    return jid
  }
}

const withPassword = z.object({ password: z.string() })
const newUser = withPassword.extend({ jid: z.string() })

/** `GET /users`, `POST /users`, `PUT|DELETE /users/JID`: what `comity user` asks a running service for. */
export function userRoutes(users: UserDirectory): AdminRoutes {
  return {
    'GET /users': () => users.list(),
    'POST /users': ({ body }) => {
      const read = newUser.safeParse(body)
      if (!read.success) throw new AdminRefusal(400, 'expected {"jid": …, "password": …}')
      return users.add(read.data.jid, read.data.password)
    },
    'PUT /users/:jid': ({ params: { jid = '' }, body }) => {
      const read = withPassword.safeParse(body)
      if (!read.success) throw new AdminRefusal(400, 'expected {"password": …}')
      return users.changePassword(jid, read.data.password)
    },
    'DELETE /users/:jid': ({ params: { jid = '' } }) => users.remove(jid),
  }
}

function noSuchUser(local: string, domain: string): AdminRefusal {
  return new AdminRefusal(404, `there is no ${local}@${domain}`)
}

/** A password or name that the store does not take is the asker's fault, not the service's. */
async function refusing<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'password' || error.code === 'name'))
      throw new AdminRefusal(400, error.message)
    throw error
  }
}
