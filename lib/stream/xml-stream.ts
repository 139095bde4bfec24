import type { Clock } from '../base/clock.js'
import { toElement } from '../xml/element.js'
import { CONTENT_NAMESPACES, NS_STREAMS } from '../xml/namespaces.js'
import type { ElementToken, HeaderToken, OversizeToken, TokenizerLimits } from '../xml/token.js'
import { Tokenizer } from '../xml/tokenizer.js'
import { type EndReason, StreamEnd } from './end-reason.js'
import { readStreamError, type StreamErrorCondition, writeStreamError } from './stream-error.js'
import { STREAM_FOOTER } from './stream-header.js'
import { type Transport, tlsErrorText } from './transport.js'

/** What a stream hands to its owner while it lives. */
export type StreamToken = HeaderToken | ElementToken | OversizeToken

/** Told of everything that happens to a stream. `ended` comes exactly once, last. */
export interface StreamListener {
  token(token: StreamToken): void
  /** The operating system has taken everything up to this value of the transport's `written`. */
  confirmed?(written: number): void
  ended(reason: EndReason): void
}

export interface XmlStreamOptions {
  readonly clock: Clock
  readonly limits: TokenizerLimits
  /** The header that precedes a stream error when ours has not been sent yet (RFC 6120 §4.9.1.2). */
  readonly errorHeader: () => string
  /** Unsent bytes above which nothing more is read: whoever does not take the answers may ask no further questions. */
  readonly mostUnsent?: number
}

/** Milliseconds that the peer's footer is waited for after an error, and after a clean close (RFC 6120 §4.4). */
const FOOTER_WAIT_AFTER_ERROR_MS = 1000
const FOOTER_WAIT_MS = 5000

/** One XML stream over one transport: tokens in, text out, restart, TLS, stream errors, closing handshake. */
export class XmlStream {
  readonly transport: Transport
  readonly #clock: Clock
  readonly #errorHeader: () => string
  #limits: TokenizerLimits
  readonly #tokenizer: Tokenizer
  #listener: StreamListener | undefined
  readonly #mostUnsent: number
  #held = false
  #choked = false
  #headerSent = false
  #footerSent = false
  /** Set when closing has begun on either side: nothing more is read into the owner. */
  #closing: EndReason | undefined
  #ended: EndReason | undefined
  #cancelFooterWait: (() => void) | undefined

  constructor(
    transport: Transport,
    { clock, limits, errorHeader, mostUnsent = Number.POSITIVE_INFINITY }: XmlStreamOptions,
  ) {
    this.#mostUnsent = mostUnsent
    this.transport = transport
    this.#clock = clock
    this.#limits = limits
    this.#errorHeader = errorHeader
    this.#tokenizer = new Tokenizer({ mode: 'stream', limits, contentNamespaces: CONTENT_NAMESPACES })
    transport.listen({
      bytes: chunk => {
        this.#tokenizer.write(chunk)
        this.#pump()
      },
      confirmed: written => {
        this.#listener?.confirmed?.(written)
        if (this.#choked) this.#breathe()
      },
      ended: error => this.#transportEnded(error),
    })
  }

  /** Hands tokens to `listener` from now on; replaces an earlier one. */
  listen(listener: StreamListener): void {
    this.#listener = listener
    if (this.#ended !== undefined) listener.ended(this.#ended)
    else this.#pump()
  }

  /** Waits for the next token; for negotiation in straight lines. Rejects with a StreamEnd, or with the signal's reason. */
  read(signal: AbortSignal): Promise<StreamToken> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        this.#listener = undefined
        reject(signal.reason)
      }
      if (signal.aborted) return aborted()
      const settle = (): void => {
        this.#listener = undefined
        signal.removeEventListener('abort', aborted)
      }
      signal.addEventListener('abort', aborted)
      this.listen({
        token: token => {
          settle()
          resolve(token)
        },
        ended: reason => {
          settle()
          reject(new StreamEnd(reason.kind, reason.detail, reason.text))
        },
      })
    })
  }

  /** Stops handing out tokens and reading; for back-pressure and while an answer is worked out. */
  hold(): void {
    this.#held = true
    this.transport.pause()
  }

  /** Whether it is we who do not read. */
  get held(): boolean {
    return this.#held
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    if (this.#ended !== undefined || this.#choked) return
    this.transport.resume()
    this.#pump()
  }

  /** Bytes that have come and are not part of a token handed out yet. */
  get bufferedBytes(): number {
    return this.#tokenizer.buffered
  }

  get limits(): TokenizerLimits {
    return this.#limits
  }

  /** Takes effect at once, also in the middle of an element. */
  set limits(limits: TokenizerLimits) {
    this.#limits = limits
    this.#tokenizer.limits = limits
  }

  /** True until closing has begun on either side. */
  get open(): boolean {
    return this.#closing === undefined && this.#ended === undefined
  }

  /** Why it has ended or is closing; undefined while it is open. */
  get end(): EndReason | undefined {
    return this.#ended ?? this.#closing
  }

  sendHeader(header: string): void {
    this.#headerSent = true
    this.transport.write(header)
  }

  send(data: Buffer | string): void {
    if (this.#footerSent) return
    this.transport.write(data)
  }

  /** Everything known of the stream so far is void: the next thing to come is a header (RFC 6120 §4.3.3). */
  restart(): void {
    this.#tokenizer.restart()
    this.#headerSent = false
  }

  /** Ends the stream with an error, ours to tell (RFC 6120 §4.9): header if none was sent, error, footer, then the transport. */
  fail(condition: StreamErrorCondition, text?: string, reason?: EndReason): void {
    if (this.#footerSent || this.#ended !== undefined) return
    if (!this.#headerSent) this.sendHeader(this.#errorHeader())
    this.send(writeStreamError(text === undefined ? { condition } : { condition, text }))
    this.#shut(
      reason ?? { kind: 'stream', detail: condition, ...(text === undefined ? {} : { text }) },
      FOOTER_WAIT_AFTER_ERROR_MS,
    )
  }

  /** Closes in order (RFC 6120 §4.4): our footer, what is underway, the peer's footer, the transport. */
  close(reason: EndReason): void {
    if (this.#footerSent || this.#ended !== undefined) return
    if (this.#headerSent) this.#shut(reason, FOOTER_WAIT_MS)
    else this.abort(reason)
  }

  /** Ends it at once, without a footer: for attempts that are given up and transports that carry something else than XML. */
  abort(reason: EndReason): void {
    this.#closing ??= reason
    this.transport.destroy()
  }

  #shut(reason: EndReason, waitMs: number): void {
    this.#closing ??= reason
    this.transport.write(STREAM_FOOTER)
    this.#footerSent = true
    this.#held = false
    this.#choked = false
    this.transport.resume()
    this.#cancelFooterWait = this.#clock.after(waitMs, () => this.transport.destroy())
    // What the peer sends now only matters for its footer; an input that can no longer be read ends the wait.
    this.#pump()
  }

  #breathe(): void {
    if (this.transport.unsentBytes > this.#mostUnsent / 2 && this.#closing === undefined) return
    this.#choked = false
    if (this.#held || this.#ended !== undefined) return
    this.transport.resume()
    this.#pump()
  }

  #pump(): void {
    while (!this.#held && !this.#choked && this.#ended === undefined) {
      if (this.#closing === undefined && this.transport.unsentBytes > this.#mostUnsent) {
        this.#choked = true
        this.transport.pause()
        return
      }
      if (this.#listener === undefined && this.#closing === undefined) return
      const token = this.#tokenizer.next()
      if (token === undefined) return
      switch (token.kind) {
        case 'footer':
          this.#peerFinished({ kind: 'stream', detail: 'closed' })
          return
        case 'error':
          if (this.#footerSent) this.transport.end()
          else
            this.fail(token.condition, token.text, {
              kind: 'stream',
              detail: 'bad-xml',
              text: `${token.condition}: ${token.text}`,
            })
          return
        case 'element':
          if (token.tag.name === 'error' && token.tag.namespace === NS_STREAMS) {
            const { condition, text } = readStreamError(toElement(token))
            this.#peerFinished({ kind: 'stream', detail: condition, ...(text === undefined ? {} : { text }) })
            return
          }
          break
      }
      if (this.#closing === undefined) this.#listener?.token(token)
    }
  }

  /** The peer has sent its footer or an error: ours follows, and nothing more is read (an error is never answered by one). */
  #peerFinished(reason: EndReason): void {
    this.#closing ??= reason
    if (!this.#footerSent) {
      if (this.#headerSent) this.transport.write(STREAM_FOOTER)
      this.#footerSent = true
    }
    this.transport.end()
    this.#cancelFooterWait ??= this.#clock.after(FOOTER_WAIT_AFTER_ERROR_MS, () => this.transport.destroy())
  }

  #transportEnded(error?: Error): void {
    if (this.#ended !== undefined) return
    this.#cancelFooterWait?.()
    this.#ended = this.#closing ?? lostReason(error)
    const listener = this.#listener
    this.#listener = undefined
    listener?.ended(this.#ended)
  }
}

/** A transport that dies without a footer; a TLS alert behind the handshake is the peer's refusal of our certificate. */
function lostReason(error: Error | undefined): EndReason {
  if (error === undefined)
    return { kind: 'tcp', detail: 'reset', text: 'the connection was closed without a stream footer' }
  if (error instanceof StreamEnd) return error.reason
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (/^ERR_SSL_.*ALERT/.test(code)) return { kind: 'tls', detail: 'refused', text: tlsErrorText(error) }
  return { kind: 'tcp', detail: 'reset', text: code === '' ? error.message : code }
}
