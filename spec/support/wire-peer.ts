import type { Duplex } from 'node:stream'
import * as tls from 'node:tls'
import { type Fixture, TestAuthority } from './authority.js'
import { ManualClock } from './manual-clock.js'
import { MemoryFederation, type MemoryFederationOptions, MemoryNetwork } from './memory-federation.js'
import { memoryPair } from './memory-pair.js'

/** How bytes are cut into segments: in one piece, one byte each, or in two at an offset. */
export type Cut = 'whole' | 'byte by byte' | number

/** Real time after which a spec is told what it did not hear. */
const PATIENCE_MS = 4000

/** A server stream header as bytes; an attribute given as null is left out. */
export function header(attributes: Readonly<Record<string, string | null>> = {}): string {
  const all: Record<string, string | null> = {
    xmlns: 'jabber:server',
    'xmlns:stream': 'http://etherx.jabber.org/streams',
    'xmlns:db': 'jabber:server:dialback',
    to: 'here.example',
    from: 'peer.example',
    version: '1.0',
    ...attributes,
  }
  const text = Object.entries(all).map(([name, value]) => (value === null ? '' : ` ${name}='${value}'`))
  return `<stream:stream${text.join('')}>`
}

export const STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
export const FOOTER = '</stream:stream>'

/** SASL EXTERNAL with an initial response as it stands, or without one. */
export function auth(response?: string, mechanism = 'EXTERNAL'): string {
  return `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='${mechanism}'>${response ?? ''}</auth>`
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** The far end of a connection, on which a spec says exact bytes and hears text, so that it reads as a transcript. */
export class WirePeer {
  /** Everything heard since the last `secure`. */
  heard = ''
  /** The chain the other side showed, DER of the leaf; undefined without TLS. */
  tlsSocket: tls.TLSSocket | undefined
  readonly #clock: ManualClock
  #socket: Duplex
  #at = 0
  #over = false
  #wake: (() => void) | undefined

  constructor(socket: Duplex, clock: ManualClock) {
    this.#socket = socket
    this.#clock = clock
    this.#attach()
  }

  /** Says text or bytes; resolves when they have left. */
  async say(text: string | Buffer, cut: Cut = 'whole'): Promise<void> {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text
    const parts =
      cut === 'whole'
        ? [bytes]
        : cut === 'byte by byte'
          ? Array.from(bytes, byte => Buffer.of(byte))
          : [bytes.subarray(0, cut), bytes.subarray(cut)]
    for (const part of parts) {
      if (part.length === 0) continue
      // The other side may have cut the connection by then; what it said is the matter of `hears` and `closed`.
      await new Promise<void>(resolve => this.#socket.write(part, () => resolve()))
    }
  }

  /** Waits until all parts have come, in this order, behind what was heard before; the result is the text up to the last one's end. */
  async hears(...parts: string[]): Promise<string> {
    const begin = this.#at
    for (const part of parts) {
      await this.#until(() => this.heard.includes(part, this.#at), `${JSON.stringify(part)} was not heard`)
      this.#at = this.heard.indexOf(part, this.#at) + part.length
    }
    return this.heard.slice(begin, this.#at)
  }

  /** Waits for the stream to be ended and the connection closed by the other side alone; the result is all it said on the way. */
  async closed(): Promise<string> {
    const begin = this.#at
    await this.#until(() => this.heard.includes(FOOTER, begin), 'no footer was heard')
    await turns(2)
    this.#clock.advance(5000)
    await this.#until(() => this.#over, 'the connection was not closed')
    this.#at = this.heard.length
    return this.heard.slice(begin)
  }

  /** Waits for the connection to be closed without another word. */
  async cut(): Promise<void> {
    const begin = this.#at
    await this.#until(() => this.#over, 'the connection was not closed')
    if (this.heard.length > begin) throw new Error(`heard before the close: ${this.heard.slice(begin)}`)
  }

  get isOver(): boolean {
    return this.#over
  }

  /** What came behind the last thing that was waited for. */
  get unread(): string {
    return this.heard.slice(this.#at)
  }

  /** A stream error of one of these conditions, and what must follow it: the footer and the close, and nothing else. */
  async fails(...conditions: readonly string[]): Promise<string> {
    const text = await this.hears('<stream:error><', FOOTER)
    const condition = /<stream:error><([a-z-]+) xmlns='urn:ietf:params:xml:ns:xmpp-streams'\/>/.exec(text)?.[1]
    if (condition === undefined || !conditions.includes(condition)) {
      throw new Error(`${conditions.join(' or ')} was expected, not ${text}`)
    }
    this.#clock.advance(1000)
    await this.#until(() => this.#over, 'the connection was not closed')
    if (this.unread !== '') throw new Error(`heard behind the footer: ${this.unread}`)
    return text
  }

  /** Puts TLS on, as the client by default. */
  async secure(options: tls.ConnectionOptions & tls.TLSSocketOptions = {}): Promise<void> {
    const raw = this.#socket
    raw.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close')
    const socket = options.isServer
      ? new tls.TLSSocket(raw, { requestCert: true, rejectUnauthorized: false, ...options })
      : tls.connect({ socket: raw, rejectUnauthorized: false, ...options })
    this.#socket = this.tlsSocket = socket
    this.heard = ''
    this.#at = 0
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.once(options.isServer ? 'secure' : 'secureConnect', () => {
        socket.off('error', reject)
        resolve()
      })
    })
    this.#attach()
  }

  /** Reads no more, so that what is said to it piles up. */
  stopReading(): void {
    this.#socket.pause()
  }

  /** Closes without a word. */
  hangUp(): void {
    this.#socket.destroy()
  }

  #attach(): void {
    const over = (): void => {
      this.#over = true
      this.#wake?.()
    }
    this.#socket.on('data', (chunk: Buffer) => {
      this.heard += chunk.toString()
      this.#wake?.()
    })
    this.#socket.on('end', over).on('close', over).on('error', over)
  }

  async #until(done: () => boolean, complaint: string): Promise<void> {
    if (done()) return
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer)
        this.#wake = undefined
      }
      const timer = setTimeout(() => {
        stop()
        reject(new Error(`${complaint}; heard: ${this.heard}`))
      }, PATIENCE_MS)
      this.#wake = () => {
        if (done()) {
          stop()
          resolve()
        } else if (this.#over) {
          stop()
          reject(new Error(`${complaint} before the connection closed; heard: ${this.heard}`))
        }
      }
      this.#wake()
    })
  }
}

/** Lets everything that is under way in this process, and waits for nothing else, come to its end. */
export async function turns(count = 30): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

export type WireServerOptions = Partial<Omit<MemoryFederationOptions, 'clock'>>

/** One server under a clock moved by hand, and the ways in which a peer comes to talk to it. Serves `here.example`. */
export class WireServer extends MemoryFederation {
  readonly clock: ManualClock
  readonly network: MemoryNetwork
  readonly authority: TestAuthority
  #fences = 0

  constructor(options: WireServerOptions & { readonly clock?: ManualClock } = {}) {
    const { clock = new ManualClock(), network = new MemoryNetwork(), authority = new TestAuthority() } = options
    super({ ...options, clock, network, authority })
    this.clock = clock
    this.network = network
    this.authority = authority
  }

  /** A new connection to the server. */
  peer(address = '192.0.2.2'): WirePeer {
    const [near, far] = memoryPair()
    this.accept(far, address)
    return new WirePeer(near, this.clock)
  }

  /** A connection over TLS, up to the features; `certificate` null shows none. */
  async secured(
    attributes: Parameters<typeof header>[0] = {},
    certificate: Fixture | null = 'both',
    name?: string,
  ): Promise<WirePeer> {
    const peer = await this.encrypted(attributes, certificate, name)
    await peer.say(header(attributes))
    await peer.hears('<stream:features>', '</stream:features>')
    return peer
  }

  /** A connection over TLS, on which nothing has been said yet. */
  async encrypted(
    attributes: Parameters<typeof header>[0] = {},
    certificate: Fixture | null = 'both',
    name?: string,
  ): Promise<WirePeer> {
    const peer = this.peer()
    await peer.say(header(attributes))
    await peer.hears('<starttls ')
    await peer.say(STARTTLS)
    await peer.hears('<proceed ')
    const shown = certificate === null ? {} : this.credentialsOf(name ?? attributes.from ?? 'peer.example', certificate)
    await peer.secure(shown)
    return peer
  }

  /** A connection that has proven `from` by SASL EXTERNAL, up to the features or up to the point where the new header is due. */
  async authenticated(attributes: Parameters<typeof header>[0] = {}, restarted = true): Promise<WirePeer> {
    const peer = await this.secured(attributes)
    await peer.say(auth('='))
    await peer.hears('<success ')
    if (restarted) {
      await peer.say(header(attributes))
      await peer.hears('</stream:features>')
    }
    return peer
  }

  /** A connection to the Direct TLS port, on which nothing has been said yet, also no TLS. */
  directPeer(): WirePeer {
    const [near, far] = memoryPair()
    this.accept(far, '192.0.2.2', 'tls')
    return new WirePeer(near, this.clock)
  }

  /** A connection to the Direct TLS port after the handshake; `certificate` null shows none. */
  async direct(options: tls.ConnectionOptions = {}, certificate: Fixture | null = 'both'): Promise<WirePeer> {
    const peer = this.directPeer()
    const shown = certificate === null ? {} : this.credentialsOf('peer.example', certificate)
    await peer.secure({ ALPNProtocols: ['xmpp-server'], servername: 'here.example', ...shown, ...options })
    return peer
  }

  credentialsOf(domain: string, certificate: Fixture): { readonly cert: string; readonly key: string } {
    const { cert, key } = this.authority.issue(domain, certificate)
    return { cert, key }
  }

  /** Returns when everything the peer has said so far has been dealt with: a question that is always answered, and in order. */
  async fence(peer: WirePeer): Promise<void> {
    const id = `fence-${++this.#fences}`
    await peer.say(`<db:verify from='fence.example' to='nowhere.example' id='${id}'>k</db:verify>`)
    await peer.hears(`id='${id}' type='error'`)
    await peer.hears('</db:verify>')
  }
}

/** The features of a receiving side. */
export const OFFERS = {
  starttls: "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
  external: "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
  dialback: "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>",
} as const

export const PROCEED = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"

export function features(...offers: readonly string[]): string {
  return `<stream:features>${offers.join('')}</stream:features>`
}

/** The header of a receiving side. */
export function reply(attributes: Readonly<Record<string, string | null>> = {}): string {
  return header({ to: null, from: 'peer.example', id: 'their-id', ...attributes })
}

/** The server of another domain, played by a spec: what dials it becomes a peer. */
export class WireHost {
  readonly domain: string
  readonly #server: WireServer
  readonly #waiting: ((peer: WirePeer) => void)[] = []
  readonly #come: WirePeer[] = []

  constructor(server: WireServer, domain = 'peer.example') {
    this.domain = domain
    this.#server = server
    server.network.listen(domain, socket => {
      const peer = new WirePeer(socket, server.clock)
      const next = this.#waiting.shift()
      if (next === undefined) this.#come.push(peer)
      else next(peer)
    })
  }

  /** The next connection. */
  connection(): Promise<WirePeer> {
    const peer = this.#come.shift()
    return peer === undefined ? new Promise(resolve => this.#waiting.push(resolve)) : Promise.resolve(peer)
  }

  /** The next connection, after STARTTLS; our second header has not been said yet. */
  async encrypted(certificate: Fixture | { readonly cert: string; readonly key: string } = 'both'): Promise<WirePeer> {
    const shown = typeof certificate === 'string' ? this.#server.credentialsOf(this.domain, certificate) : certificate
    const peer = await this.connection()
    await peer.hears('<stream:stream ', '>')
    await peer.say(reply({ from: this.domain }) + features(OFFERS.starttls))
    await peer.hears('<starttls ', '/>')
    await peer.say(PROCEED)
    await peer.secure({ isServer: true, cert: shown.cert, key: shown.key })
    return peer
  }

  /** The next connection over TLS, up to our second features. */
  async secured(...offers: readonly string[]): Promise<WirePeer> {
    const peer = await this.encrypted()
    await peer.hears('<stream:stream ', '>')
    await peer.say(reply({ from: this.domain }) + features(...(offers.length === 0 ? [OFFERS.dialback] : offers)))
    return peer
  }

  /** The next connection over TLS, whose first request for a pair is granted. */
  async accepting(): Promise<WirePeer> {
    const peer = await this.secured()
    const request = await peer.hears('<db:result ', '</db:result>')
    const local = /from='([^']*)'/.exec(request)![1]
    await peer.say(`<db:result from='${this.domain}' to='${local}' type='valid'/>`)
    return peer
  }

  /** Connections that nobody has taken. */
  get untaken(): number {
    return this.#come.length
  }
}
