import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import * as tls from 'node:tls'

export interface XimssClientOptions {
  readonly port: number
  readonly host?: string
  /** TLS from the first byte. */
  readonly tls?: tls.ConnectionOptions
}

/** A XIMSS client for specs: writes what it is told, hands out the messages of the server one by one, as text. */
export class XimssClient {
  #socket: Socket
  #rest = Buffer.alloc(0)
  readonly #messages: string[] = []
  #waiting: { resolve: (message: string) => void; reject: (error: Error) => void } | undefined
  #ended = false
  /** Resolves when the connection is gone. */
  closed: Promise<void>
  #nextId = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    this.closed = this.#attach(socket)
  }

  static async connect({ port, host = '127.0.0.1', tls: tlsOptions }: XimssClientOptions): Promise<XimssClient> {
    const socket = tlsOptions === undefined ? connect({ port, host }) : tls.connect({ port, host, ...tlsOptions })
    await once(socket, tlsOptions === undefined ? 'connect' : 'secureConnect')
    return new XimssClient(socket)
  }

  /** Sends one message. */
  send(message: string): void {
    this.#socket.write(`${message}\0`)
  }

  /** Sends bytes as they are. */
  sendBytes(bytes: Buffer | string): void {
    this.#socket.write(bytes)
  }

  /** The next message of the server; rejects when the connection ends first. */
  next(): Promise<string> {
    const message = this.#messages.shift()
    if (message !== undefined) return Promise.resolve(message)
    if (this.#ended) return Promise.reject(new Error('the server has closed the connection'))
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  /** Skips messages until one holds `text`. */
  async nextWith(text: string): Promise<string> {
    for (;;) {
      const message = await this.next()
      if (message.includes(text)) return message
    }
  }

  /** Sends `<name id=… attributes>content</name>` and returns all messages up to and including its response. */
  async request(name: string, attributes: Record<string, string> = {}, content = ''): Promise<string[]> {
    const id = `c${++this.#nextId}`
    const pairs = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeValue(value)}"`)
    this.send(`<${name} id="${id}"${pairs.join('')}>${content}</${name}>`)
    const messages: string[] = []
    for (;;) {
      const message = await this.next()
      messages.push(message)
      if (message.startsWith(`<response id="${id}"`)) return messages
    }
  }

  /** Clear-text login; returns the messages it brought. */
  login(authData: string, password: string, version = '6.2'): Promise<string[]> {
    return this.request('login', { authData, password, version })
  }

  /** SCRAM login (RFC 5802); returns the messages of the last step. Rejects when the server proves not to know the password. */
  async loginScram(
    name: string,
    password: string,
    hash: 'sha256' | 'sha1' = 'sha256',
    version = '6.2',
  ): Promise<string[]> {
    const method = hash === 'sha256' ? 'SCRAM-SHA-256' : 'SCRAM-SHA-1'
    const id = `s${++this.#nextId}`
    const nonce = randomBytes(12).toString('hex')
    const bare = `n=${name.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
    this.send(`<login id="${id}" method="${method}" authData="${base64(`n,,${bare}`)}" version="${version}"/>`)
    const first = challengeValue(await this.next())
    const fields = Object.fromEntries(first.split(',').map(part => [part[0], part.slice(2)]))
    const salt = Buffer.from(fields.s ?? '', 'base64')
    const salted = pbkdf2Sync(password, salt, Number(fields.i), hash === 'sha256' ? 32 : 20, hash)
    const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest()
    const clientKey = hmac(salted, 'Client Key')
    const withoutProof = `c=biws,r=${fields.r}`
    const authMessage = `${bare},${first},${withoutProof}`
    const signature = hmac(createHash(hash).update(clientKey).digest(), authMessage)
    const proof = clientKey.map((byte, i) => byte ^ (signature[i] ?? 0))
    this.send(`<auth id="${id}" value="${base64(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`)}"/>`)
    const answer = await this.next()
    if (!answer.startsWith('<challenge')) return [answer]
    const expected = `v=${hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')}`
    if (challengeValue(answer) !== expected) throw new Error('the server does not know the password')
    this.send(`<auth id="${id}" value=""/>`)
    const messages = [await this.next()]
    if (!messages[0]?.startsWith('<response')) messages.push(await this.next())
    return messages
  }

  /** Asks for TLS and makes the handshake; returns the response when it was not granted. */
  async startTls(options: tls.ConnectionOptions): Promise<string | undefined> {
    const [response = ''] = await this.request('starttls')
    if (response.includes('errorText')) return response
    await this.upgrade(options)
    return undefined
  }

  /** The handshake alone. */
  async upgrade(options: tls.ConnectionOptions): Promise<void> {
    this.#socket.removeAllListeners('data')
    this.#socket.removeAllListeners('end')
    const socket = tls.connect({ ...options, socket: this.#socket })
    this.#socket = socket
    await once(socket, 'secureConnect')
    this.closed = this.#attach(socket)
  }

  /** Bytes sent that the system has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  /** Nothing is read any more, until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Ends this side; the server may still send. */
  end(): void {
    this.#socket.end()
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy()
  }

  #attach(socket: Socket): Promise<void> {
    socket.on('data', chunk => this.#take(chunk))
    socket.on('end', () => this.#finish())
    socket.on('error', () => {})
    return new Promise(resolve => {
      socket.on('close', () => {
        this.#finish()
        resolve()
      })
    })
  }

  #take(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#rest, chunk])
    for (let end = bytes.indexOf(0); end !== -1; end = bytes.indexOf(0)) {
      this.#deliver(bytes.subarray(0, end).toString('utf8'))
      bytes = bytes.subarray(end + 1)
    }
    this.#rest = bytes
  }

  #deliver(message: string): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) this.#messages.push(message)
    else waiting.resolve(message)
  }

  #finish(): void {
    if (this.#ended) return
    this.#ended = true
    this.#waiting?.reject(new Error('the server has closed the connection'))
  }
}

function challengeValue(message: string): string {
  const value = /^<challenge id="[^"]*" value="([^"]*)"\/>$/.exec(message)?.[1]
  if (value === undefined) throw new Error(`no challenge: ${message}`)
  return Buffer.from(value, 'base64').toString('utf8')
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

function escapeValue(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
