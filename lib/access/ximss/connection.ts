import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.js'
import { WriteBatch } from '../../base/write-batch.js'
import { serverNameOf } from '../../stream/transport.js'

/** Bounds of what waits for a client to read it, and of waiting for it to go. */
export interface OutputLimits {
  /** Characters written and not yet taken by the operating system, from which on the connection is full. */
  readonly unsentBytes: number
  /** A client that takes nothing for so long while something waits is cut off. */
  readonly writeTimeoutMs: number
  /** From our end of output to the cut, when the client does not close its side. */
  readonly closeTimeoutMs: number
}

/** What a connection tells its owner. `closed` comes exactly once, and is the last. */
export interface ConnectionEvents {
  data(chunk: Buffer): void
  /** The connection was full, and is no more. */
  drained(): void
  /** The client has taken what waited for it, or nearly so. */
  eased(): void
  /** The client will send nothing more. */
  ended(): void
  /** `reason` for the log: a word of ours or the code of the system's error. */
  closed(reason: string): void
}

/** TLS of the serving side: the context used without, and those chosen by, the name the client asks for (RFC 6066 §3). */
export interface TlsChoice {
  readonly fallback: SecureContext
  byName(name: string): SecureContext | undefined
}

/** One client connection: bytes both ways, the change to TLS, bounded output, an orderly end. Knows nothing of XIMSS. */
export class Connection {
  readonly address: string
  #socket: Socket
  readonly #events: ConnectionEvents
  readonly #clock: Clock
  readonly #limits: OutputLimits
  readonly #batch = new WriteBatch()
  #secure = false
  /** Between the last clear-text byte and the end of the handshake nobody reads here. */
  #upgrading = false
  #full = false
  #ending = false
  #closed = false
  #reason = 'closed by client'
  #cancelWriteTimer: (() => void) | undefined
  #cancelCloseTimer: (() => void) | undefined

  constructor(socket: Socket, options: { clock: Clock; limits: OutputLimits; events: ConnectionEvents }) {
    this.address = socket.remoteAddress ?? ''
    this.#socket = socket
    this.#clock = options.clock
    this.#limits = options.limits
    this.#events = options.events
    socket.setNoDelay(true)
    socket.on('data', this.#onData)
    this.#watch(socket)
  }

  /** True from the end of the TLS handshake. */
  get secure(): boolean {
    return this.#secure
  }

  /** The name asked for in the TLS handshake. */
  get serverName(): string | undefined {
    return this.#socket instanceof TLSSocket ? serverNameOf(this.#socket) : undefined
  }

  get loopback(): boolean {
    return /^(::ffff:)?127\.|^::1$/i.test(this.address)
  }

  pause(): void {
    if (!this.#upgrading) this.#socket.pause()
  }

  resume(): void {
    if (!this.#upgrading && !this.#closed) this.#socket.resume()
  }

  /** Writes; what is written in one turn of the event loop leaves together. */
  write(bytes: string | Buffer): void {
    if (this.#ending || this.#closed) return
    if (this.#batch.add(bytes)) process.nextTick(this.#flush)
    if (this.#unsent > this.#limits.unsentBytes) this.#full = true
  }

  /** Set from the write that goes over the limit until the client has taken enough: its owner is to produce nothing more until then. */
  get full(): boolean {
    return this.#full
  }

  /** So much waits that whoever adds to it should wait too. */
  get crowded(): boolean {
    return this.#unsent > this.#limits.unsentBytes / 2
  }

  /** Whether a message of that length can wait with what waits already. One alone always can, so no single one shuts a client out. */
  hasRoom(characters: number): boolean {
    const unsent = this.#unsent
    return unsent === 0 || unsent + characters <= this.#limits.unsentBytes
  }

  get #unsent(): number {
    return this.#batch.bytes + this.#socket.writableLength
  }

  /** Changes to TLS as the serving side, after all that was written has left in clear text. `done` comes after the handshake. */
  startTls(choice: TlsChoice, done: () => void): void {
    const plain = this.#socket
    this.#upgrading = true
    plain.off('data', this.#onData)
    plain.pause()
    this.#flush()
    const wrap = (): void => {
      if (this.#closed) return
      plain.off('end', this.#onEnd)
      const socket = new TLSSocket(plain, {
        isServer: true,
        secureContext: choice.fallback,
        SNICallback: (name, callback) => callback(null, choice.byName(name)),
      })
      this.#socket = socket
      this.#watch(socket)
      // Such a socket reports its faults by this event alone.
      socket.on('_tlsError', this.#onError)
      socket.once('secure', () => {
        socket.disableRenegotiation()
        this.#secure = true
        this.#upgrading = false
        socket.on('data', this.#onData)
        done()
      })
    }
    if (plain.writableLength === 0) wrap()
    else plain.write('', wrap)
  }

  /** Sends what was written, then ends; cuts when the client does not follow in time. */
  end(reason: string): void {
    if (this.#ending || this.#closed) return
    this.#ending = true
    this.#reason = reason
    this.#flush()
    this.#socket.off('data', this.#onData)
    this.#socket.resume()
    this.#socket.end()
    this.#cancelCloseTimer = this.#clock.after(this.#limits.closeTimeoutMs, () => this.cut(reason))
  }

  /** Ends at once; what waits to be sent is lost. */
  cut(reason: string): void {
    if (this.#closed) return
    if (!this.#ending) this.#reason = reason
    this.#ending = true
    this.#socket.destroy()
  }

  readonly #onData = (chunk: Buffer): void => this.#events.data(chunk)

  readonly #onError = (error: NodeJS.ErrnoException): void => this.cut(error.code ?? 'socket failed')

  readonly #onEnd = (): void => {
    if (this.#ending) return
    this.#events.ended()
  }

  readonly #onProgress = (): void => {
    this.#cancelWriteTimer?.()
    this.#cancelWriteTimer = undefined
    if (this.#socket.writableLength > 0) this.#armWriteTimer()
    if (this.#closed) return
    if (this.#unsent <= this.#limits.unsentBytes / 4) this.#events.eased()
    if (!this.#full || this.#unsent > this.#limits.unsentBytes) return
    this.#full = false
    this.#events.drained()
  }

  #watch(socket: Socket): void {
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', () => this.#finish())
  }

  readonly #flush = (): void => {
    const batch = this.#batch.take()
    if (batch === undefined || this.#closed) return
    this.#socket.write(batch, this.#onProgress)
    this.#armWriteTimer()
  }

  #armWriteTimer(): void {
    this.#cancelWriteTimer ??= this.#clock.after(this.#limits.writeTimeoutMs, () => this.cut('client does not read'))
  }

  #finish(): void {
    if (this.#closed) return
    this.#closed = true
    this.#cancelWriteTimer?.()
    this.#cancelCloseTimer?.()
    this.#socket.destroy()
    this.#events.closed(this.#reason)
  }
}
