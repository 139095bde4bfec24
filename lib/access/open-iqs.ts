import type { Clock } from '../base/clock.js'
import type { Refusal, Refused } from '../stanza/route.js'
import type { Stanza } from '../stanza/stanza.js'
import { errorReply, StanzaError } from '../stanza/stanza-error.js'
import { Pending } from './pending.js'

/** How long an IQ request may stay unanswered, either way. */
export const IQ_DEADLINE_MS = 30_000

/** Most IQ requests one session may have open in each direction. */
export const MOST_OPEN_IQS = 256

interface Shown {
  readonly stanza: Stanza
  readonly refused: Refused
}

/**
 * The IQ requests that one session has open: those it sent and those it was shown. Each gets exactly one answer (RFC 6120 §8.2.3):
 * that of the other side, or an error when it does not come in time. Answers to nothing are dropped.
 */
export class OpenIqs {
  readonly #sent: Pending<Stanza>
  readonly #shown: Pending<Shown>

  /** `unanswered` takes the error that stands in for an answer to the client. */
  constructor({ clock, unanswered }: { clock: Clock; unanswered: (error: Stanza) => void }) {
    const bounds = { clock, ttlMs: IQ_DEADLINE_MS, most: MOST_OPEN_IQS }
    this.#sent = new Pending({
      ...bounds,
      expired: request => unanswered(errorReply(request, new StanzaError('remote-server-timeout'))),
    })
    this.#shown = new Pending({
      ...bounds,
      expired: ({ stanza, refused }) => refused(stanza, new StanzaError('service-unavailable')),
    })
  }

  /** What to do with an IQ of the client. */
  sending(stanza: Stanza): 'send' | 'drop' | Refusal {
    const key = keyOf(stanza.to, stanza.id)
    if (stanza.isResponse) return this.#shown.take(key) === undefined ? 'drop' : 'send'
    return this.#sent.add(key, stanza) ? 'send' : new StanzaError('resource-constraint')
  }

  /** What to do with an IQ for the client. `takesRequests`: the client is there to answer. */
  arriving(stanza: Stanza, refused: Refused, takesRequests: boolean): 'show' | 'drop' | Refusal {
    const key = keyOf(stanza.from ?? stanza.to?.bare, stanza.id)
    if (stanza.isResponse) return this.#sent.take(key) === undefined ? 'drop' : 'show'
    if (!takesRequests) return new StanzaError('service-unavailable')
    return this.#shown.add(key, { stanza, refused }) ? 'show' : new StanzaError('resource-constraint')
  }

  /** The client is gone: whoever waits for its answer is told. */
  end(): void {
    this.#sent.takeAll()
    for (const { stanza, refused } of this.#shown.takeAll()) refused(stanza, new StanzaError('service-unavailable'))
  }
}

/** A canonical address holds no NUL. */
function keyOf(address: { toString(): string } | undefined, id: string | undefined): string {
  return `${address ?? ''}\0${id ?? ''}`
}
