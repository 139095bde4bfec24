import {
  type DialbackCondition,
  type DialbackElement,
  readDialback,
  writeDialbackAnswer,
  writeDialbackError,
} from '../negotiation/dialback/element.js'
import { isDialbackKey } from '../negotiation/dialback/key.js'
import type { Rules } from '../negotiation/rules.js'
import { prepareDomain } from '../stanza/domain.js'
import { DomainPair } from '../stanza/domain-pair.js'
import { toElement } from '../xml/element.js'
import type { ElementToken } from '../xml/token.js'
import type { IncomingHost } from './incoming-host.js'

/** What the authoritative server said, or why it could not be asked (XEP-0220 §2.4 conditions). */
export type VerifyOutcome =
  | { readonly kind: 'valid' }
  | { readonly kind: 'invalid' }
  | { readonly kind: 'error'; readonly condition: DialbackCondition }

/** Has the authoritative server of `pair.remote` check a key that was sent on the stream with this id. Never rejects. */
export type Verify = (pair: DomainPair, streamId: string, key: string, signal: AbortSignal) => Promise<VerifyOutcome>

/** The same, with the network that the stream comes from. */
export type VerifyFrom = (
  pair: DomainPair,
  streamId: string,
  key: string,
  signal: AbortSignal,
  place: string,
) => Promise<VerifyOutcome>

const MOST_PENDING = 16
/** Dialback requests that one stream may make in its life; 100 pairs need no more. */
const MOST_REQUESTS = 500
/** Refusals that are worth a line each; the rest is only for those who look closely. */
const MOST_TOLD = 10
const LONGEST_KEY = 512
const LONGEST_ID = 255
const LONGEST_ECHO = 1023

interface Names {
  readonly from: string | undefined
  readonly to: string | undefined
}

/** Server Dialback on a stream that a peer opened: the receiving role (XEP-0220 §2.1) and the authoritative role (§2.2). */
export class IncomingDialback {
  /** How many `db:verify` have been answered; a peer may open a stream for nothing else. */
  answered = 0
  readonly #host: IncomingHost
  readonly #verify: Verify
  readonly #pending = new Map<string, AbortController>()
  #requests = 0
  #refused = 0

  constructor(host: IncomingHost, verify: Verify) {
    this.#host = host
    this.#verify = verify
  }

  get pending(): number {
    return this.#pending.size
  }

  /** What was asked before TLS, or on a stream that has ended, is void. */
  forget(): void {
    for (const aborter of this.#pending.values()) aborter.abort(new Error('the request is void'))
    this.#pending.clear()
  }

  receive(token: ElementToken): void {
    const element = readDialback(toElement(token), token.tag.name)
    if (element === undefined)
      return this.#host.stream.fail('unsupported-stanza-type', `<${token.tag.name}> is not an element of dialback`)
    // Nothing is ever asked on a stream that the peer opened, so every answer here is unsolicited (CVE-2012-3525 and its kin).
    if (element.type !== undefined)
      return this.#host.stream.fail('invalid-from', 'an answer to a question that was never asked')
    if (element.step === 'result') this.#result(element)
    else this.#authoritative(element)
  }

  #result(element: DialbackElement): void {
    const { stream, context, pairs, encrypted } = this.#host
    this.#requests++
    if (this.#requests > MOST_REQUESTS) return stream.fail('policy-violation', 'too many dialback requests')
    const from = prepared(element.from)
    const to = prepared(element.to)
    if (from === undefined || to === undefined)
      return stream.fail('improper-addressing', "dialback needs a valid 'from' and 'to'")
    const state = context.domainState(to)
    const refuse = (condition: DialbackCondition): void => this.#error('result', { from, to }, condition)
    if (state !== 'served') return refuse('item-not-found')
    if (context.domainState(from) === 'served') return stream.fail('invalid-from', "'from' is served here")
    const pair = new DomainPair(to, from)
    const rules = this.#rulesFor(pair)
    if (rules === undefined) return refuse('policy-violation')
    if (!isKey(element.key)) return refuse('bad-request')
    if (pairs.proofOf(to, from) !== undefined) return this.#valid(pair)
    if (this.#pending.has(pair.key)) return
    if (this.#host.pairsFull || this.#pending.size >= MOST_PENDING) return refuse('resource-constraint')
    if (encrypted && this.#host.peerShowedCertificate) {
      if (rules.external && this.#host.judge(from).verified) {
        this.#host.prove(pair, 'certificate')
        return this.#valid(pair)
      }
      if (this.#host.insists(to, rules) && !this.#host.judge(from).verified) return refuse('not-authorized')
    }
    void this.#ask(pair, element.key)
  }

  /** Undefined when the pair may not prove itself by dialback on this stream. */
  #rulesFor({ local, remote }: DomainPair): Rules | undefined {
    const { context, encrypted } = this.#host
    const gate = context.gate(local, remote, 'incoming')
    if ('refused' in gate || !gate.rules.dialback) return undefined
    return gate.rules.tls === 'required' && !encrypted ? undefined : gate.rules
  }

  /** The receiving server asks the authoritative one; stanzas of proven pairs flow on meanwhile. */
  async #ask(pair: DomainPair, key: string): Promise<void> {
    const aborter = new AbortController()
    this.#pending.set(pair.key, aborter)
    const { streamId } = this.#host
    const outcome = await this.#verify(pair, streamId, key, aborter.signal)
    if (this.#pending.get(pair.key) !== aborter) return
    this.#pending.delete(pair.key)
    const names = { from: pair.remote, to: pair.local }
    this.#host.log.info('s2s-in-dialback', {
      local: pair.local,
      remote: pair.remote,
      outcome: outcome.kind === 'error' ? outcome.condition : outcome.kind,
    })
    if (outcome.kind === 'error') return this.#error('result', names, outcome.condition)
    if (outcome.kind === 'valid') {
      // Policy and served domains may have changed while the answer was awaited.
      if (this.#host.context.domainState(pair.local) !== 'served') return this.#error('result', names, 'item-not-found')
      if (this.#rulesFor(pair) === undefined) return this.#error('result', names, 'policy-violation')
      this.#host.prove(pair, 'dialback')
      return this.#valid(pair)
    }
    // XEP-0220 §2.1.1: an invalid key ends the stream, unless other pairs have been proven on it.
    if (this.#host.pairs.size > 0) return this.#error('result', names, 'forbidden')
    this.#host.log.warn('s2s-in-dialback-invalid', { local: pair.local, remote: pair.remote })
    this.#host.stream.send(writeDialbackAnswer('result', { from: pair.local, to: pair.remote }, 'invalid'))
    this.#host.stream.close({ kind: 'dialback', detail: 'invalid' })
  }

  /** Needs nothing but the secret, so any of our servers can answer; says nothing about who asks. */
  #authoritative(element: DialbackElement): void {
    const { stream, context, encrypted } = this.#host
    const from = prepared(element.from)
    const to = prepared(element.to)
    const { id, key } = element
    this.answered++
    if (from === undefined || to === undefined) {
      return this.#error('verify', { from: element.from, to: element.to, id }, 'bad-request')
    }
    const names = { from, to, id }
    if (id === undefined || id === '' || id.length > LONGEST_ID || !isKey(key))
      return this.#error('verify', names, 'bad-request')
    if (context.domainState(to) !== 'served') return this.#error('verify', names, 'item-not-found')
    const gate = context.gate(to, from, 'incoming')
    const general = context.gate(to, '', 'incoming')
    const isSwitchedOff = 'refused' in general || !general.rules.dialback
    // Which proof is demanded of the asking domain says nothing about the one that we gave it.
    if ('refused' in gate || isSwitchedOff || (gate.rules.tls === 'required' && !encrypted)) {
      return this.#error('verify', names, 'policy-violation')
    }
    const valid = isDialbackKey(key, context.dialbackSecrets(), { receiving: from, originating: to, streamId: id })
    if (!valid) this.#host.log.warn('s2s-dialback-key-invalid', { local: to, remote: from })
    stream.send(writeDialbackAnswer('verify', { from: to, to: from, id }, valid ? 'valid' : 'invalid'))
  }

  #valid(pair: DomainPair): void {
    this.#host.stream.send(writeDialbackAnswer('result', { from: pair.local, to: pair.remote }, 'valid'))
  }

  /** Names as they came; the answer swaps them. */
  #error(
    step: 'result' | 'verify',
    names: Names & { readonly id?: string | undefined },
    condition: DialbackCondition,
  ): void {
    this.#refused++
    const level = this.#refused <= MOST_TOLD ? 'info' : 'debug'
    const { from, to, id } = { from: shortened(names.from), to: shortened(names.to), id: shortened(names.id) }
    this.#host.log[level]('s2s-in-dialback-refused', { step, from, to, condition })
    this.#host.stream.send(writeDialbackError(step, { from: to, to: from, id }, condition))
  }
}

function prepared(name: string | undefined): string | undefined {
  return name === undefined ? undefined : prepareDomain(name)
}

/** What is too long to be a name is not sent back. */
function shortened(text: string | undefined): string | undefined {
  return text !== undefined && text.length <= LONGEST_ECHO ? text : undefined
}

function isKey(key: string): boolean {
  return key.length > 0 && key.length <= LONGEST_KEY && /^[\x21-\x7e]+$/.test(key)
}
