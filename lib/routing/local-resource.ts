import type { Jid } from '../stanza/jid.js'
import type { Route } from '../stanza/route.js'

/** A connected session of a local account, under its full JID (RFC 6121 §1.2). The getters are read at each delivery. */
export interface LocalResource extends Route {
  readonly jid: Jid
  /** -128…127 while available, undefined while the session has sent no presence or sent `unavailable` (RFC 6121 §4.7.2.3). */
  readonly priority: number | undefined
  /** Takes messages addressed to the bare JID; an available resource of non-negative priority does, a XIMSS session by its own rules. */
  readonly wantsMessages: boolean
  /** Takes presence addressed to the bare JID. */
  readonly wantsPresence: boolean
}
