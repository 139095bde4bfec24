import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../../base/clock.js'
import type { Log } from '../../base/log.js'
import { networkOf } from '../../base/network-of.js'
import { SessionRegistry, type SessionRow } from '../session-registry.js'
import { LoginGuard } from './login-guard.js'
import type { XimssServices } from './services.js'
import { XimssSession } from './ximss-session.js'

/** Where a listener is to listen, and for how many. */
export interface XimssPlaces {
  /** Most connections at a time, over all ports; 0: nothing listens. */
  readonly channels: number
  /** Local addresses to listen at. */
  readonly addresses: readonly string[]
  /** Port for clear text with the way to TLS; undefined: none. 0 lets the system choose. */
  readonly port?: number
  /** Port for TLS from the first byte; undefined: none. */
  readonly tlsPort?: number
}

export interface XimssListenerOptions extends XimssPlaces {
  readonly services: XimssServices
}

/** Of all connections, the part that one network may have without having logged in; so many it may have in any case. */
const STRANGERS_PART = 1 / 4
const STRANGERS_AT_LEAST = 5

/** How long a refused client may take to go by itself. */
const REFUSED_LINGER_MS = 1000

/** Where a listener answers. */
export interface XimssEndpoint {
  readonly address: string
  readonly port: number
  readonly tls: boolean
}

/** The sockets at which XIMSS clients arrive, and all sessions that came of them. */
export class XimssListener {
  readonly sessions: SessionRegistry
  readonly #services: XimssServices
  readonly #log: Log
  readonly #guard: LoginGuard
  /** The sessions that have not logged in. */
  readonly #strangers = new Set<XimssSession>()
  #places: XimssPlaces
  readonly #servers: Server[] = []
  #endpoints: XimssEndpoint[] = []
  #stopped: Promise<void> | undefined

  constructor(options: XimssListenerOptions) {
    this.#services = options.services
    this.#places = options
    this.#log = options.services.log.child({ tag: 'XIMSSI' })
    this.#guard = new LoginGuard(options.services.clock, options.services.limits)
    this.sessions = new SessionRegistry(options.channels)
  }

  /** Where it listens, once started. */
  get endpoints(): readonly XimssEndpoint[] {
    return this.#endpoints
  }

  snapshot(): SessionRow[] {
    return this.sessions.snapshot()
  }

  /** Opens all sockets. Rejects, with none open, when one of them cannot be. */
  async start(): Promise<readonly XimssEndpoint[]> {
    const { channels, addresses, port, tlsPort } = this.#places
    if (channels === 0) return this.#endpoints
    try {
      for (const address of addresses) {
        if (port !== undefined) this.#endpoints.push(await this.#listen(address, port, false))
        if (tlsPort !== undefined) this.#endpoints.push(await this.#listen(address, tlsPort, true))
      }
    } catch (error) {
      this.#closeServers()
      throw error
    }
    return this.#endpoints
  }

  /** Listens elsewhere from now on; the sessions stay. Rejects, with nothing listening, when a socket cannot be opened. */
  reopen(places: XimssPlaces): Promise<readonly XimssEndpoint[]> {
    this.#closeServers()
    this.#places = places
    this.sessions.most = places.channels
    return this.start()
  }

  /** Takes no more connections, ends the sessions with `<bye/>`, and resolves when the last one is gone. May be called twice. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }

  async #stop(): Promise<void> {
    const wasListening = this.#endpoints.length > 0
    const closed = this.#closeServers()
    await this.sessions.closeAll('server is shutting down')
    await Promise.all(closed)
    if (wasListening) this.#log.info('ximss-stopped')
  }

  /** The ports are free at once; each promise resolves when the last connection that came by its port is gone. */
  #closeServers(): Promise<void>[] {
    this.#endpoints = []
    return this.#servers.splice(0).map(server => new Promise<void>(resolve => server.close(() => resolve())))
  }

  async #listen(address: string, port: number, tls: boolean): Promise<XimssEndpoint> {
    // Half-open, so that a client that ends its side still gets the responses to what it sent.
    const server = createServer({ allowHalfOpen: true }, socket => this.#accept(socket, tls))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: address, port }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    server.on('error', error => this.#log.error('ximss-listener-failed', { address, port, error }))
    this.#servers.push(server)
    const endpoint = { address, port: boundPort(server), tls }
    this.#log.info('ximss-listening', endpoint)
    return endpoint
  }

  #accept(socket: Socket, tls: boolean): void {
    const services = this.#services
    const { remoteAddress: address } = socket
    // Gone before it was taken: there is no address, nor anybody to talk to.
    if (address === undefined) {
      socket.destroy()
      return
    }
    const isFull = this.#stopped !== undefined || this.sessions.full
    if (isFull || !this.#hasRoomFor(address)) {
      const reason = isFull ? 'too many connections' : 'too many connections without login'
      this.#log.warn('ximss-refused', { address, reason })
      refuse(socket, tls, services.clock)
      return
    }
    const id = this.sessions.nextId()
    let remove = (): void => {}
    const gone = (): void => {
      this.#strangers.delete(session)
      remove()
    }
    const session = new XimssSession(socket, { id, services, guard: this.#guard, tlsAtOnce: tls, gone })
    this.#strangers.add(session)
    remove = this.sessions.add(id, session)
  }

  /** Those that never log in must not take the places of all others. */
  #hasRoomFor(address: string): boolean {
    const network = networkOf(address)
    let here = 0
    for (const session of this.#strangers) {
      if (session.user !== undefined) this.#strangers.delete(session)
      else if (networkOf(session.address) === network) here++
    }
    return here < Math.max(STRANGERS_AT_LEAST, Math.floor(this.sessions.most * STRANGERS_PART))
  }
}

/** Clear text would mean nothing to a client that waits for TLS. */
function refuse(socket: Socket, tls: boolean, clock: Clock): void {
  socket.on('error', () => {})
  if (tls) {
    socket.destroy()
    return
  }
  // What the client has sent already is read away: closing upon unread bytes would take the farewell with it.
  socket.resume()
  socket.end('<bye errorText="too many connections, try later"/>\0')
  const cancel = clock.after(REFUSED_LINGER_MS, () => socket.destroy())
  socket.once('close', cancel)
}

function boundPort(server: Server): number {
  const address: AddressInfo | string | null = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
