import type { Log } from '../base/log.js'
import { type DialbackElement, readDialback, writeDialbackRequest } from '../negotiation/dialback/element.js'
import { dialbackKey } from '../negotiation/dialback/key.js'
import type { SecuredStream } from '../negotiation/initiate.js'
import type { Proof } from '../negotiation/rules.js'
import { prepareDomain } from '../stanza/domain.js'
import { DomainPair } from '../stanza/domain-pair.js'
import type { Congestion, Refused } from '../stanza/route.js'
import type { Stanza } from '../stanza/stanza.js'
import { describeEnd, type EndReason, refusalOf, StreamEnd } from '../stream/end-reason.js'
import type { StreamToken, XmlStream } from '../stream/xml-stream.js'
import { toElement } from '../xml/element.js'
import { NS_DIALBACK, NS_SASL, NS_SERVER, NS_STREAMS, NS_TLS } from '../xml/namespaces.js'
import { AuthorizedPairs, MOST_PAIRS } from './authorized-pairs.js'
import type { SessionContext } from './context.js'
import type { VerifyOutcome } from './incoming-dialback.js'
import { idleTime, limitsAfterProof } from './stream-limits.js'
import { StreamWatch } from './stream-watch.js'

/** Unsent bytes above which producers are asked to wait, and below which they go on. */
const CONGESTED_BYTES = 1024 * 1024
const RELIEVED_BYTES = CONGESTED_BYTES / 2
const MOST_UNKNOWN_ELEMENTS = 100
/** Questions that nobody waits for any more, whose answers may still come. */
const MOST_ABANDONED = 1000
/** Pairs that the peer would not take; more than that, and it is asked for none any more. */
const MOST_DECLINED = 1000

interface Question<T> {
  resolve(answer: T): void
  reject(error: Error): void
}

interface Unconfirmed {
  readonly stanza: Stanza
  readonly refused: Refused
  /** The transport's `written` once this stanza was handed over. */
  readonly end: number
}

export interface OutgoingStreamHooks {
  /** So many stanzas have been taken by the operating system. */
  delivered(count: number): void
  /** So many stanzas were refused because their fate is unknown. */
  cut(count: number): void
  ended(): void
}

/** Told when a stream it rides on has room again, and when it is gone. */
export interface Carried {
  relieved(): void
  lost(reason: EndReason): void
}

/** One stream that we opened: dialback questions and their answers, the pairs it carries, the stanzas under way. */
export class OutgoingStream implements Congestion {
  readonly tag: string
  /** The domain that was dialed. */
  readonly remote: string
  readonly stream: XmlStream
  readonly pairs = new AuthorizedPairs()
  readonly log: Log
  /** Resolves when the stream has ended, for whatever reason. */
  readonly finished: Promise<void>
  secured: SecuredStream
  readonly #context: SessionContext
  readonly #hooks: OutgoingStreamHooks
  readonly #watch: StreamWatch
  readonly #carried = new Map<string, Carried>()
  readonly #results = new Map<string, Question<void>>()
  readonly #verifies = new Map<string, Question<VerifyOutcome>>()
  readonly #abandoned = new Set<string>()
  readonly #declined = new Set<string>()
  /** Domains other than the dialed one that the peer's certificate stands for. */
  readonly #verified = new Set<string>()
  readonly #relief = new Set<() => void>()
  readonly #startedAt: number
  readonly #finish: () => void
  #unconfirmed: Unconfirmed[] = []
  #confirmedHead = 0
  #congested = false
  #ended: EndReason | undefined
  #unknownElements = 0
  sent = 0

  constructor(
    tag: string,
    remote: string,
    stream: XmlStream,
    secured: SecuredStream,
    context: SessionContext,
    hooks: OutgoingStreamHooks,
  ) {
    this.tag = tag
    this.remote = remote
    this.stream = stream
    this.secured = secured
    this.log = context.log.child({ tag })
    this.#context = context
    this.#hooks = hooks
    this.#startedAt = context.clock.now()
    this.#watch = new StreamWatch(stream, context.clock, () =>
      idleTime(context.settings.idleMs, this.secured.features.limits),
    )
    let finish = (): void => {}
    this.finished = new Promise(resolve => {
      finish = resolve
    })
    this.#finish = finish
  }

  get usable(): boolean {
    return this.#ended === undefined && this.stream.open
  }

  get connectedMs(): number {
    return this.#context.clock.now() - this.#startedAt
  }

  /** Whether a question of ours is still unanswered. */
  get busy(): boolean {
    return this.#results.size + this.#verifies.size > 0
  }

  /** Takes everything that comes from now on; to be called when nothing is read in straight lines any more. */
  listen(): void {
    this.stream.listen({
      token: token => this.#token(token),
      confirmed: written => this.#confirmed(written),
      ended: reason => this.#end(reason),
    })
  }

  /** Records a proof of ours and what is to be told when the stream ends. */
  carry(pair: DomainPair, proof: Proof, carried: Carried): void {
    if (this.pairs.size === 0) this.stream.limits = limitsAfterProof(this.#context.settings)
    this.pairs.add(pair, proof)
    this.#carried.set(pair.key, carried)
    this.#watch.start()
  }

  /** Takes a pair off the stream, which ends with its last one. */
  release(pair: DomainPair, reason: EndReason): void {
    this.pairs.remove(pair)
    this.#carried.delete(pair.key)
    this.#forgetVerified(pair.remote)
    this.closeUnlessUsed(reason)
  }

  /** Closes it when it carries nothing, on behalf of a pair that will not use it. */
  closeUnlessUsed(reason: EndReason): void {
    if (this.pairs.size === 0) this.close(reason)
  }

  /** Whether no further pair may be asked for. */
  get full(): boolean {
    return this.pairs.size + this.#results.size >= MOST_PAIRS || this.#declined.size >= MOST_DECLINED
  }

  hasDeclined(pair: DomainPair): boolean {
    return this.#declined.has(pair.key)
  }

  /** Remembers that the peer was asked for the pair and did not prove it. */
  decline(pair: DomainPair): void {
    this.#declined.add(pair.key)
    this.#forgetVerified(pair.remote)
  }

  /** Remembers that the peer's certificate stands for a domain other than the dialed one, for which a pair is now asked for. */
  noteVerified(domain: string): void {
    this.#verified.add(domain)
  }

  /** Whether the peer's certificate stands for a domain. Without TLS there is none, and the peer goes for the dialed domain alone. */
  isVerifiedFor(domain: string): boolean {
    if (domain !== this.remote) return this.#verified.has(domain)
    return this.secured.verdict?.verified ?? true
  }

  #forgetVerified(domain: string): void {
    if (!this.pairs.hasRemote(domain)) this.#verified.delete(domain)
  }

  /** Proves a pair by Server Dialback (XEP-0220 §2.1). Rejects with a StreamEnd, or with the signal's reason. */
  requestPair(pair: DomainPair, signal: AbortSignal): Promise<void> {
    const [secret] = this.#context.dialbackSecrets()
    const key = dialbackKey(secret!, {
      receiving: pair.remote,
      originating: pair.local,
      streamId: this.secured.streamId,
    })
    return this.#ask(this.#results, pair.key, signal, () => {
      this.stream.send(writeDialbackRequest('result', { from: pair.local, to: pair.remote }, key))
    })
  }

  /** Asks whether a key that somebody gave for `pair.remote` is its own (XEP-0220 §2.2). Rejects as `requestPair` does. */
  verify(pair: DomainPair, id: string, key: string, signal: AbortSignal): Promise<VerifyOutcome> {
    return this.#ask(this.#verifies, `${pair.key} ${id}`, signal, () => {
      this.stream.send(writeDialbackRequest('verify', { from: pair.local, to: pair.remote, id }, key))
    })
  }

  /** Whether the peer has said that it would not take a stanza of this size (XEP-0478 §3.3). */
  exceeds(stanza: Stanza): boolean {
    const { maxBytes } = this.secured.features.limits ?? {}
    return maxBytes !== undefined && stanza.size > maxBytes
  }

  /** Hands a stanza to the stream, which must not exceed it. It is answered with an error when its fate can no longer be known. */
  write(stanza: Stanza, refused: Refused): void {
    this.stream.send(stanza.serialize())
    this.sent++
    this.#watch.touched()
    this.#unconfirmed.push({ stanza, refused, end: this.stream.transport.written })
    if (this.stream.transport.unsentBytes > CONGESTED_BYTES) this.#congested = true
  }

  /** Stanzas handed over whose fate is not known yet. */
  get underway(): number {
    return this.#unconfirmed.length - this.#confirmedHead
  }

  get congested(): boolean {
    return this.#congested
  }

  onRelief(resume: () => void): void {
    if (this.#congested && this.#ended === undefined) this.#relief.add(resume)
    else resume()
  }

  close(reason: EndReason): void {
    if (reason.kind === 'shutdown') this.stream.fail('system-shutdown', undefined, reason)
    else this.stream.close(reason)
  }

  #ask<T>(questions: Map<string, Question<T>>, key: string, signal: AbortSignal, send: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      if (this.#ended !== undefined)
        return reject(new StreamEnd(this.#ended.kind, this.#ended.detail, this.#ended.text))
      if (questions.has(key))
        return reject(new StreamEnd('internal', 'exception', 'the same question is being asked already'))
      const settle = (): void => {
        questions.delete(key)
        signal.removeEventListener('abort', aborted)
      }
      const aborted = (): void => {
        settle()
        this.#abandon(key)
        reject(signal.reason)
      }
      signal.addEventListener('abort', aborted)
      questions.set(key, {
        resolve: answer => {
          settle()
          resolve(answer)
        },
        reject: error => {
          settle()
          reject(error)
        },
      })
      send()
    })
  }

  /** An answer to a question that was given up, because it came too late or whoever caused it hung up, is no fault of the peer's. */
  #abandon(key: string): void {
    this.#abandoned.add(key)
    if (this.#abandoned.size <= MOST_ABANDONED) return
    for (const oldest of this.#abandoned) {
      this.#abandoned.delete(oldest)
      return
    }
  }

  #token(token: StreamToken): void {
    this.#watch.progressed()
    if (token.kind !== 'element') return this.stream.fail('policy-violation', 'not expected on this stream')
    switch (token.tag.namespace) {
      case NS_DIALBACK: {
        const element = readDialback(toElement(token), token.tag.name)
        if (element === undefined || element.type === undefined)
          return this.stream.fail('unsupported-stanza-type', 'not expected on this stream')
        return this.#answer(element)
      }
      case NS_SERVER:
        // Without bidi a stream that we opened is one-way (RFC 6120 §4.5).
        return this.stream.fail('not-authorized', 'this stream carries stanzas in one direction only')
      case NS_STREAMS:
        // Features that come late change nothing.
        if (token.tag.name !== 'features') return this.stream.fail('invalid-xml', `unknown <${token.tag.name}>`)
        return this.#unknown()
      case NS_SASL:
      case NS_TLS:
        return this.stream.fail('unsupported-stanza-type', 'not expected at this point')
      default:
        return this.#unknown()
    }
  }

  /** Passed over, but not for ever. */
  #unknown(): void {
    this.#unknownElements++
    if (this.#unknownElements > MOST_UNKNOWN_ELEMENTS) this.stream.fail('policy-violation', 'too many unknown elements')
  }

  /** An answer must fit a question asked on this very stream, by both names and the id (CVE-2012-3525 and its kin). */
  #answer(element: DialbackElement): void {
    const remote = element.from === undefined ? undefined : prepareDomain(element.from)
    const local = element.to === undefined ? undefined : prepareDomain(element.to)
    const pair = remote === undefined || local === undefined ? undefined : new DomainPair(local, remote)
    const isResult = element.step === 'result'
    const key = pair && (isResult ? pair.key : `${pair.key} ${element.id ?? ''}`)
    const result = key !== undefined && isResult ? this.#results.get(key) : undefined
    const verify = key !== undefined && !isResult ? this.#verifies.get(key) : undefined
    if (result === undefined && verify === undefined) {
      if (key !== undefined && this.#abandoned.delete(key)) return
      this.log.warn('s2s-out-unsolicited', { step: element.step, from: element.from, to: element.to })
      return this.stream.fail('invalid-from', 'an answer to a question that was not asked')
    }
    this.log.info('s2s-out-dialback', {
      step: element.step,
      local,
      remote,
      type: element.type,
      condition: element.condition,
    })
    const condition = element.condition ?? 'undefined-condition'
    if (result !== undefined) {
      if (element.type === 'valid') result.resolve()
      else if (element.type === 'invalid') result.reject(new StreamEnd('dialback', 'invalid'))
      else result.reject(new StreamEnd('dialback', condition))
    } else if (verify !== undefined) {
      if (element.type === 'valid' || element.type === 'invalid') verify.resolve({ kind: element.type })
      else
        verify.resolve({
          kind: 'error',
          condition: condition === 'item-not-found' ? 'remote-server-not-found' : 'remote-server-timeout',
        })
    }
  }

  #confirmed(written: number): void {
    const before = this.#confirmedHead
    while (this.#confirmedHead < this.#unconfirmed.length && this.#unconfirmed[this.#confirmedHead]!.end <= written)
      this.#confirmedHead++
    const count = this.#confirmedHead - before
    if (this.#confirmedHead === this.#unconfirmed.length || this.#confirmedHead > 1000) {
      this.#unconfirmed = this.#unconfirmed.slice(this.#confirmedHead)
      this.#confirmedHead = 0
    }
    if (count > 0) this.#hooks.delivered(count)
    if (this.#congested && this.stream.transport.unsentBytes < RELIEVED_BYTES) this.#relieve()
  }

  #relieve(): void {
    this.#congested = false
    const waiting = [...this.#relief]
    this.#relief.clear()
    for (const carried of this.#carried.values()) carried.relieved()
    for (const resume of waiting) resume()
  }

  #end(reason: EndReason): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    this.#watch.stop()
    const lost = new StreamEnd(reason.kind, reason.detail, reason.text)
    for (const question of [...this.#results.values(), ...this.#verifies.values()]) question.reject(lost)
    const under = this.#unconfirmed.slice(this.#confirmedHead)
    this.#unconfirmed = []
    this.#confirmedHead = 0
    this.log.info('s2s-out-ended', { remote: this.remote, reason: describeEnd(reason) })
    for (const carried of [...this.#carried.values()]) carried.lost(reason)
    this.#carried.clear()
    this.#relieve()
    const refusal = refusalOf({ kind: 'cut', detail: 'unconfirmed' })
    for (const { stanza, refused } of under) refused(stanza, refusal)
    if (under.length > 0) this.#hooks.cut(under.length)
    this.#hooks.ended()
    this.#finish()
  }
}
