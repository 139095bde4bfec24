import { connect, type Socket } from 'node:net'
import { attributeOf, childNamed, type Element, textOf, toElement } from '../../xml/element.js'
import { escapeAttribute, escapeText } from '../../xml/serializer.js'
import { Tokenizer } from '../../xml/tokenizer.js'

const LIMITS = {
  streamBytes: Number.POSITIVE_INFINITY,
  elementBytes: 65_536,
  skippedBytes: 65_536,
  startTagBytes: 8192,
  attributes: 32,
  declarations: 16,
  depth: 32,
  elements: 256,
  streamElements: Number.POSITIVE_INFINITY,
}

/** A message that came for the user. */
export interface ReceivedIm {
  readonly peer: string
  readonly body: string
}

/** A user with a XIMSS client, as small as one can be: logs in, sends and reads instant messages. */
export class XimssUser {
  readonly #socket: Socket
  readonly #received: Element[] = []
  #waiting:
    | { match: (message: Element) => boolean; resolve: (message: Element) => void; reject: (error: Error) => void }
    | undefined
  #rest: Buffer = Buffer.alloc(0)
  #lastId = 0
  #ended: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', chunk => this.#read(chunk))
    socket.on('error', error => this.#end(error))
    socket.on('close', () => this.#end(new Error('the service closed the connection')))
  }

  /** Connects and logs in; over loopback a password may go in clear text. */
  static async login(port: number, account: string, password: string): Promise<XimssUser> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    const user = new XimssUser(socket)
    await user.#request(
      'login',
      `authData="${escapeAttribute(account)}" password="${escapeAttribute(password)}" version="6.1"`,
    )
    await user.#request('signalBind', 'presence="yes" readIM="1" clientID="demo"')
    return user
  }

  async send(peer: string, body: string): Promise<void> {
    await this.#request('sendIM', `peer="${escapeAttribute(peer)}" type="chat"`, escapeText(body))
  }

  /** The next message; rejects when `signal` aborts or the connection ends. */
  async receive(signal: AbortSignal): Promise<ReceivedIm> {
    const message = await this.#next(element => element.name === 'readIM', signal)
    const body = childNamed(message, 'body', '')
    if (attributeOf(message, 'type') === 'error')
      throw new Error(`not delivered: ${attributeOf(message, 'errorText') ?? textOf(message)}`)
    return { peer: attributeOf(message, 'peer') ?? '', body: textOf(body ?? message) }
  }

  /** Rejects when a message of the user comes back; never resolves. */
  async undelivered(signal: AbortSignal): Promise<never> {
    const isFailure = (element: Element): boolean =>
      element.name === 'readIM' && attributeOf(element, 'type') === 'error'
    const message = await this.#next(isFailure, signal)
    throw new Error(`the message came back: ${attributeOf(message, 'errorText') ?? textOf(message)}`)
  }

  close(): void {
    this.#socket.end('<bye id="bye"/>\0')
  }

  async #request(name: string, attributes: string, content = ''): Promise<void> {
    this.#lastId++
    const id = String(this.#lastId)
    this.#socket.write(`<${name} id="${id}" ${attributes}>${content}</${name}>\0`)
    const response = await this.#next(element => element.name === 'response' && attributeOf(element, 'id') === id)
    const problem = attributeOf(response, 'errorText')
    if (problem !== undefined) throw new Error(`${name}: ${problem}`)
  }

  #next(match: (message: Element) => boolean, signal?: AbortSignal): Promise<Element> {
    const index = this.#received.findIndex(match)
    if (index >= 0) return Promise.resolve(this.#received.splice(index, 1)[0]!)
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended)
      if (signal?.aborted === true) return reject(signal.reason)
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      this.#waiting = { match, resolve, reject }
    })
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    for (let end = this.#rest.indexOf(0); end >= 0; end = this.#rest.indexOf(0)) {
      const tokenizer = new Tokenizer({ mode: 'document', limits: LIMITS, contentNamespaces: [] })
      tokenizer.write(this.#rest.subarray(0, end))
      this.#rest = this.#rest.subarray(end + 1)
      const token = tokenizer.next()
      if (token?.kind !== 'element') return this.#end(new Error('the service sent something that is not XML'))
      this.#take(toElement(token))
    }
  }

  #take(message: Element): void {
    if (this.#waiting?.match(message) === true) {
      const { resolve } = this.#waiting
      this.#waiting = undefined
      resolve(message)
    } else this.#received.push(message)
  }

  #end(error: Error): void {
    this.#ended ??= error
    this.#waiting?.reject(error)
    this.#waiting = undefined
    this.#socket.destroy()
  }
}
