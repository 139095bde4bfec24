import type { Stanza } from './stanza.js'
import type { StanzaError } from './stanza-error.js'

/** Why a stanza was not taken or not delivered, worded as its sender will be told (RFC 6120 §8.3). */
export type Refusal = StanzaError

/** Called once, later, for a stanza that a route took and then could not deliver. */
export type Refused = (stanza: Stanza, refusal: Refusal) => void

/** A pile of stanzas above its mark. Whoever adds to it stops reading its own input until it is told. */
export interface Congestion {
  /** Calls `resume` once, when the pile is below its mark again or gone. */
  onRelief(resume: () => void): void
}

/**
 * A way to whoever answers for an address. `deliver` is synchronous: undefined means the route has taken the stanza and owns it
 * from now on; a refusal means it has not. A route that took a stanza and later cannot deliver it calls `refused` once with it.
 */
export interface Route {
  deliver(stanza: Stanza, refused: Refused): Refusal | undefined
  /** Set while this route's pile is above its mark; read after each delivery. */
  readonly congestion?: Congestion | undefined
}
