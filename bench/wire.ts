import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { NumberReader } from './messages.js'

const ANSWER_MS = 10_000

/** One connection of the load tool: a scripted beginning, then numbered messages. */
export class Wire {
  socket: Socket | TLSSocket
  /** Given the number of each message id that comes. */
  onMessage: ((number: number) => void) | undefined
  /** Given the number of each XIMSS request that succeeded. */
  onResponse: ((number: number) => void) | undefined
  /** Told when the connection has ended or failed. */
  onEnd: ((error: Error) => void) | undefined
  /** Messages that came while nobody waited for any. */
  strays = 0
  #text = ''
  #wake: (() => void) | undefined
  #ended: Error | undefined
  readonly #ids = NumberReader.ofIds()
  readonly #responses = NumberReader.ofResponses()

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    this.attach(socket)
  }

  static async connect(host: string, port: number): Promise<Wire> {
    const socket = connect({ host, port })
    await once(socket, 'connect')
    return new Wire(socket)
  }

  /** Goes on over another socket, the one that carries TLS over the first. */
  attach(socket: Socket | TLSSocket): void {
    this.socket.removeAllListeners('data')
    this.socket = socket
    this.#text = ''
    socket.on('data', chunk => {
      this.#text += chunk.toString('latin1')
      this.#wake?.()
    })
    socket.on('error', error => this.#end(error))
    socket.on('close', () => this.#end(new Error('the server closed the connection')))
  }

  /** Waits until what came matches, and takes it out. */
  async until(pattern: RegExp): Promise<string> {
    const deadline = AbortSignal.timeout(ANSWER_MS)
    for (;;) {
      const match = pattern.exec(this.#text)
      if (match !== null) {
        this.#text = this.#text.slice(match.index + match[0].length)
        return match[0]
      }
      if (this.#ended !== undefined) throw this.#ended
      if (deadline.aborted) throw new Error(`no ${pattern} within ${ANSWER_MS} ms, but ${this.#text.slice(-2000)}`)
      await new Promise<void>(resolve => {
        this.#wake = resolve
        deadline.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  /** From now on only the numbers in what comes are looked at. */
  countFromNow({ responses = false } = {}): void {
    this.socket.removeAllListeners('data')
    const take = (number: number): void => {
      if (this.onMessage === undefined) this.strays++
      else this.onMessage(number)
    }
    const respond = (number: number): void => this.onResponse?.(number)
    this.socket.on('data', chunk => {
      this.#ids.read(chunk, take)
      if (responses) this.#responses.read(chunk, respond)
    })
  }

  write(data: string | Buffer): void {
    this.socket.write(data)
  }

  destroy(): void {
    this.socket.destroy()
  }

  #end(error: Error): void {
    this.#ended ??= error
    this.#wake?.()
    this.onEnd?.(this.#ended)
  }
}
