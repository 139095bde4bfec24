import type { Log } from '../base/log.js'
import { peerChain } from '../negotiation/certificate/peer-chain.js'
import type { CertificateVerdict } from '../negotiation/certificate/verdict.js'
import { type Features, writeFeatures } from '../negotiation/features.js'
import type { Proof, Rules } from '../negotiation/rules.js'
import { STARTTLS_FAILURE, STARTTLS_PROCEED } from '../negotiation/starttls.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import type { EndReason } from '../stream/end-reason.js'
import { describeEnd } from '../stream/end-reason.js'
import { newStreamId, readVersion, writeStreamHeader } from '../stream/stream-header.js'
import type { StartTlsOptions, Transport } from '../stream/transport.js'
import { type StreamToken, XmlStream } from '../stream/xml-stream.js'
import { NS_CLIENT, NS_DIALBACK, NS_SASL, NS_SERVER, NS_STREAMS, NS_TLS } from '../xml/namespaces.js'
import type { ElementToken, StartTag } from '../xml/token.js'
import { AuthorizedPairs, MOST_PAIRS } from './authorized-pairs.js'
import type { SessionContext } from './context.js'
import { isProofAllowed } from './demands.js'
import { IncomingDialback, type Verify } from './incoming-dialback.js'
import { directTlsOptions, domainOfServerName } from './incoming-direct-tls.js'
import { IncomingExternal } from './incoming-external.js'
import { readIncomingHeader } from './incoming-header.js'
import type { IncomingHost } from './incoming-host.js'
import { IncomingStanzas } from './incoming-stanzas.js'
import { announcedLimits, limitsAfterProof, limitsBeforeProof } from './stream-limits.js'
import { StreamWatch } from './stream-watch.js'

/** Elements in namespaces that are not ours to know; more than that is no accident. */
const MOST_UNKNOWN_ELEMENTS = 100

/** Answers that wait for a peer that does not read, in bytes; above it the peer is not read from either. */
const MOST_UNSENT_ANSWERS = 256 * 1024

export interface IncomingSessionHooks {
  /** Has a key checked by the authoritative server (XEP-0220 §2.2). */
  readonly verify: Verify
  /** A domain has proven itself: whatever rests because of it may be tried again. */
  proven(pair: DomainPair, proof: Proof): void
  ended(session: IncomingSession, reason: EndReason): void
}

/** What an admin sees of an incoming stream. */
export interface IncomingRow {
  readonly id: string
  readonly kind: 's2s-in'
  readonly address: string
  readonly local: string
  readonly remote: string
  readonly proofs: readonly string[]
  readonly tls: string
  readonly connectedMs: number
  readonly stanzas: number
  /** Answers that the peer has not taken yet. */
  readonly unsentBytes: number
}

/** The receiving entity's side of one server stream: header, features, STARTTLS, proofs, then stanzas of proven pairs only. */
export class IncomingSession implements IncomingHost {
  readonly tag: string
  readonly context: SessionContext
  readonly log: Log
  readonly pairs = new AuthorizedPairs()
  readonly stream: XmlStream
  /** Resolves when the stream has ended, for whatever reason. */
  readonly finished: Promise<void>
  streamId = newStreamId()
  /** The domain of ours that the header names; undefined until it has been accepted. */
  local: string | undefined
  /** The domain that the header claims; undefined when it claims none. */
  remote: string | undefined
  rules: Rules | undefined
  readonly #hooks: IncomingSessionHooks
  readonly #dialback: IncomingDialback
  readonly #external: IncomingExternal
  readonly #stanzas: IncomingStanzas
  readonly #watch: StreamWatch
  readonly #startedAt: number
  readonly #aborter = new AbortController()
  readonly #finish: () => void
  #chain: readonly Buffer[] = []
  #state: 'header' | 'features' | 'open' = 'header'
  #saslDone = false
  #unknownElements = 0
  #cancelInitialise: () => void
  #extended = false

  constructor(tag: string, transport: Transport, context: SessionContext, hooks: IncomingSessionHooks) {
    this.tag = tag
    this.context = context
    this.log = context.log.child({ tag })
    this.#hooks = hooks
    this.#startedAt = context.clock.now()
    let finish = (): void => {}
    this.finished = new Promise(resolve => {
      finish = resolve
    })
    this.#finish = finish
    this.stream = new XmlStream(transport, {
      clock: context.clock,
      limits: limitsBeforeProof(context.settings),
      errorHeader: () => writeStreamHeader({ from: this.local, id: this.streamId }),
      mostUnsent: MOST_UNSENT_ANSWERS,
    })
    this.#dialback = new IncomingDialback(this, hooks.verify)
    this.#external = new IncomingExternal(this)
    this.#stanzas = new IncomingStanzas(this)
    this.#watch = new StreamWatch(this.stream, context.clock, () => context.settings.idleMs)
    this.#cancelInitialise = context.clock.after(context.settings.initialiseTimeoutMs, () => this.#initialiseTimeout())
    this.log.info('s2s-in-connected', { address: transport.addresses.remoteAddress })
    this.stream.listen({ token: token => this.#token(token), ended: reason => this.#ended(reason) })
  }

  get encrypted(): boolean {
    return this.stream.transport.tls !== undefined
  }

  get peerShowedCertificate(): boolean {
    return this.#chain.length > 0
  }

  /** Judges the certificate of this stream for a domain, now (RFC 6120 §13.7). */
  judge(domain: string): CertificateVerdict {
    return this.context.judge(this.#chain, domain)
  }

  /** Whether a certificate that was seen and does not verify ends the attempt: not for a side that cannot be verified itself. */
  insists(local: string, rules: Rules): boolean {
    return rules.strict && this.context.credentials(local)?.verified === true
  }

  /** Records a proof made on this stream. Called before the peer is told, so that its first stanza finds the pair. */
  prove(pair: DomainPair, proof: Proof): void {
    if (this.pairs.size === 0) this.stream.limits = limitsAfterProof(this.context.settings)
    this.pairs.add(pair, proof)
    this.#cancelInitialise()
    this.#watch.start()
    this.log.info('s2s-in-proven', {
      local: pair.local,
      remote: pair.remote,
      proof,
      tls: this.stream.transport.tls?.protocol,
    })
    this.#hooks.proven(pair, proof)
  }

  /** Withdraws pairs that policy or the served domains no longer allow; a stream left without pairs, or that may prove none, is closed. */
  reconsider(): void {
    for (const [pair, proof] of [...this.pairs]) if (!this.#isStillAllowed(pair, proof)) this.pairs.remove(pair)
    if (this.local === undefined || this.pairs.size > 0) return
    if (this.context.domainState(this.local) !== 'served') this.stream.fail('host-gone')
    else if (this.#watch.started || this.#isRefused(this.local)) {
      this.stream.fail('policy-violation', 'no longer allowed')
    }
  }

  /** Where a header is still to come it will be refused there. */
  #isRefused(local: string): boolean {
    return this.#state === 'open' && 'refused' in this.context.gate(local, this.remote ?? '', 'incoming')
  }

  #isStillAllowed(pair: DomainPair, proof: Proof): boolean {
    if (this.context.domainState(pair.local) !== 'served') return false
    const gate = this.context.gate(pair.local, pair.remote, 'incoming')
    if ('refused' in gate || !isProofAllowed(gate, proof)) return false
    if (gate.rules.tls === 'required' && !this.encrypted) return false
    return !this.peerShowedCertificate || !this.insists(pair.local, gate.rules) || this.judge(pair.remote).verified
  }

  close(reason: EndReason): void {
    if (reason.kind === 'shutdown') this.stream.fail('system-shutdown', undefined, reason)
    else this.stream.close(reason)
  }

  row(): IncomingRow {
    const proofs = [...this.pairs].map(([pair, proof]) => `${pair.local}←${pair.remote}: ${proof}`)
    return {
      id: this.tag,
      kind: 's2s-in',
      address: this.stream.transport.addresses.remoteAddress ?? '',
      local: this.local ?? '',
      remote: this.remote ?? '',
      proofs,
      tls: this.stream.transport.tls?.protocol ?? '',
      connectedMs: this.context.clock.now() - this.#startedAt,
      stanzas: this.#stanzas.accepted,
      unsentBytes: this.stream.transport.unsentBytes,
    }
  }

  #token(token: StreamToken): void {
    if (token.kind === 'header') return this.#header(token.tag)
    this.#watch.progressed()
    if (token.tag.namespace === NS_SERVER) this.#watch.touched()
    if (token.kind === 'oversize') return this.#stanzas.oversize(token)
    switch (token.tag.namespace) {
      case NS_SERVER:
        return this.#stanzas.receive(token)
      case NS_DIALBACK:
        return this.#dialback.receive(token)
      case NS_TLS:
        return this.#tls(token.tag)
      case NS_SASL:
        return this.#external.receive(token)
      case NS_STREAMS:
        return this.stream.fail('invalid-xml', `<${token.tag.name}> is not for the initiating entity to send`)
      case NS_CLIENT:
        return this.stream.fail('invalid-namespace', 'jabber:client on a server stream')
      default:
        return this.#unknown(token)
    }
  }

  #unknown(token: ElementToken): void {
    if (this.#state !== 'open') return this.stream.fail('invalid-xml', 'a stream feature was expected')
    if (token.tag.namespace === 'http://jabber.org/protocol/compress') {
      return this.stream.fail('unsupported-stanza-type', 'compression is not offered')
    }
    this.#unknownElements++
    if (this.#unknownElements > MOST_UNKNOWN_ELEMENTS) this.stream.fail('policy-violation', 'too many unknown elements')
  }

  /** Checks in the order of RFC 6120 §4.7; our own header goes out before any refusal. */
  #header(tag: StartTag): void {
    this.streamId = newStreamId()
    const header = readIncomingHeader(tag, this.context, { local: this.local, remote: this.remote })
    if (header.to !== undefined) this.local = header.to
    if ('condition' in header) return this.stream.fail(header.condition, header.text)
    this.remote = header.from
    this.rules = header.rules
    this.#noteServerName(header.to)
    const version = readVersion(tag.attribute('version'))
    this.stream.sendHeader(
      writeStreamHeader({
        from: header.to,
        to: header.from,
        id: this.streamId,
        version: version !== 'absent',
        dialback: header.rules.dialback,
      }),
    )
    if (version === 'absent') {
      if (header.rules.tls === 'required' && !this.encrypted)
        return this.stream.fail('policy-violation', 'TLS is required')
    } else {
      const features = this.#features(header.to, header.from, header.rules)
      if (features === undefined) return
      const limits = announcedLimits(this.context.settings)
      this.stream.send(writeFeatures({ ...features, ...(limits && { limits }) }))
    }
    this.#state = 'open'
  }

  /** A peer may ask for one domain in the handshake and name another here: proofs follow the header, so it is no more than odd. */
  #noteServerName(local: string): void {
    const { serverName } = this.stream.transport.tls ?? {}
    if (serverName === undefined || this.#saslDone || domainOfServerName(this.context, serverName) === local) return
    this.log.info('s2s-in-server-name', { local, serverName })
  }

  /** What is offered now; nothing is offered that would be refused. Undefined when the stream has been ended instead. */
  #features(local: string, remote: string | undefined, rules: Rules): Features | undefined {
    const dialback = rules.dialback ? { dialback: { errors: true } } : {}
    if (!this.encrypted) {
      const offersTls = rules.tls !== 'disabled' && this.context.credentials(local) !== undefined
      return {
        ...(offersTls && { starttls: { required: rules.tls === 'required' } }),
        ...(rules.tls !== 'required' && dialback),
      }
    }
    if (this.#saslDone || remote === undefined || !this.peerShowedCertificate) return dialback
    const verdict = this.judge(remote)
    if (verdict.verified) return { ...(rules.external && { mechanisms: ['EXTERNAL'] }), ...dialback }
    const text = verdict.defects.map(defect => defect.text).join('; ')
    this.log.info('s2s-in-certificate', { remote, defects: verdict.defects.map(defect => defect.code), text })
    if (this.insists(local, rules)) {
      this.stream.fail('not-authorized', `certificate: ${text}`, {
        kind: 'certificate',
        detail: verdict.defects[0]?.code ?? 'unverified',
        text,
      })
      return undefined
    }
    return dialback
  }

  #tls(tag: StartTag): void {
    if (tag.name !== 'starttls')
      return this.stream.fail('invalid-xml', `<${tag.name}> is not for the initiating entity to send`)
    const credentials = this.local === undefined ? undefined : this.context.credentials(this.local)
    if (
      this.#state !== 'open' ||
      this.encrypted ||
      credentials === undefined ||
      this.rules?.tls === 'disabled' ||
      this.pairs.size > 0
    ) {
      this.stream.send(STARTTLS_FAILURE)
      return this.stream.close({ kind: 'tls', detail: 'not-offered', text: 'STARTTLS where it was not offered' })
    }
    if (this.stream.bufferedBytes > 0) {
      // Whatever stands behind the request was put there by somebody in between (CVE-2011-0411 and its kin).
      return this.stream.abort({ kind: 'tls', detail: 'injected', text: 'bytes behind <starttls/>' })
    }
    this.stream.hold()
    this.stream.send(STARTTLS_PROCEED)
    this.#dialback.forget()
    this.#state = 'header'
    this.#encrypt({ role: 'server', context: credentials.context })
  }

  /** Direct TLS (XEP-0368): to be called at once, before anything can have come. */
  encryptAtOnce(): void {
    this.stream.hold()
    const options = directTlsOptions(this.context)
    if (options !== undefined) return this.#encrypt(options)
    this.stream.abort({ kind: 'tls', detail: 'not-offered', text: 'no served domain has a certificate' })
  }

  #encrypt(options: StartTlsOptions): void {
    this.stream.transport.startTls(options, this.#aborter.signal).then(
      () => {
        this.#chain = peerChain(this.stream.transport.tlsSocket!)
        this.stream.restart()
        this.stream.release()
      },
      (error: unknown) =>
        this.log.info('s2s-in-tls-failed', { error: error instanceof Error ? error.message : String(error) }),
    )
  }

  /** SASL has succeeded: a new header must come (RFC 6120 §6.4.6). */
  restartAfterSasl(): void {
    this.#saslDone = true
    this.#state = 'header'
    // A key is bound to the id of the stream it was sent on.
    this.#dialback.forget()
    this.stream.restart()
  }

  get saslDone(): boolean {
    return this.#saslDone
  }

  get pairsFull(): boolean {
    return this.pairs.size >= MOST_PAIRS
  }

  #initialiseTimeout(): void {
    // The time an authoritative server takes is ours, not the peer's; but a peer that keeps asking gains no more than one answer's time.
    if (this.#dialback.pending > 0 && !this.#extended) {
      this.#extended = true
      this.#cancelInitialise = this.context.clock.after(this.context.settings.readTimeoutMs, () =>
        this.#initialiseTimeout(),
      )
    } else if (this.#dialback.answered > 0) {
      this.stream.close({ kind: 'idle', detail: 'verification-only' })
    } else if (this.local === undefined || (this.stream.transport.tlsSocket !== undefined && !this.encrypted)) {
      this.#aborter.abort(new Error('the TLS handshake took too long'))
      this.stream.abort({ kind: 'deadline', detail: 'stream header' })
    } else {
      this.stream.fail('connection-timeout', 'no domain pair was proven in time', { kind: 'deadline', detail: 'proof' })
    }
  }

  #ended(reason: EndReason): void {
    this.#cancelInitialise()
    this.#watch.stop()
    this.#dialback.forget()
    this.#aborter.abort(new Error('the stream has ended'))
    this.log.info('s2s-in-ended', { local: this.local, remote: this.remote, reason: describeEnd(reason) })
    this.#hooks.ended(this, reason)
    this.#finish()
  }
}
