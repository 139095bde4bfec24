import type { Clock } from '../base/clock.js'
import { UNAVAILABLE } from '../routing/local-delivery.js'
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
  readonly #show: (stanza: Stanza) => Refusal | undefined

  /** `show` shows to the client what is for it: requests, answers, and the errors that stand in for an answer. */
  constructor({ clock, show }: { clock: Clock; show: (stanza: Stanza) => Refusal | undefined }) {
    this.#show = show
    const bounds = { clock, ttlMs: IQ_DEADLINE_MS, most: MOST_OPEN_IQS }
    this.#sent = new Pending({
      ...bounds,
      expired: request => void show(errorReply(request, new StanzaError('remote-server-timeout'))),
    })
    this.#shown = new Pending({
      ...bounds,
      expired: ({ stanza, refused }) => refused(stanza, UNAVAILABLE),
    })
  }

  /** What to do with an IQ of the client. */
  sending(stanza: Stanza): 'send' | 'drop' | Refusal {
    const key = keyOf(stanza.to, stanza.id)
    if (stanza.isResponse) return this.#shown.take(key) === undefined ? 'drop' : 'send'
    return this.#sent.add(key, stanza) ? 'send' : new StanzaError('resource-constraint')
  }

  /** Shows an IQ to the client, unless it answers nothing. `takesRequests`: the client is there to answer. */
  arriving(stanza: Stanza, refused: Refused, takesRequests: boolean): Refusal | undefined {
    const key = keyOf(stanza.from ?? stanza.to?.bare, stanza.id)
    if (stanza.isResponse) {
      const request = this.#sent.take(key)
      if (request === undefined) return undefined
      const refusal = this.#show(stanza)
      // The client's request gets its one answer, whatever is wrong with the one that came.
      if (refusal !== undefined) this.#show(errorReply(request, refusal))
      return refusal
    }
    if (!takesRequests) return UNAVAILABLE
    if (!this.#shown.add(key, { stanza, refused })) return new StanzaError('resource-constraint')
    const refusal = this.#show(stanza)
    if (refusal !== undefined) this.#shown.take(key)
    return refusal
  }

  /** The client is gone: whoever waits for its answer is told. */
  end(): void {
    this.#sent.takeAll()
    for (const { stanza, refused } of this.#shown.takeAll()) refused(stanza, UNAVAILABLE)
  }
}

/** A canonical address holds no NUL. */
function keyOf(address: { toString(): string } | undefined, id: string | undefined): string {
  return `${address ?? ''}\0${id ?? ''}`
}
