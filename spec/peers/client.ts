import { once } from 'node:events'
import { connect as open, type Socket } from 'node:net'
import xml, { type Element } from '@xmpp/xml'
import { SaxesParser } from 'saxes'
import { Inbox, type Match } from './inbox.js'

const streamNs = 'http://etherx.jabber.org/streams'
const saslNs = 'urn:ietf:params:xml:ns:xmpp-sasl'
const bindNs = 'urn:ietf:params:xml:ns:xmpp-bind'
const pingNs = 'urn:xmpp:ping'
const stanzasNs = 'urn:ietf:params:xml:ns:xmpp-stanzas'

/** Where and as whom to log in. */
export interface ClientOptions {
  readonly address: string
  readonly port: number
  readonly domain: string
  readonly user: string
  readonly password: string
  /** Default `spec`. */
  readonly resource?: string
}

/**
 * A user of a real server, over plain TCP on a loopback address, with a parser that is not the project's own.
 * Stanzas that nobody waits for yet are kept. Pings are answered, other requests get `service-unavailable`.
 */
export class PeerClient {
  readonly #socket: Socket
  #parser: SaxesParser<{ xmlns: true }>
  #path: Element[] = []
  readonly #inbox = new Inbox<Element>(() => this.#jid)
  #serial = 0
  #bound = false
  #jid = ''

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#parser = this.#newParser()
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.#feed(text))
    socket.on('error', error => this.#inbox.close(error))
    socket.on('close', () => this.#inbox.close(new Error('the server closed the connection')))
  }

  /** Logs in with SASL PLAIN, binds the resource. Throws when the server refuses, or says nothing for 10 s. */
  static async connect(options: ClientOptions): Promise<PeerClient> {
    const socket = open({ host: options.address, port: options.port })
    await once(socket, 'connect')
    const client = new PeerClient(socket)
    try {
      await client.#open(options.domain)
      const token = Buffer.from(`\0${options.user}\0${options.password}`).toString('base64')
      client.send(xml('auth', { xmlns: saslNs, mechanism: 'PLAIN' }, token))
      const answer = await client.next(stanza => stanza.getNS() === saslNs, 'an answer to our password')
      if (!answer.is('success')) throw new Error(`no login for ${options.user}@${options.domain}: ${answer.toString()}`)
      await client.#open(options.domain)
      const resource = xml('resource', {}, options.resource ?? 'spec')
      const bound = await client.request(xml('iq', { type: 'set' }, xml('bind', { xmlns: bindNs }, resource)))
      client.#jid = bound.getChild('bind', bindNs)?.getChildText('jid') ?? ''
      if (client.#jid === '') throw new Error(`no resource bound: ${bound.toString()}`)
      client.#bound = true
      return client
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  /** Our full address, as the server gave it. */
  get jid(): string {
    return this.#jid
  }

  /** Sends an element as it is. */
  send(stanza: Element): void {
    if (this.#inbox.closed !== undefined) throw this.#inbox.closed
    this.#socket.write(stanza.toString())
  }

  /** Sends a chat message and returns its id. */
  message(to: string, body: string): string {
    const id = this.#nextId()
    this.send(xml('message', { to, id, type: 'chat' }, xml('body', {}, body)))
    return id
  }

  /** Sends presence: without `to` to the server, which makes us available. */
  presence(attributes: Readonly<Record<string, string>> = {}, ...children: Element[]): void {
    this.send(xml('presence', { ...attributes }, ...children))
  }

  /** Sends an iq, with an id when it has none, and waits for its result or error. */
  async request(iq: Element, limit?: number): Promise<Element> {
    const id = iq.attrs.id ?? this.#nextId()
    iq.attrs.id = id
    this.send(iq)
    return await this.next(
      stanza => stanza.is('iq') && stanza.attrs.id === id && ['result', 'error'].includes(stanza.attrs.type),
      `an answer to iq ${id}`,
      limit,
    )
  }

  /** XEP-0199: pings an address; returns the result or the error. */
  async ping(to: string, limit?: number): Promise<Element> {
    return await this.request(xml('iq', { to, type: 'get' }, xml('ping', { xmlns: pingNs })), limit)
  }

  /** The first stanza, kept or still to come, that matches; it is taken out. Throws after `limit` ms, default 10 s. */
  next(match: Match<Element>, what: string, limit?: number): Promise<Element> {
    return this.#inbox.next(match, what, limit)
  }

  /** Waits for a message with this body. */
  async nextBody(body: string, limit?: number): Promise<Element> {
    return await this.next(stanza => stanza.is('message') && stanza.getChildText('body') === body, `"${body}"`, limit)
  }

  /** Waits for the error that answers the stanza with this id. */
  async nextError(id: string, limit?: number): Promise<Element> {
    const match: Match<Element> = stanza => stanza.attrs.type === 'error' && stanza.attrs.id === id
    return await this.next(match, `an error for ${id}`, limit)
  }

  /** Waits for presence from an address, bare or full. `type` is undefined for available. */
  async nextPresence(from: string, type?: string, limit?: number): Promise<Element> {
    const match: Match<Element> = stanza => {
      const sender: string = stanza.attrs.from ?? ''
      return stanza.is('presence') && stanza.attrs.type === type && (sender === from || sender.startsWith(`${from}/`))
    }
    return await this.next(match, `presence ${type ?? 'available'} from ${from}`, limit)
  }

  /** Closes the stream and the connection. */
  async close(): Promise<void> {
    if (this.#inbox.closed !== undefined) return
    const closed = once(this.#socket, 'close')
    this.#socket.end('</stream:stream>')
    const timer = setTimeout(() => this.#socket.destroy(), 2000)
    await closed
    clearTimeout(timer)
  }

  async #open(domain: string): Promise<void> {
    this.#parser = this.#newParser()
    this.#path = []
    this.#socket.write(
      `<?xml version='1.0'?><stream:stream to='${domain}' version='1.0' xmlns='jabber:client' xmlns:stream='${streamNs}'>`,
    )
    await this.next(stanza => stanza.is('features', streamNs), 'stream features')
  }

  #nextId(): string {
    this.#serial++
    return `c${this.#serial}`
  }

  #newParser(): SaxesParser<{ xmlns: true }> {
    const parser = new SaxesParser({ xmlns: true, fragment: false })
    parser.on('error', error => this.#inbox.close(error))
    parser.on('opentag', tag => {
      const attributes: Record<string, string> = {}
      for (const attribute of Object.values(tag.attributes)) attributes[attribute.name] = attribute.value
      const element = xml(tag.name, attributes)
      this.#path.at(-1)?.cnode(element)
      this.#path.push(element)
    })
    parser.on('text', text => {
      if (this.#path.length > 1) this.#path.at(-1)?.t(text)
    })
    parser.on('closetag', () => {
      const element = this.#path.pop()
      const root = this.#path[0]
      if (element === undefined || root === undefined || this.#path.length > 1) return
      root.remove(element)
      element.parent = null
      this.#accept(element, root)
    })
    return parser
  }

  #feed(text: string): void {
    this.#parser.write(text)
  }

  /** A child of the stream has arrived whole; namespaces that the stream declared are put onto it. */
  #accept(stanza: Element, root: Element): void {
    for (const [name, value] of Object.entries(root.attrs)) {
      if (name === 'xmlns' || name.startsWith('xmlns:')) stanza.attrs[name] ??= value
    }
    if (stanza.is('error', streamNs)) {
      this.#inbox.close(new Error(`the server closed our stream: ${stanza.toString()}`))
      return
    }
    if (this.#bound && stanza.is('iq') && ['get', 'set'].includes(stanza.attrs.type)) {
      this.#answer(stanza)
      return
    }
    this.#inbox.put(stanza)
  }

  #answer(iq: Element): void {
    const { id, from } = iq.attrs
    const to = from === undefined ? {} : { to: from }
    if (iq.attrs.type === 'get' && iq.getChild('ping', pingNs) !== undefined) {
      this.send(xml('iq', { ...to, id, type: 'result' }))
      return
    }
    const condition = xml('service-unavailable', { xmlns: stanzasNs })
    this.send(xml('iq', { ...to, id, type: 'error' }, xml('error', { type: 'cancel' }, condition)))
  }
}
