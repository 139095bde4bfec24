import type { Log } from '../../base/log.js'
import { failure, type SaslExchange, type SaslStep } from './exchange.js'

/** Longest message in octets: two bare JIDs of 2047 octets (RFC 7622 §3.1), a nonce and a proof fit with room for escapes. */
export const MOST_MESSAGE_BYTES = 8192

/** What every mechanism has in common: one message at a time, none after the end, none too long, and never an exception. */
export abstract class BoundedExchange implements SaslExchange {
  abstract readonly mechanism: string
  readonly #log: Log
  #isOpen = true

  constructor(log: Log) {
    this.#log = log
  }

  async respond(data: Buffer): Promise<SaslStep> {
    if (!this.#isOpen) return failure('malformed-request')
    // Closed while the answer is worked out: a message that does not wait for it ends the exchange instead of racing it.
    this.#isOpen = false
    const step = data.length > MOST_MESSAGE_BYTES ? failure('malformed-request') : await this.#guarded(data)
    this.#isOpen = step.kind === 'challenge'
    return step
  }

  /** The mechanism's own work on one message. */
  protected abstract step(data: Buffer): Promise<SaslStep>

  async #guarded(data: Buffer): Promise<SaslStep> {
    try {
      return await this.step(data)
    } catch (error) {
      this.#log.error('sasl-failed', { mechanism: this.mechanism, error })
      return failure('temporary-auth-failure')
    }
  }
}
