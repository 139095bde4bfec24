import { AdminRefusal } from '../admin/admin-socket.js'
import type { Clock } from '../base/clock.js'
import type { BlockListProblem } from '../policy/block-list.js'
import { readBlockList } from '../policy/block-list.js'
import { isExpired, type PermissionDirection, type PermissionEntry, readPattern } from '../policy/permission.js'
import type { Permissions, StoredPermission } from '../store/permissions.js'
import type { PermissionChange, PermissionImport, PermissionImported, PermissionRow } from './contract.js'
import { readExpiry } from './expiry.js'

/** Permission entries as an admin manages them. Rejects with a text for the admin when something is not possible. */
export interface PermissionDirectory {
  /** Stores an entry in place of the one of its pattern and direction. */
  set(change: PermissionChange): Promise<PermissionRow>
  /** Removes what is said of a pattern, or what is said of it for one direction. */
  remove(pattern: string, direction?: PermissionDirection): Promise<void>
  /** Blocks every name of a list, or changes nothing. */
  import(list: PermissionImport): Promise<PermissionImported>
  list(): Promise<readonly PermissionRow[]>
}

const MOST_ENTRIES = 100_000
const LONGEST_REASON = 500
/** Wrong lines that are told. */
const MOST_PROBLEMS = 20

/** The entries of the store. */
export class StoredPermissions implements PermissionDirectory {
  readonly #permissions: Permissions
  readonly #clock: Clock
  readonly #changed: (entries: readonly PermissionEntry[]) => void
  #last: Promise<unknown> = Promise.resolve()

  /** `changed` is given all entries after each change. */
  constructor(
    permissions: Permissions,
    clock: Clock,
    changed: (entries: readonly PermissionEntry[]) => void = () => {},
  ) {
    this.#permissions = permissions
    this.#clock = clock
    this.#changed = changed
  }

  /** @throws AdminRefusal */
  async set({ pattern, action, tls, proof, strict, ...rest }: PermissionChange): Promise<PermissionRow> {
    const demands = {
      ...(tls !== undefined && { tls }),
      ...(proof !== undefined && proof !== 'any' && { proof }),
      ...(strict !== undefined && { strict }),
    }
    if (action === 'block' && Object.keys(demands).length > 0)
      throw new AdminRefusal(400, 'a blocked domain cannot be asked for a proof, TLS or a certificate')
    if (tls === 'disabled' && proof === 'external')
      throw new AdminRefusal(400, 'a certificate cannot be shown without TLS')
    const entry = this.#entry(patternOf(pattern), action, demands, rest)
    const all = await this.#change(before => {
      const others = before.filter(other => nameOf(other) !== nameOf(entry))
      if (others.length >= MOST_ENTRIES) throw tooMany()
      return this.#permissions.put([entry])
    })
    return this.#row(all.find(other => nameOf(other) === nameOf(entry))!)
  }

  /** @throws AdminRefusal */
  async remove(text: string, direction?: PermissionDirection): Promise<void> {
    const pattern = patternOf(text)
    await this.#change(async () => {
      if ((await this.#permissions.remove(pattern, direction)) > 0) return
      throw new AdminRefusal(404, `there is no entry for ${pattern}${direction ? `, direction ${direction}` : ''}`)
    })
  }

  /** @throws AdminRefusal naming the lines that are wrong. */
  async import({ text, ...rest }: PermissionImport): Promise<PermissionImported> {
    const list = readBlockList(text)
    if (!list.ok) throw new AdminRefusal(400, problemsText(list.problems))
    const entries = list.patterns.map(pattern => this.#entry(pattern, 'block', {}, rest))
    const names = new Set(entries.map(nameOf))
    let replaced: readonly StoredPermission[] = []
    await this.#change(before => {
      replaced = before.filter(other => names.has(nameOf(other)))
      if (before.length - replaced.length + entries.length > MOST_ENTRIES) throw tooMany()
      return this.#permissions.put(entries)
    })
    return {
      imported: entries.length,
      replaced: replaced.length,
      noLongerAllowed: replaced.filter(({ action }) => action === 'allow').map(({ pattern }) => pattern),
    }
  }

  async list(): Promise<readonly PermissionRow[]> {
    return (await this.#permissions.all()).map(entry => this.#row(entry))
  }

  #entry(
    pattern: string,
    action: PermissionEntry['action'],
    demands: PermissionEntry['demands'],
    { direction = 'both', reason = '', expires }: Pick<PermissionChange, 'direction' | 'reason' | 'expires'>,
  ): PermissionEntry {
    if (reason.length > LONGEST_REASON)
      throw new AdminRefusal(400, `the reason is longer than ${LONGEST_REASON} characters`)
    const entry = { pattern, direction, action, demands, reason }
    if (expires === undefined) return entry
    const moment = readExpiry(expires, this.#clock.date())
    if (moment === undefined)
      throw new AdminRefusal(
        400,
        'not a time to come, expected such as 12h, 30d, 2w, 2030-12-31 or 2030-12-31T12:00:00Z',
      )
    return { ...entry, expires: moment }
  }

  /** One change after the other, so that what is told of last is what holds. */
  #change(action: (before: readonly StoredPermission[]) => Promise<void>): Promise<readonly StoredPermission[]> {
    const change = this.#last.then(async () => {
      await action(await this.#permissions.all())
      const all = await this.#permissions.all()
      this.#changed(all)
      return all
    })
    this.#last = change.catch(() => {})
    return change
  }

  #row(entry: StoredPermission): PermissionRow {
    const { pattern, direction, action, demands, reason, expires, changedAt } = entry
    return {
      pattern,
      direction,
      action,
      tls: demands.tls ?? '',
      proof: demands.proof ?? '',
      certificates: demands.strict === undefined ? '' : demands.strict ? 'strict' : 'lax',
      reason,
      expires: expires?.toISOString() ?? '',
      expired: isExpired(entry, this.#clock.date()),
      changed: changedAt.toISOString(),
    }
  }
}

function patternOf(text: string): string {
  const pattern = readPattern(text)
  if (pattern === undefined) throw new AdminRefusal(400, 'not a pattern, expected a domain name, *.suffix or *')
  return pattern
}

function nameOf({ pattern, direction }: PermissionEntry): string {
  return `${direction} ${pattern}`
}

function tooMany(): AdminRefusal {
  return new AdminRefusal(409, `there would be more than ${MOST_ENTRIES} entries, nothing was changed`)
}

function problemsText(problems: readonly BlockListProblem[]): string {
  const told = problems.slice(0, MOST_PROBLEMS).map(({ line, problem }) => `line ${line}: ${problem}`)
  const more = problems.length - told.length
  return `nothing was imported: ${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
}
