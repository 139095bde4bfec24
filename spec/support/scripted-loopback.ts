import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Listener, MemoryNetwork } from './memory-federation.js'

/** The network of a spec over real sockets: one listening port, behind which every domain has its own listener. */
export class LoopbackNetwork extends MemoryNetwork {
  readonly #byDomain = new Map<string, Listener>()
  /** Accepted sockets and the listeners meant for them find each other by the port of the dialing end. */
  readonly #arrived = new Map<number, Socket>()
  readonly #meant = new Map<number, Listener>()
  readonly #server: Server

  constructor() {
    super()
    this.#server = createServer({ pauseOnConnect: true }, socket => {
      socket.on('error', () => {})
      this.#arrived.set(socket.remotePort!, socket)
      this.#join(socket.remotePort!)
    })
  }

  open(): Promise<void> {
    return new Promise(resolve => this.#server.listen(0, '127.0.0.1', resolve))
  }

  close(): Promise<void> {
    return new Promise(resolve => this.#server.close(() => resolve()))
  }

  override listen(domain: string, listener: Listener): void {
    this.#byDomain.set(domain, listener)
  }

  override withdraw(domain: string): void {
    this.#byDomain.delete(domain)
  }

  override connect(domain: string): Duplex | undefined {
    const listener = this.#byDomain.get(domain)
    const bound = this.#server.address()
    if (listener === undefined || bound === null || typeof bound === 'string') return undefined
    const socket = dial(bound.port, '127.0.0.1')
    socket.once('connect', () => {
      this.#meant.set(socket.localPort!, listener)
      this.#join(socket.localPort!)
    })
    return socket
  }

  #join(port: number): void {
    const socket = this.#arrived.get(port)
    const listener = this.#meant.get(port)
    if (socket === undefined || listener === undefined) return
    this.#arrived.delete(port)
    this.#meant.delete(port)
    listener(socket)
  }
}
