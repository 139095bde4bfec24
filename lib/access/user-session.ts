import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.js'
import { UNAVAILABLE } from '../routing/local-delivery.js'
import type { LocalResource } from '../routing/local-resource.js'
import type { RouteTable } from '../routing/route-table.js'
import type { Jid } from '../stanza/jid.js'
import type { Congestion, Refusal, Refused } from '../stanza/route.js'
import { Stanza } from '../stanza/stanza.js'
import { StanzaError } from '../stanza/stanza-error.js'
import { DirectedPresence } from './directed-presence.js'
import { OpenIqs } from './open-iqs.js'

/** What a session takes part in; undefined: as its presence says (RFC 6121 §8.5.2). */
export interface Appetite {
  readonly messages: boolean | undefined
  readonly presence: boolean | undefined
  readonly iqs: boolean
}

export interface UserSessionOptions {
  /** Bare JID of the account that logged in. */
  readonly account: Jid
  /** Wanted resource; it gets a suffix when another session of the account has it. */
  readonly resource: string
  readonly clock: Clock
  readonly routes: Pick<RouteTable, 'addResource'>
  /** Takes what the session sends; what fails later comes back as a stanza of type `error`. The result asks to wait. */
  readonly route: (stanza: Stanza) => Congestion | undefined
  /** Takes presence without `to`: the account's contacts are told by whoever knows them (RFC 6121 §4.2.2). */
  readonly broadcast?: (stanza: Stanza) => void
  /** Shows a stanza to the client, or says why it cannot be shown. Must not throw. */
  readonly show: (stanza: Stanza) => Refusal | undefined
  readonly appetite: Appetite
  /** Set while the client does not keep up with what it is shown. */
  readonly congestion?: () => Congestion | undefined
}

/** Presence that manages subscriptions; it is between accounts, not sessions (RFC 6121 §3). */
const SUBSCRIPTION_TYPES: ReadonlySet<string> = new Set(['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'])

/** Tries for a resource that nobody else has. */
const MOST_TRIES = 8

/**
 * A connected client of a local account, whatever protocol it speaks: its place in the routing table, its presence, and the IQ
 * requests open in either direction. Every stanza that leaves is stamped with the session's own address (RFC 6120 §8.1.2.1); the
 * client has no say in it.
 */
export class UserSession implements LocalResource {
  /** The full JID, for the life of the session. */
  readonly jid: Jid
  appetite: Appetite
  /** Set when the way of what was submitted last is full: whoever reads from the client is to wait. */
  pressure: Congestion | undefined
  readonly #options: UserSessionOptions
  readonly #iqs: OpenIqs
  readonly #directed = new DirectedPresence()
  #withdraw: (() => void) | undefined
  #presence: Stanza | undefined
  #priority = 0

  private constructor(jid: Jid, options: UserSessionOptions) {
    this.jid = jid
    this.#options = options
    this.appetite = options.appetite
    this.#iqs = new OpenIqs({ clock: options.clock, show: options.show })
  }

  /** Makes a session and publishes it in the routing table. Undefined when `resource` is no resourcepart (RFC 7622 §3.4). */
  static open(options: UserSessionOptions): UserSession | undefined {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const suffix = tries === 0 ? '' : `-${randomBytes(tries).toString('hex')}`
      const jid = options.account.withResource(options.resource + suffix)
      if (jid === undefined) return undefined
      const session = new UserSession(jid, options)
      session.#withdraw = options.routes.addResource(session)
      if (session.#withdraw !== undefined) return session
    }
    return undefined
  }

  get congestion(): Congestion | undefined {
    return this.#options.congestion?.()
  }

  /** The last presence without `to`; undefined while unavailable. */
  get presence(): Stanza | undefined {
    return this.#presence
  }

  get priority(): number | undefined {
    return this.#presence === undefined ? undefined : this.#priority
  }

  get wantsMessages(): boolean {
    return this.appetite.messages ?? (this.#presence !== undefined && this.#priority >= 0)
  }

  get wantsPresence(): boolean {
    return this.appetite.presence ?? this.#presence !== undefined
  }

  /**
   * Sends a stanza of the client. The refusal, when there is one, says that the client asks for too much; a stanza that breaks no
   * bound is taken, and what becomes of it is told later. Nothing is taken once the session has ended.
   */
  submit(stanza: Stanza): Refusal | undefined {
    if (this.#withdraw === undefined) return new StanzaError('gone')
    this.pressure = undefined
    if (stanza.kind === 'presence') return this.#submitPresence(stanza)
    // RFC 6120 §10.3: without `to` it is for the client's own account.
    const stamped = stanza.readdressed({ from: this.jid, to: stanza.to ?? this.jid.bare })
    if (stanza.kind === 'iq') {
      const fate = this.#iqs.sending(stamped)
      if (fate !== 'send') return fate === 'drop' ? undefined : fate
    }
    this.#send(stamped)
    return undefined
  }

  /** Tells everybody who sees the session that it is not available any more (RFC 6121 §4.5.2). */
  becomeUnavailable(): void {
    if (this.#withdraw === undefined) return
    this.#submitPresence(Stanza.build('presence', { type: 'unavailable' }, []))
  }

  /** A stanza for this session arrives. */
  deliver(stanza: Stanza, refused: Refused): Refusal | undefined {
    if (this.#withdraw === undefined) return UNAVAILABLE
    if (stanza.kind === 'iq') return this.#iqs.arriving(stanza, refused, this.appetite.iqs)
    if (stanza.type === 'error') {
      // RFC 6121 §4.6.3: whoever refuses directed presence is not kept informed.
      if (stanza.kind === 'presence' && stanza.from !== undefined) this.#directed.delete(stanza.from)
    } else if (stanza.kind === 'presence') {
      if (this.appetite.presence === false) return undefined
    } else if (this.appetite.messages === false) {
      return UNAVAILABLE
    }
    return this.#options.show(stanza)
  }

  /** Ends the session: those who see it are told, open requests are answered, its address is free. May be called twice. */
  end(): void {
    if (this.#withdraw === undefined) return
    if (this.#presence !== undefined || this.#directed.size > 0) this.becomeUnavailable()
    this.#withdraw()
    this.#withdraw = undefined
    this.#iqs.end()
  }

  #send(stanza: Stanza): void {
    this.pressure = this.#options.route(stanza) ?? this.pressure
  }

  #submitPresence(stanza: Stanza): Refusal | undefined {
    const { to, type } = stanza
    if (to === undefined) {
      this.#broadcast(stanza.withFrom(this.jid))
      return undefined
    }
    if (type !== undefined && SUBSCRIPTION_TYPES.has(type)) {
      this.#send(stanza.withFrom(this.jid.bare))
      return undefined
    }
    // RFC 6121 §4.6.3
    if (type === undefined && !this.#directed.add(to)) return new StanzaError('resource-constraint')
    if (type === 'unavailable') this.#directed.delete(to)
    this.#send(stanza.withFrom(this.jid))
    return undefined
  }

  #broadcast(stanza: Stanza): void {
    const isAvailable = stanza.type === undefined
    const wasAvailable = this.#presence !== undefined
    this.#presence = isAvailable ? stanza : undefined
    this.#priority = isAvailable ? priorityOf(stanza) : 0
    if (isAvailable || wasAvailable) this.#options.broadcast?.(stanza)
    if (isAvailable) return
    for (const to of this.#directed.take()) this.#send(stanza.withTo(to))
  }
}

/** RFC 6121 §4.7.2.3: 0 when absent, and when it is no integer from -128 to 127. */
function priorityOf(stanza: Stanza): number {
  const text = stanza.textOf('priority')?.trim() ?? ''
  const priority = /^[+-]?\d{1,3}$/.test(text) ? Number(text) : 0
  return priority >= -128 && priority <= 127 ? priority : 0
}
