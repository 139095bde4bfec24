import { randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.js'
import { Deadline, untilAborted } from '../base/deadline.js'
import type { Jid } from '../stanza/jid.js'
import { Stanza } from '../stanza/stanza.js'
import { createElement } from '../xml/element.js'
import { NS_PING } from '../xml/namespaces.js'

/** Requests of the server itself under way at once. */
const MOST_REQUESTS = 100

interface Asked {
  readonly from: Jid
  readonly to: Jid
  answered(answer: Stanza): void
}

/** A request that waits for its answer. */
export interface OwnRequest {
  readonly stanza: Stanza
  /** The answer, a result or an error of whoever was asked. Rejects with the reason of `signal`, or with an error when the time is up. */
  answer(signal: AbortSignal): Promise<Stanza>
}

/** What the server asks in its own name, from a served domain without a localpart, and the answers to it (RFC 6120 §8.2.3). */
export class OwnRequests {
  readonly #clock: Clock
  readonly #asked = new Map<string, Asked>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** An XMPP Ping (XEP-0199 §4.1), to be sent by the caller, whose answer may take `ms` milliseconds. Undefined when too many are under way. */
  ping(from: Jid, to: Jid, ms: number): OwnRequest | undefined {
    if (this.#asked.size >= MOST_REQUESTS) return undefined
    const id = randomUUID()
    const deadline = new Deadline(this.#clock, ms, () => new Error('the time for an answer is over'))
    const answered = new Promise<Stanza>(resolve => this.#asked.set(id, { from, to, answered: resolve }))
    return {
      stanza: Stanza.build('iq', { from, to, id, type: 'get' }, [createElement('ping', { xmlns: NS_PING })]),
      answer: async signal => {
        try {
          return await untilAborted(answered, AbortSignal.any([signal, deadline.signal]))
        } finally {
          deadline.done()
          this.#asked.delete(id)
        }
      },
    }
  }

  /** Takes a result or an error for a served domain itself; only whoever was asked can answer. */
  heard(answer: Stanza): void {
    const asked = this.#asked.get(answer.id ?? '')
    if (asked === undefined || answer.from?.equals(asked.to) !== true || answer.to?.equals(asked.from) !== true) return
    asked.answered(answer)
  }
}
