import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A link that can be stopped and cut: connections to its port go on to another one. */
export class Link {
  target: number
  /** Whether new and live connections carry bytes towards the target. */
  #flowing = true
  readonly #server: Server
  readonly #pairs = new Set<readonly [near: Socket, far: Socket]>()

  private constructor(target: number, server: Server) {
    this.target = target
    this.#server = server
    server.on('connection', near => this.#join(near))
  }

  static async open(target: number): Promise<Link> {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return new Link(target, server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get connections(): number {
    return this.#pairs.size
  }

  /** Reads nothing more from whoever connected. */
  stop(): void {
    this.#flowing = false
    for (const [near] of this.#pairs) near.pause()
  }

  goOn(): void {
    this.#flowing = true
    for (const [near] of this.#pairs) near.resume()
  }

  /** Cuts every connection without a word. */
  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
  }

  close(): void {
    this.#server.close()
    this.cut()
  }

  #join(near: Socket): void {
    const far = connect({ port: this.target, host: '127.0.0.1' })
    const pair = [near, far] as const
    this.#pairs.add(pair)
    near.on('data', chunk => far.write(chunk)).on('end', () => far.end())
    far.on('data', chunk => near.write(chunk)).on('end', () => near.end())
    for (const socket of pair) {
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#pairs.delete(pair)
        near.destroy()
        far.destroy()
      })
    }
    if (!this.#flowing) near.pause()
  }
}
