import type { Duplex } from 'node:stream'
import * as tls from 'node:tls'
import type { Clock } from '../base/clock.js'
import { WriteBatch } from '../base/write-batch.js'
import { StreamEnd } from './end-reason.js'

/** What is known of the TLS session of a transport. */
export interface TlsFacts {
  readonly protocol: string
  readonly cipher: string
  readonly alpn: string | undefined
  /** The name the peer asked for (RFC 6066 §3), when we are the TLS server and it asked. */
  readonly serverName: string | undefined
}

/** Where the two ends are; addresses are absent on an in-memory pair. */
export interface TransportAddresses {
  readonly remoteAddress?: string
  readonly remotePort?: number
  readonly localAddress?: string
  readonly localPort?: number
}

/** Told of everything that happens to a transport. `ended` comes exactly once, last. */
export interface TransportListener {
  bytes(chunk: Buffer): void
  /** The operating system has taken everything up to this value of `written`. */
  confirmed(written: number): void
  /** The transport is of no more use; `error` is absent when the peer closed it without a fault. */
  ended(error?: Error): void
}

export interface TransportOptions {
  readonly clock: Clock
  readonly addresses?: TransportAddresses
  /** Milliseconds without progress of a write after which the transport is destroyed. */
  readonly writeTimeoutMs: number
}

export type StartTlsOptions =
  | {
      readonly role: 'client'
      readonly servername: string
      readonly context: tls.SecureContext | undefined
      /** The protocol offered (RFC 7301); an answer without one is accepted. */
      readonly alpn?: string
    }
  | {
      readonly role: 'server'
      /** What the handshake begins with: its options hold, whichever certificate is shown in the end. */
      readonly context: tls.SecureContext
      /** The certificate for the name asked for; that of `context` when there is none. */
      readonly byName?: (name: string) => tls.SecureContext | undefined
      /** A client that offers protocols must offer this one (RFC 7301 §3.2); one that offers none is welcome. */
      readonly alpn?: string
    }

/** Bytes over one socket, or one end of an in-memory pair, with TLS put on while it lives. Knows no XML, no name, no rule. */
export class Transport {
  readonly addresses: TransportAddresses
  /** Set once the handshake is done. */
  tls: TlsFacts | undefined
  /** The socket that carries TLS, for reading the peer's certificate chain. */
  tlsSocket: tls.TLSSocket | undefined
  #socket: Duplex
  readonly #clock: Clock
  readonly #writeTimeoutMs: number
  #listener: TransportListener | undefined
  #detach: () => void
  readonly #batch = new WriteBatch()
  #paused = true
  #ended = false
  #written = 0
  /** The value of `written` at the end of each write under way, oldest first. */
  #underway: number[] = []
  #cancelStall: (() => void) | undefined

  constructor(socket: Duplex, { clock, addresses, writeTimeoutMs }: TransportOptions) {
    this.#socket = socket
    this.#clock = clock
    this.addresses = addresses ?? {}
    this.#writeTimeoutMs = writeTimeoutMs
    socket.pause()
    this.#detach = this.#attach(socket)
  }

  /** Starts reading; to be called once, before which nothing is read. */
  listen(listener: TransportListener): void {
    this.#listener = listener
    this.resume()
  }

  /** Collects what is written in one turn and hands it to the socket once. */
  write(data: Buffer | string): void {
    if (this.#ended) return
    this.#written += data.length
    if (this.#batch.add(data)) process.nextTick(this.#flush)
  }

  /** Everything ever handed to `write`, in the units of `unsentBytes`. */
  get written(): number {
    return this.#written
  }

  /** Bytes handed to `write` that the operating system has not taken yet; a string counts its characters. */
  get unsentBytes(): number {
    return this.#batch.bytes + this.#socket.writableLength
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  /** Sends what is written, then closes our side; the listener hears `ended` when the peer has closed too. */
  end(): void {
    this.#flush()
    this.#socket.end()
    this.resume()
  }

  /** Ends it at once; `error` is what the listener hears. */
  destroy(error?: Error): void {
    this.#socket.destroy()
    this.#finish(error)
  }

  /**
   * Puts TLS on, in either role (RFC 6120 §5.4.3.3). The peer's certificate is asked for and never judged here. No session is ever
   * resumed: a resumed one would come without the peer's chain. Rejects with a StreamEnd of kind `tls`.
   */
  async startTls(options: StartTlsOptions, signal: AbortSignal): Promise<TlsFacts> {
    this.#flush()
    this.#detach()
    const raw = this.#socket
    const socket = wrap(raw, options)
    // Faults may come in the very turn in which the handshake has been given up; unheard they would end the process.
    socket.on('error', () => {})
    raw.on('error', () => {})
    this.#socket = socket
    this.tlsSocket = socket
    try {
      await handshake(socket, raw, signal, options.role === 'client' ? 'secureConnect' : 'secure')
    } catch (error) {
      socket.destroy()
      raw.destroy()
      this.#finish(error instanceof Error ? error : undefined)
      throw error
    }
    if (options.role === 'server') socket.disableRenegotiation()
    if (socket.isSessionReused()) {
      const end = new StreamEnd('tls', 'handshake-failed', 'the session was resumed')
      this.destroy(end)
      throw end
    }
    this.#detach = this.#attach(socket)
    this.tls = {
      protocol: socket.getProtocol() ?? 'unknown',
      cipher: socket.getCipher().standardName,
      alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
      serverName: options.role === 'server' ? serverNameOf(socket) : undefined,
    }
    if (!this.#paused) socket.resume()
    return this.tls
  }

  readonly #flush = (): void => {
    const batch = this.#batch.take()
    if (batch === undefined || this.#ended) return
    this.#underway.push(this.#written)
    const flowing = this.#socket.write(batch, this.#taken)
    if (!flowing && this.#cancelStall === undefined) this.#watchStall()
  }

  readonly #taken = (error?: Error | null): void => {
    const upTo = this.#underway.shift()
    if (error || upTo === undefined || this.#ended) return
    if (this.#cancelStall !== undefined) {
      this.#cancelStall()
      this.#cancelStall = undefined
      if (this.#underway.length > 0) this.#watchStall()
    }
    this.#listener?.confirmed(upTo)
  }

  #watchStall(): void {
    this.#cancelStall = this.#clock.after(this.#writeTimeoutMs, () =>
      this.destroy(new StreamEnd('cut', 'stalled', 'the peer reads nothing')),
    )
  }

  #attach(socket: Duplex): () => void {
    const data = (chunk: Buffer): void => this.#listener?.bytes(chunk)
    const end = (): void => {
      socket.end()
      this.#finish()
    }
    const error = (fault: Error): void => this.#finish(fault)
    const close = (): void => this.#finish()
    // A server-side TLS socket made around a live socket reports faults after the handshake by `_tlsError` alone.
    socket.on('data', data).on('end', end).on('error', error).on('_tlsError', error).on('close', close)
    socket.pause()
    return () => {
      socket.off('data', data).off('end', end).off('error', error).off('_tlsError', error).off('close', close)
    }
  }

  #finish(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#batch.clear()
    this.#cancelStall?.()
    if (error !== undefined) this.#socket.destroy()
    this.#listener?.ended(error)
  }
}

function wrap(raw: Duplex, options: StartTlsOptions): tls.TLSSocket {
  const alpn = options.alpn === undefined ? {} : { ALPNProtocols: [options.alpn] }
  if (options.role === 'client') {
    return tls.connect({
      socket: raw,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      ...alpn,
      ...(options.servername === '' ? {} : { servername: options.servername }),
      ...(options.context === undefined ? {} : { secureContext: options.context }),
    })
  }
  const { byName } = options
  return new tls.TLSSocket(raw, {
    isServer: true,
    secureContext: options.context,
    requestCert: true,
    rejectUnauthorized: false,
    ...alpn,
    ...(byName && { SNICallback: (name, choose) => choose(null, byName(name)) }),
  })
}

/** The name a TLS client asked for. Node has it on the socket; its type declarations say so only for the connecting side. */
export function serverNameOf(socket: tls.TLSSocket): string | undefined {
  const name: unknown = Reflect.get(socket, 'servername')
  return typeof name === 'string' && name !== '' ? name : undefined
}

/** Resolves when the handshake is done; rejects with a StreamEnd of kind `tls`, or with the signal's reason. */
function handshake(
  socket: tls.TLSSocket,
  raw: Duplex,
  signal: AbortSignal,
  done: 'secureConnect' | 'secure',
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off(done, secured).off('error', failed).off('_tlsError', failed).off('end', closed).off('close', closed)
      raw.off('end', closed).off('close', closed).off('error', failed)
      signal.removeEventListener('abort', aborted)
    }
    const secured = (): void => {
      settle()
      resolve()
    }
    const failed = (error: Error): void => {
      settle()
      reject(new StreamEnd('tls', 'handshake-failed', tlsErrorText(error), error))
    }
    const closed = (): void => failed(new Error('the connection was closed during the handshake'))
    const aborted = (): void => {
      settle()
      reject(signal.reason)
    }
    socket.on(done, secured).on('error', failed).on('_tlsError', failed).on('end', closed).on('close', closed)
    raw.on('end', closed).on('close', closed).on('error', failed)
    signal.addEventListener('abort', aborted)
    if (signal.aborted) aborted()
  })
}

/** The alert's name where there is one: it is what the peer wanted to tell. */
export function tlsErrorText(error: Error): string {
  const { reason, code } = error as Error & { reason?: string; code?: string }
  return reason ?? code ?? error.message
}
