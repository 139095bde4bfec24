import type { Duplex } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import * as tls from 'node:tls'
import { SaxesParser, type SaxesTagNS } from 'saxes'

/** An element as a scripted peer reads it; `text` is all text directly inside. */
export interface XmlNode {
  readonly name: string
  readonly namespace: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: XmlNode[]
  text: string
}

/** What comes on a stream. `closed` comes last, and again for each later question. */
export type ScriptedEvent =
  | { readonly kind: 'header' | 'element'; readonly node: XmlNode }
  | { readonly kind: 'footer' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'bad-xml'; readonly text: string }

const NAMESPACES = "xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'"

/** Declares the prefix of dialback, on the header or on a single element. */
export const DIALBACK = "xmlns:db='jabber:server:dialback'"

export interface ScriptedHeader {
  readonly from?: string
  readonly to?: string
  readonly id?: string
}

/** The child with this name, in any namespace. */
export function child(node: XmlNode, name: string): XmlNode | undefined {
  return node.children.find(one => one.name === name)
}

/** One end of a stream, read with another XML parser than ours and led step by step by a spec. */
export class ScriptedStream {
  encrypted = false
  /** SHA-256 fingerprint of the leaf that the other side showed over TLS. */
  peerFingerprint: string | undefined
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
  #socket: Duplex
  #parser = this.#newParser()
  #events: ScriptedEvent[] = []
  #waiting: ((event: ScriptedEvent) => void)[] = []
  #gone = false
  readonly #close: () => void
  #detach: () => void

  constructor(socket: Duplex) {
    this.#socket = socket
    let close = (): void => {}
    this.closed = new Promise(resolve => {
      close = resolve
    })
    this.#close = close
    this.#detach = this.#attach(socket)
  }

  read(): Promise<ScriptedEvent> {
    const event = this.#events.shift()
    if (event !== undefined) return Promise.resolve(event)
    if (this.#gone) return Promise.resolve({ kind: 'closed' })
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** The next event, which must be an element (or the header) with this name. */
  async expect(name: string): Promise<XmlNode> {
    const event = await this.read()
    if ((event.kind === 'element' || event.kind === 'header') && event.node.name === name) return event.node
    throw new Error(`<${name}> was expected, not ${describeEvent(event)}`)
  }

  send(xml: string): void {
    if (this.#socket.writable) this.#socket.write(xml)
  }

  /** Sends a stream header; `more` stands among its attributes. */
  open(attributes: ScriptedHeader, more = `${DIALBACK} version='1.0'`): void {
    const text = Object.entries(attributes).map(([name, value]) => `${name}='${value}'`)
    this.send(`<?xml version='1.0'?><stream:stream ${NAMESPACES} ${text.join(' ')} ${more}>`)
  }

  features(inner: string): void {
    this.send(`<stream:features>${inner}</stream:features>`)
  }

  /** Sends a stream error, the footer, and closes our side. */
  fail(condition: string): void {
    this.send(`<stream:error><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`)
    this.close()
  }

  close(): void {
    this.send('</stream:stream>')
    this.#socket.end()
  }

  /** Closes when the other side has; gives the stream error that came, if any, when the connection is gone. */
  async closeInTurn(): Promise<string | undefined> {
    let error: string | undefined
    for (let event = await this.read(); event.kind !== 'closed'; event = await this.read()) {
      if (event.kind === 'footer') this.close()
      if (event.kind === 'element' && event.node.name === 'error') error = event.node.children[0]?.name
    }
    return error
  }

  /** Reads nothing until told to go on. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  cut(): void {
    this.#socket.destroy()
  }

  /** What comes next is a new stream. */
  restart(): void {
    this.#parser = this.#newParser()
  }

  /** Puts TLS on, with these application protocols if any; rejects when the handshake fails. */
  async startTls(
    role: 'client' | 'server',
    context: tls.SecureContext | undefined,
    servername = '',
    alpn: string[] = [],
  ): Promise<void> {
    this.#detach()
    const common = {
      rejectUnauthorized: false,
      ...(alpn.length > 0 && { ALPNProtocols: alpn }),
      ...(context && { secureContext: context }),
    }
    const socket =
      role === 'client'
        ? tls.connect({ socket: this.#socket, servername, ...common })
        : new tls.TLSSocket(this.#socket, { isServer: true, requestCert: true, ...common })
    const raw = this.#socket
    this.#socket = socket
    raw.on('error', () => {})
    this.restart()
    await new Promise<void>((resolve, reject) => {
      const failed = (error?: Error): void => {
        raw.destroy()
        this.#ended()
        reject(error ?? new Error('closed during the handshake'))
      }
      socket.once(role === 'client' ? 'secureConnect' : 'secure', resolve)
      socket.once('error', failed).once('_tlsError', failed)
      raw.once('close', () => failed())
      socket.once('close', () => failed())
    })
    this.encrypted = true
    this.peerFingerprint = (socket.getPeerCertificate() as Partial<tls.PeerCertificate>).fingerprint256
    this.#detach = this.#attach(socket)
  }

  #attach(socket: Duplex): () => void {
    const decoder = new StringDecoder('utf8')
    const data = (chunk: Buffer): void => void this.#parser.write(decoder.write(chunk))
    const end = (): void => void socket.end()
    const gone = (): void => this.#ended()
    socket.on('error', () => {})
    socket.on('data', data).on('end', end).on('end', gone).on('close', gone)
    socket.resume()
    return () => socket.off('data', data).off('end', end).off('end', gone).off('close', gone)
  }

  #ended(): void {
    if (this.#gone) return
    this.#gone = true
    this.#close()
    for (const waiting of this.#waiting.splice(0)) waiting({ kind: 'closed' })
  }

  #push(event: ScriptedEvent): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#events.push(event)
    else waiting(event)
  }

  #newParser(): SaxesParser<{ xmlns: true }> {
    const parser = new SaxesParser<{ xmlns: true }>({ xmlns: true })
    const open: XmlNode[] = []
    parser.on('opentag', (tag: SaxesTagNS) => {
      const attributes = Object.fromEntries(Object.values(tag.attributes).map(({ name, value }) => [name, value]))
      const node: XmlNode = { name: tag.local, namespace: tag.uri, attributes, children: [], text: '' }
      if (open.length === 0) this.#push({ kind: 'header', node })
      if (open.length > 1) open.at(-1)?.children.push(node)
      open.push(node)
    })
    parser.on('text', text => {
      const node = open.at(-1)
      if (node !== undefined && open.length > 1) node.text += text
    })
    parser.on('closetag', () => {
      const node = open.pop()
      if (open.length === 0) this.#push({ kind: 'footer' })
      else if (open.length === 1 && node !== undefined) this.#push({ kind: 'element', node })
    })
    parser.on('error', error => this.#push({ kind: 'bad-xml', text: error.message }))
    return parser
  }
}

/** For messages of specs. */
export function describeEvent(event: ScriptedEvent): string {
  if (event.kind === 'bad-xml') return `bad XML: ${event.text}`
  if (event.kind === 'footer' || event.kind === 'closed') return event.kind
  const { name, children } = event.node
  return `<${name}>${children.map(one => `<${one.name}/>`).join('')}`
}
