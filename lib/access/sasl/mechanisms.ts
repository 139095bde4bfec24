import type { Log } from '../../base/log.js'
import { SCRAM_MECHANISMS } from '../../store/scram-keys.js'
import type { AccountNameReader, CredentialSource, PasswordVerifier, SaslExchange } from './exchange.js'
import { PlainExchange } from './plain.js'
import { type ChannelBinding, ScramExchange } from './scram.js'

/** What {@link SaslMechanisms} needs. */
export interface SaslMechanismsOptions {
  readonly accounts: CredentialSource & PasswordVerifier
  readonly readName: AccountNameReader
  /** Secret of the installation (`Secrets.fakeSaltSecret`). */
  readonly fakeSaltSecret: string
  /** Whether PLAIN is offered: under TLS, or where the admin allows it without. */
  readonly isPlainAllowed: boolean
  /** Given: the `-PLUS` mechanisms are offered too. */
  readonly channelBinding?: ChannelBinding
  readonly log: Log
}

/** The mechanisms offered on one connection: what is listed can be started, nothing else can. */
export class SaslMechanisms {
  /** Registered names, strongest first. */
  readonly offered: readonly string[]
  readonly #makers: ReadonlyMap<string, () => SaslExchange>

  constructor(options: SaslMechanismsOptions) {
    const makers = new Map<string, () => SaslExchange>()
    if (options.channelBinding) {
      for (const hash of SCRAM_MECHANISMS) {
        makers.set(`${hash}-PLUS`, () => new ScramExchange({ ...options, hash, isPlus: true }))
      }
    }
    for (const hash of SCRAM_MECHANISMS) makers.set(hash, () => new ScramExchange({ ...options, hash }))
    if (options.isPlainAllowed) makers.set('PLAIN', () => new PlainExchange(options))
    this.#makers = makers
    this.offered = [...makers.keys()]
  }

  /** A new exchange; `undefined` when the mechanism is not offered here (answer `invalid-mechanism`). */
  start(mechanism: string): SaslExchange | undefined {
    return this.#makers.get(mechanism)?.()
  }
}
