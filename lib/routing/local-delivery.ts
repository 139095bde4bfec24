import type { Congestion, Refusal, Refused, Route } from '../stanza/route.js'
import type { Stanza } from '../stanza/stanza.js'
import type { LocalResource } from './local-resource.js'
import type { RouteTable } from './route-table.js'

/** Nobody here takes it, or may be seen to take it: the same answer for unknown accounts and absent ones (RFC 6121 §8.5.1). */
export const UNAVAILABLE: Refusal = {
  condition: 'service-unavailable',
  type: 'cancel',
  text: 'there is no such account, or nobody is there to take this',
}

const UNKNOWN_REQUEST: Refusal = {
  condition: 'service-unavailable',
  type: 'cancel',
  text: 'this request is not answered here',
}

/** Presence that concerns the account and not one of its sessions (RFC 6121 §3). */
const SUBSCRIPTION_TYPES: ReadonlySet<string> = new Set(['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'])

/** Presence that the server sees to, whatever resource it names (RFC 6121 §8.5.3.1). */
const SERVER_TYPES: ReadonlySet<string> = new Set([...SUBSCRIPTION_TYPES, 'probe'])

/** Answers for the server itself and for accounts; undefined: not a request it knows. */
export type ServerAnswers = (stanza: Stanza) => Stanza | undefined

/** Delivery inside a served domain, by the rules of RFC 6121 §8.5. */
export class LocalDelivery implements Route {
  congestion: Congestion | undefined
  readonly #table: RouteTable
  readonly #answers: ServerAnswers
  readonly #route: (stanza: Stanza) => void
  readonly #heard: (answer: Stanza) => void

  /** `heard` is given every answer that is addressed to a domain itself. */
  constructor(
    table: RouteTable,
    answers: ServerAnswers,
    route: (stanza: Stanza) => void,
    heard: (answer: Stanza) => void = () => {},
  ) {
    this.#table = table
    this.#answers = answers
    this.#route = route
    this.#heard = heard
  }

  deliver(stanza: Stanza, refused: Refused): Refusal | undefined {
    this.congestion = undefined
    const to = stanza.to!
    if (to.local === '')
      return stanza.kind === 'iq' ? this.#answer(stanza) : stanza.kind === 'presence' ? undefined : UNAVAILABLE
    if (!to.isBare) {
      const resource = this.#table.resource(to)
      if (resource !== undefined && !(stanza.kind === 'presence' && SERVER_TYPES.has(stanza.type ?? ''))) {
        const refusal = this.#hand(resource, stanza, refused)
        // A session that takes no part in this must look like one that is not there, for a chat as well.
        if (refusal !== UNAVAILABLE) return refusal
      }
    }
    switch (stanza.kind) {
      case 'iq':
        return to.isBare ? this.#answer(stanza) : UNAVAILABLE
      case 'presence':
        return this.#presence(stanza, refused)
      case 'message':
        return this.#message(stanza, refused)
    }
  }

  /** RFC 6121 §8.5.2.1.1, and §8.5.3.2.1 for a full JID that nobody is connected with: there only a chat goes to the account instead. */
  #message(stanza: Stanza, refused: Refused): Refusal | undefined {
    const type = stanza.type ?? 'normal'
    if (type === 'groupchat') return UNAVAILABLE
    if (type === 'error') return undefined
    if (!stanza.to!.isBare && type !== 'chat') return type === 'headline' ? undefined : UNAVAILABLE
    const refusal = this.#handToAll(stanza, refused, resource => resource.wantsMessages)
    return type === 'headline' ? undefined : refusal
  }

  /** RFC 6121 §8.5.2.1.2; presence that nobody takes is not answered. */
  #presence(stanza: Stanza, refused: Refused): undefined {
    const { type } = stanza
    if (type === 'probe' || type === 'error') return
    const directed = !stanza.to!.isBare && !SUBSCRIPTION_TYPES.has(type ?? '')
    if (!directed) this.#handToAll(stanza, refused, resource => resource.wantsPresence)
  }

  /** Undefined when somebody took it, else why the last one that was asked did not. */
  #handToAll(stanza: Stanza, refused: Refused, wants: (resource: LocalResource) => boolean): Refusal | undefined {
    let taken = false
    let refusal = UNAVAILABLE
    for (const resource of this.#table.resources(stanza.to!)) {
      if (!wants(resource)) continue
      const reason = this.#hand(resource, stanza, refused)
      if (reason === undefined) taken = true
      else refusal = reason
    }
    return taken ? undefined : refusal
  }

  #hand(resource: LocalResource, stanza: Stanza, refused: Refused): Refusal | undefined {
    const refusal = resource.deliver(stanza, refused)
    this.congestion ??= resource.congestion
    return refusal
  }

  #answer(stanza: Stanza): Refusal | undefined {
    if (stanza.type === 'result' || stanza.type === 'error') {
      if (stanza.to!.local === '') this.#heard(stanza)
      return undefined
    }
    // An account that nobody uses now looks like one that does not exist (RFC 6121 §8.5.1).
    const to = stanza.to!
    const isThere = to.local === '' || !this.#table.resources(to)[Symbol.iterator]().next().done
    const answer = isThere ? this.#answers(stanza) : undefined
    if (answer === undefined) return isThere ? UNKNOWN_REQUEST : UNAVAILABLE
    this.#route(answer)
    return undefined
  }
}
