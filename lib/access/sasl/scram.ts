import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Log } from '../../base/log.js'
import type { AccountName } from '../../store/accounts.js'
import { SCRAM_HASH, SCRAM_HASH_BYTES, type ScramKeys, type ScramMechanism } from '../../store/scram-keys.js'
import { BoundedExchange } from './bounded-exchange.js'
import {
  type AccountNameReader,
  type CredentialSource,
  failure,
  isOwnIdentity,
  NOBODY,
  type SaslFailure,
  type SaslStep,
} from './exchange.js'
import { fakeScramKeys } from './fake-scram-keys.js'
import { type ChannelBindingFlag, type ClientFirst, readClientFinal, readClientFirst } from './scram-message.js'

/** What ties the exchange to the TLS connection below it (RFC 5929, RFC 9266): for example `tls-exporter` and its 32 octets. */
export interface ChannelBinding {
  readonly type: string
  readonly data: Buffer
}

/** What {@link ScramExchange} needs. */
export interface ScramOptions {
  readonly hash: ScramMechanism
  /** Whether the client chose the `-PLUS` name; needs `channelBinding`. */
  readonly isPlus?: boolean
  /** Given when the `-PLUS` mechanisms are offered on this connection; then a client that says they are not is refused (`y`). */
  readonly channelBinding?: ChannelBinding
  readonly accounts: CredentialSource
  readonly readName: AccountNameReader
  /** Secret of the installation, for the salts of accounts that do not exist. */
  readonly fakeSaltSecret: string
  readonly log: Log
  /** The server's part of the nonce, printable without comma; default 144 random bits. */
  readonly makeNonce?: () => string
}

/** What the first message leaves for the second one. */
interface Challenged {
  readonly first: ClientFirst
  readonly nonce: string
  readonly serverFirst: string
  readonly account: AccountName
  readonly keys: ScramKeys
  readonly isKnown: boolean
}

/** Server side of SCRAM (RFC 5802, RFC 7677). */
export class ScramExchange extends BoundedExchange {
  readonly mechanism: string
  readonly #options: ScramOptions
  #challenged: Challenged | undefined

  constructor(options: ScramOptions) {
    super(options.log)
    this.#options = options
    this.mechanism = options.isPlus ? `${options.hash}-PLUS` : options.hash
  }

  protected step(data: Buffer): Promise<SaslStep> {
    return this.#challenged ? this.#finish(this.#challenged, data) : this.#challenge(data)
  }

  async #challenge(data: Buffer): Promise<SaslStep> {
    const first = readClientFirst(data)
    if (first === undefined) return failure('malformed-request')
    const refusal = this.#refusalOf(first.flag)
    if (refusal !== undefined) return failure(refusal)

    const { hash, accounts, readName, fakeSaltSecret, makeNonce = randomNonce } = this.#options
    const account = readName(first.username)
    // Known or not, both pairs of keys are fetched, so that the time taken does not tell.
    const { local, domain } = account ?? NOBODY
    const known = (await accounts.credentials(local, domain))?.[hash]
    const fake = fakeScramKeys(hash, fakeSaltSecret, account ?? first.username)
    const keys = known ?? fake
    const nonce = first.nonce + makeNonce()
    const serverFirst = `r=${nonce},s=${keys.salt.toString('base64')},i=${keys.iterations}`
    const isKnown = account !== undefined && known !== undefined
    this.#challenged = { first, nonce, serverFirst, account: account ?? NOBODY, keys, isKnown }
    return { kind: 'challenge', data: Buffer.from(serverFirst) }
  }

  async #finish(challenged: Challenged, data: Buffer): Promise<SaslStep> {
    const { first, nonce, serverFirst, account, keys, isKnown } = challenged
    const final = readClientFinal(data)
    const hash = SCRAM_HASH[this.#options.hash]
    if (final === undefined || final.proof.length !== SCRAM_HASH_BYTES[this.#options.hash]) {
      return failure('malformed-request')
    }
    const isBound = isSame(final.channelBinding, this.#expectedBinding(first))
    const isOwnNonce = isSame(Buffer.from(final.nonce), Buffer.from(nonce))

    // RFC 5802 §3: ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage), StoredKey = H(ClientKey).
    const authMessage = `${first.bare},${serverFirst},${final.withoutProof}`
    const signature = createHmac(hash, keys.storedKey).update(authMessage).digest()
    const clientKey = signature.map((octet, index) => octet ^ (final.proof[index] ?? 0))
    const isProven = timingSafeEqual(createHash(hash).update(clientKey).digest(), keys.storedKey)

    if (!(isProven && isKnown && isBound && isOwnNonce)) return failure('not-authorized')
    if (first.authzid !== undefined && !isOwnIdentity(first.authzid, account, this.#options.readName)) {
      return failure('invalid-authzid')
    }
    const serverSignature = createHmac(hash, keys.serverKey).update(authMessage).digest('base64')
    return { kind: 'success', account, data: Buffer.from(`v=${serverSignature}`) }
  }

  /** RFC 5802 §6: the flag must agree with the mechanism's name and with what was offered. */
  #refusalOf(flag: ChannelBindingFlag): SaslFailure | undefined {
    const { isPlus = false, channelBinding } = this.#options
    if (isPlus !== (flag.kind === 'p')) return 'malformed-request'
    if (flag.kind === 'p' && flag.type !== channelBinding?.type) return 'malformed-request'
    // The client did not see the -PLUS mechanisms that were offered: somebody between took them out of the list.
    if (flag.kind === 'y' && channelBinding !== undefined) return 'not-authorized'
    return undefined
  }

  #expectedBinding({ flag, gs2Header }: ClientFirst): Buffer {
    const header = Buffer.from(gs2Header)
    const { channelBinding } = this.#options
    return flag.kind === 'p' && channelBinding ? Buffer.concat([header, channelBinding.data]) : header
  }
}

function randomNonce(): string {
  return randomBytes(18).toString('base64')
}

function isSame(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
