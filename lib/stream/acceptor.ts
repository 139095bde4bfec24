import { createServer, type Server, type Socket } from 'node:net'
import type { TransportAddresses } from './transport.js'

export interface AcceptorOptions {
  /** IP addresses to bind; `::` takes IPv4 too, and falls back to it where the system has no IPv6. */
  readonly addresses: readonly string[]
  /** 0 lets the system choose. */
  readonly port: number
  readonly accept: (socket: Socket, addresses: TransportAddresses) => void
}

/** Where an acceptor listens. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** How long a silent connection goes unnoticed by the operating system before it is probed, in milliseconds. */
const KEEP_ALIVE_MS = 60_000

/** Listening sockets of one port: connected sockets come out, nothing is read from them. */
export class Acceptor {
  readonly #options: AcceptorOptions
  readonly #servers: Server[] = []

  constructor(options: AcceptorOptions) {
    this.#options = options
  }

  /** Binds every address; rejects with nothing left open when one cannot be bound. */
  async open(): Promise<readonly Endpoint[]> {
    try {
      for (const address of this.#options.addresses) await this.#listen(address)
    } catch (error) {
      this.close()
      throw error
    }
    return this.endpoints
  }

  get endpoints(): readonly Endpoint[] {
    return this.#servers.flatMap(server => {
      const bound = server.address()
      return bound === null || typeof bound === 'string' ? [] : [{ address: bound.address, port: bound.port }]
    })
  }

  /** Stops listening; sockets that were handed out live on. */
  close(): void {
    // The port is free at once; `close` calls back only when the last socket that came from it is gone.
    for (const server of this.#servers.splice(0)) server.close()
  }

  async #listen(address: string): Promise<void> {
    const { port } = this.#options
    try {
      this.#servers.push(await listening(this.#server(), address, port))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (address !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error
      this.#servers.push(await listening(this.#server(), '0.0.0.0', port))
    }
  }

  #server(): Server {
    return createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, pauseOnConnect: true },
      socket => {
        const { remoteAddress, remotePort, localAddress, localPort } = socket
        if (remoteAddress === undefined || remotePort === undefined) return void socket.destroy()
        this.#options.accept(socket, {
          remoteAddress: withoutMapping(remoteAddress),
          remotePort,
          ...(localAddress !== undefined && { localAddress: withoutMapping(localAddress) }),
          ...(localPort !== undefined && { localPort }),
        })
      },
    )
  }
}

/** An IPv4 address that came over an IPv6 socket, as IPv4. */
function withoutMapping(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}

function listening(server: Server, address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address, port }, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}
