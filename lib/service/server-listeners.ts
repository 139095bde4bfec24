import type { Socket } from 'node:net'
import { Acceptor, type Endpoint } from '../stream/acceptor.js'
import type { TransportAddresses } from '../stream/transport.js'
import { listening, portNumber } from './listening.js'
import type { Change, Settings } from './settings.js'

/** How a listener for servers begins: with a stream header and STARTTLS, or with TLS (XEP-0368). */
export type ListenerKind = 'starttls' | 'tls'

/** Where other servers find us. */
export interface ServerEndpoint extends Endpoint {
  /** Direct TLS. */
  readonly tls: boolean
}

export interface ServerListenersOptions {
  readonly settings: Settings
  accept(socket: Socket, addresses: TransportAddresses, kind: ListenerKind): void
}

const KINDS: readonly ListenerKind[] = ['starttls', 'tls']

const KEYS = {
  starttls: { active: 'xmpp.server.socket.active', port: 'xmpp.server.socket.port' },
  tls: { active: 'xmpp.server.socket.ssl.active', port: 'xmpp.server.socket.ssl.port' },
} as const

/** The listeners for other servers, as the settings want them. */
export class ServerListeners {
  readonly #options: ServerListenersOptions
  readonly #acceptors = new Map<ListenerKind, Acceptor>()
  #endpoints: readonly ServerEndpoint[] = []

  constructor(options: ServerListenersOptions) {
    this.#options = options
  }

  /** Every place that is listened on, STARTTLS first. */
  get endpoints(): readonly ServerEndpoint[] {
    return this.#endpoints
  }

  /** Opens what is to be open, of all kinds or of these, after closing it; rejects when a port cannot be had. Gives what was opened. */
  async open(kinds: readonly ListenerKind[] = KINDS): Promise<readonly ServerEndpoint[]> {
    this.close(kinds)
    for (const kind of kinds.filter(kind => this.#isWanted(kind))) {
      const { settings, accept } = this.#options
      const port = settings.get(KEYS[kind].port)
      const acceptor = new Acceptor({
        addresses: settings.get('network.interface'),
        port: portNumber(port),
        accept: (socket, addresses) => accept(socket, addresses, kind),
      })
      await listening(KEYS[kind].port, () => acceptor.open())
      this.#acceptors.set(kind, acceptor)
      this.#look()
    }
    return this.#endpoints.filter(({ tls }) => kinds.includes(tls ? 'tls' : 'starttls'))
  }

  /** Streams that were accepted live on. */
  close(kinds: readonly ListenerKind[] = KINDS): void {
    for (const kind of kinds) {
      this.#acceptors.get(kind)?.close()
      this.#acceptors.delete(kind)
    }
    this.#look()
  }

  /** Without TLS there is nothing to say to who begins with it. */
  #isWanted(kind: ListenerKind): boolean {
    const { settings } = this.#options
    if (kind === 'tls' && settings.get('xmpp.server.tls.policy') === 'disabled') return false
    return settings.get(KEYS[kind].active)
  }

  #look(): void {
    this.#endpoints = KINDS.flatMap(kind => {
      const bound = this.#acceptors.get(kind)?.endpoints ?? []
      return bound.map(endpoint => ({ ...endpoint, tls: kind === 'tls' }))
    })
  }
}

/** The listeners for servers that a change of a setting opens, closes or moves. */
export function listenersMovedBy({ key, value, previous }: Change): readonly ListenerKind[] {
  if (key === 'network.interface') return KINDS
  if (key === 'xmpp.server.tls.policy') return value === 'disabled' || previous === 'disabled' ? ['tls'] : []
  return KINDS.filter(kind => KEYS[kind].active === key || KEYS[kind].port === key)
}
