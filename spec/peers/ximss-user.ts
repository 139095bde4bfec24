import { type Element, parse } from 'ltx'
import { XimssClient } from '../support/ximss-client.js'
import type { Comity } from './comity.js'
import { Inbox, type Match } from './inbox.js'

const pingNs = 'urn:xmpp:ping'

/** A user of the service with a XIMSS client; its messages are read by a parser that is not the project's own. */
export class XimssUser {
  /** Our full address. */
  readonly jid: string
  readonly #client: XimssClient
  readonly #inbox = new Inbox<Element>(() => this.jid)
  #serial = 0

  private constructor(jid: string, client: XimssClient) {
    this.jid = jid
    this.#client = client
    void this.#read()
  }

  /** Logs in and takes part in messages, presence and requests. */
  static async connect(comity: Comity, user: string, password: string): Promise<XimssUser> {
    const client = await XimssClient.connect({ host: comity.address, port: comity.ximssPort })
    const account = `${user}@${comity.domain}`
    try {
      await client.login(account, password)
      const self = new XimssUser(`${account}/spec`, client)
      await self.request('signalBind', { presence: 'yes', readIM: '1', clientID: 'spec' })
      return self
    } catch (error) {
      client.destroy()
      throw error
    }
  }

  /** Makes a request and waits for its response; rejects when that is an error. */
  async request(name: string, attributes: Readonly<Record<string, string>>, content = ''): Promise<void> {
    const id = this.#nextId()
    const pairs = Object.entries(attributes).map(([key, value]) => ` ${key}="${value}"`)
    this.#client.send(`<${name} id="${id}"${pairs.join('')}>${content}</${name}>`)
    const response = await this.#inbox.next(
      ({ name: is, attrs }) => is === 'response' && attrs.id === id,
      `an answer to ${name}`,
    )
    if (response.attrs.errorText !== undefined) throw new Error(`${name}: ${response.toString()}`)
  }

  /** Sends a chat message and returns its id. */
  async message(peer: string, body: string): Promise<string> {
    const iqid = this.#nextId()
    await this.request('sendIM', { peer, iqid, type: 'chat' }, `<body>${body}</body>`)
    return iqid
  }

  /** Directs presence at somebody: a state word of XIMSS and a status. */
  async presence(peer: string, state: string, status: string): Promise<void> {
    const content = `<presence>${state}</presence><status>${status}</status>`
    await this.request('presenceSet', { peer }, content)
  }

  /** XEP-0199: pings an address; resolves with the result or the error. */
  async ping(peer: string): Promise<Element> {
    const iqid = this.#nextId()
    await this.request('iqSend', { peer, type: 'get', iqid }, `<ping xmlns="${pingNs}"/>`)
    return await this.next(({ name, attrs }) => name === 'iqRead' && attrs.iqid === iqid, `an answer to iq ${iqid}`)
  }

  /** Answers the next ping; resolves with the address of whoever sent it. */
  async answerPing(): Promise<string> {
    const isPing: Match<Element> = ({ name, attrs }) => name === 'iqRead' && attrs.type === 'get'
    const ping = await this.next(isPing, 'a ping')
    if (ping.getChild('ping', pingNs) === undefined) throw new Error(`not a ping: ${ping.toString()}`)
    await this.request('iqSend', { peer: ping.attrs.peer, type: 'result', iqid: ping.attrs.iqid })
    return ping.attrs.peer
  }

  /** The first message of the service, kept or still to come, that matches. Rejects after `limit` ms, 10 s unless told. */
  next(match: Match<Element>, what: string, limit?: number): Promise<Element> {
    return this.#inbox.next(match, what, limit)
  }

  /** Waits for a message with this body. */
  nextBody(body: string, limit?: number): Promise<Element> {
    return this.next(message => message.is('readIM') && message.getChildText('body') === body, `"${body}"`, limit)
  }

  /** Waits for the error that answers the message with this id. */
  nextError(iqid: string, limit?: number): Promise<Element> {
    const match: Match<Element> = ({ name, attrs }) =>
      name === 'readIM' && attrs.type === 'error' && attrs.iqid === iqid
    return this.next(match, `an error for ${iqid}`, limit)
  }

  /** Waits for presence from a full address. `type` is undefined for available. */
  nextPresence(from: string, type?: string): Promise<Element> {
    const match: Match<Element> = ({ name, attrs }) =>
      name === 'presence' && attrs.type === type && `${attrs.peer}/${attrs.clientID}` === from
    return this.next(match, `presence ${type ?? 'available'} from ${from}`)
  }

  /** Ends the session in order. */
  async close(): Promise<void> {
    if (this.#inbox.closed !== undefined) return
    this.#client.send('<bye id="bye"/>')
    const timer = setTimeout(() => this.#client.destroy(), 2000)
    await this.#client.closed
    clearTimeout(timer)
  }

  #nextId(): string {
    this.#serial++
    return `x${this.#serial}`
  }

  async #read(): Promise<void> {
    try {
      for (;;) this.#inbox.put(parse(await this.#client.next()))
    } catch (error) {
      this.#inbox.close(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
