import { type Clock, systemClock } from '../base/clock.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import type { Jid } from '../stanza/jid.js'
import type { Route } from '../stanza/route.js'
import type { LocalResource } from './local-resource.js'

/** A proven domain pair as it is published: the route that carries it and what an admin wants to know of it. */
export interface PairRoute {
  readonly pair: DomainPair
  readonly route: Route
  /** How the pair was proven: `external`, `dialback`, `certificate`. */
  readonly proof: string
  /** Tag of the stream that carries it, for example `S2SO-00001`. */
  readonly stream: string
}

/** One line of the table, for people and programs. */
export interface RouteRow {
  /** The full JID of a session, or the domain pair. */
  readonly target: string
  readonly kind: 'session' | 'domain pair'
  /** What carries it: priority or stream and proof. */
  readonly via: string
  readonly since: Date
}

interface Published<T> {
  readonly entry: T
  readonly since: Date
}

/** The one owner of "who answers for this address": connected local resources, and domain pairs proven for sending. */
export class RouteTable {
  readonly #clock: Clock
  readonly #accounts = new Map<string, Map<string, LocalResource>>()
  readonly #pairs = new Map<string, Map<string, Published<PairRoute>>>()
  readonly #since = new WeakMap<LocalResource, Date>()

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** Publishes a connected session; the result withdraws it. Undefined when its full JID is taken. */
  addResource(resource: LocalResource): (() => void) | undefined {
    const account = resource.jid.bare.toString()
    const resources = this.#accounts.get(account) ?? new Map<string, LocalResource>()
    if (resources.has(resource.jid.resource)) return undefined
    this.#accounts.set(account, resources.set(resource.jid.resource, resource))
    this.#since.set(resource, this.#clock.date())
    return () => {
      if (resources.get(resource.jid.resource) !== resource) return
      resources.delete(resource.jid.resource)
      if (resources.size === 0 && this.#accounts.get(account) === resources) this.#accounts.delete(account)
    }
  }

  /** Publishes a proven pair, in place of an older route of the same pair; the result withdraws it. */
  addPair(entry: PairRoute): () => void {
    const published = { entry, since: this.#clock.date() }
    const remotes = this.#pairs.get(entry.pair.local) ?? new Map<string, Published<PairRoute>>()
    this.#pairs.set(entry.pair.local, remotes.set(entry.pair.remote, published))
    return () => {
      if (remotes.get(entry.pair.remote) !== published) return
      remotes.delete(entry.pair.remote)
      if (remotes.size === 0 && this.#pairs.get(entry.pair.local) === remotes) this.#pairs.delete(entry.pair.local)
    }
  }

  /** The route of a proven pair. */
  pair(local: string, remote: string): Route | undefined {
    return this.#pairs.get(local)?.get(remote)?.entry.route
  }

  /** The connected session with exactly this full JID. */
  resource(jid: Jid): LocalResource | undefined {
    return this.#accounts.get(jid.bare.toString())?.get(jid.resource)
  }

  /** All connected sessions of an account. */
  resources(account: Jid): Iterable<LocalResource> {
    return this.#accounts.get(account.bare.toString())?.values() ?? []
  }

  rows(): RouteRow[] {
    const rows: RouteRow[] = []
    for (const remotes of this.#pairs.values()) {
      for (const { entry, since } of remotes.values()) {
        rows.push({
          target: entry.pair.toString(),
          kind: 'domain pair',
          via: `${entry.stream} (${entry.proof})`,
          since,
        })
      }
    }
    for (const resources of this.#accounts.values()) {
      for (const resource of resources.values()) {
        const { jid, priority } = resource
        const via = priority === undefined ? 'not available' : `priority ${priority}`
        rows.push({
          target: jid.toString(),
          kind: 'session',
          via,
          since: this.#since.get(resource) ?? this.#clock.date(),
        })
      }
    }
    return rows
  }
}
