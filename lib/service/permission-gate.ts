import { LRUCache } from 'lru-cache'
import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { FederationSettings } from '../policy/federation-policy.js'
import { isExpired, type PermissionEntry, PermissionIndex, permissionBy } from '../policy/permission.js'
import type { Direction, Gate } from '../session/context.js'
import type { Settings } from './settings.js'

/** Answers kept per direction; names come from strangers. */
const MOST_ANSWERS = 10_000
/** The calendar may be set while the service runs, so it is looked at again after so long at the latest. */
const LONGEST_WATCH_MS = 3_600_000

export interface PermissionGateOptions {
  readonly clock: Clock
  readonly log: Log
  readonly settings: Settings
  readonly entries: readonly PermissionEntry[]
}

/** Says what policy allows for a remote domain, from the permission entries and the settings as they are now. Asked for every stanza. */
export class PermissionGate {
  readonly #options: PermissionGateOptions
  readonly #answers: Readonly<Record<Direction, LRUCache<string, Gate>>> = {
    incoming: new LRUCache({ max: MOST_ANSWERS }),
    outgoing: new LRUCache({ max: MOST_ANSWERS }),
  }
  #entries: readonly PermissionEntry[]
  /** What had expired by then has been told. */
  #seenAt: Date
  #index: PermissionIndex
  #changed: (() => void) | undefined
  #cancelExpiry: (() => void) | undefined

  constructor(options: PermissionGateOptions) {
    this.#options = options
    this.#entries = options.entries
    this.#seenAt = options.clock.date()
    this.#index = this.#read()
    options.settings.onChange(() => {
      this.#index = this.#read()
    })
  }

  /** For a canonical name; for an empty one only the settings count. */
  ask(remote: string, direction: Direction): Gate {
    const answers = this.#answers[direction]
    let answer = answers.get(remote)
    if (answer === undefined) {
      answer = this.#decide(remote, direction)
      answers.set(remote, answer)
    }
    return answer
  }

  /** Takes other entries; whoever watches is told at once. */
  replace(entries: readonly PermissionEntry[]): void {
    this.#entries = entries
    this.#reread()
  }

  /** Calls `changed` when other entries count than before, also because time has passed. The settings tell of themselves. */
  watch(changed: () => void): void {
    this.#changed = changed
    this.#awaitExpiry()
  }

  unwatch(): void {
    this.#changed = undefined
    this.#cancelExpiry?.()
    this.#cancelExpiry = undefined
  }

  #decide(remote: string, direction: Direction): Gate {
    const { settings } = this.#options
    const general: FederationSettings = {
      tlsPolicy: settings.get('xmpp.server.tls.policy'),
      strictValidation: settings.get('xmpp.server.certificate.strict-validation'),
      dialbackEnabled: settings.get('xmpp.server.dialback.enabled'),
    }
    if (remote === '') return permissionBy(undefined, 'blacklist', general)
    const entry = this.#index.find(remote, direction === 'incoming' ? 'in' : 'out')
    return permissionBy(entry, settings.get('xmpp.server.permission'), general)
  }

  #read(): PermissionIndex {
    const { clock, settings } = this.#options
    this.#answers.incoming.clear()
    this.#answers.outgoing.clear()
    return new PermissionIndex(this.#entries, settings.get('xmpp.server.permission-apply-recursive'), clock.date())
  }

  #reread(): void {
    this.#seenAt = this.#options.clock.date()
    this.#index = this.#read()
    this.#awaitExpiry()
    this.#changed?.()
  }

  #awaitExpiry(): void {
    this.#cancelExpiry?.()
    const { clock } = this.#options
    const { nextExpiry } = this.#index
    if (nextExpiry === undefined || this.#changed === undefined) return
    const left = nextExpiry.getTime() - clock.date().getTime()
    this.#cancelExpiry = clock.after(Math.min(Math.max(left, 1), LONGEST_WATCH_MS), () => this.#expire())
  }

  #expire(): void {
    const { clock, log } = this.#options
    const before = this.#seenAt
    const now = clock.date()
    const expired = this.#entries.filter(entry => isExpired(entry, now) && !isExpired(entry, before))
    if (expired.length === 0) return this.#awaitExpiry()
    for (const { pattern, direction, action } of expired) log.info('permission-expired', { pattern, direction, action })
    this.#reread()
  }
}
