import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** The three answers of a proxy (RFC 1928 §3, RFC 1929 §2, RFC 1928 §6). */
export type Answer = 'method' | 'login' | 'reply'

/** How the proxy behaves; a good one that wants no login unless told otherwise. */
export interface SocksScript {
  readonly login?: { readonly user: string; readonly password: string }
  /** The code of the last answer; whatever is not 0 connects to nothing. */
  readonly code?: number
  /** Said instead of an answer. */
  readonly instead?: Readonly<Partial<Record<Answer, Buffer>>>
  /** Said in the same write behind the last answer. */
  readonly behind?: string
  /** Says nothing any more from this answer on. */
  readonly silentAt?: Answer
  /** Closes instead of this answer. */
  readonly closesAt?: Answer
  /** The type of the bound address in the last answer. */
  readonly bound?: 'ipv4' | 'ipv6' | 'name'
  /** One octet a write. */
  readonly slow?: boolean
}

/** What a client asked for. */
export interface Asked {
  readonly type: 'ipv4' | 'ipv6' | 'name'
  readonly host: string
  readonly port: number
  readonly user: string
  readonly from: string
}

const BOUND = {
  ipv4: Buffer.from([1, 0, 0, 0, 0, 0, 0]),
  ipv6: Buffer.from([4, ...new Array<number>(18).fill(0)]),
  name: Buffer.from([3, 5, ...Buffer.from('bound'), 0, 0]),
}

/** A SOCKS5 proxy on loopback that connects to the ports of this machine which `routes` gives for `host:port`, by any name. */
export class SocksServer {
  readonly asked: Asked[] = []
  readonly methods: number[][] = []
  readonly routes = new Map<string, number>()
  connections = 0
  port = 0
  #script: SocksScript
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #watchers: (() => void)[] = []

  constructor(script: SocksScript = {}) {
    this.#script = script
    this.#server = createServer(socket => {
      this.#hold(socket)
      this.connections++
      this.#changed()
      void this.#serve(socket).catch(() => socket.destroy())
    })
  }

  async listen(address = '127.0.0.1', port = 0): Promise<this> {
    await once(this.#server.listen(port, address), 'listening')
    this.port = (this.#server.address() as AddressInfo).port
    return this
  }

  async until(isSo: (server: this) => boolean): Promise<void> {
    while (!isSo(this)) await new Promise<void>(resolve => this.#watchers.push(resolve))
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (this.#server.listening) await new Promise(resolve => this.#server.close(resolve))
  }

  async #serve(socket: Socket): Promise<void> {
    const input = new Input(socket)
    const { login, code = 0, bound = 'ipv4' } = this.#script
    const [, count = 0] = await input.take(2)
    this.methods.push([...(await input.take(count))])
    this.#changed()
    let user = ''
    if (!(await this.#answer(socket, 'method', Buffer.from([5, login === undefined ? 0 : 2])))) return
    if (login !== undefined) {
      const [, userLength = 0] = await input.take(2)
      user = (await input.take(userLength)).toString()
      const [passwordLength = 0] = await input.take(1)
      const isGood = (await input.take(passwordLength)).toString() === login.password && user === login.user
      if (!(await this.#answer(socket, 'login', Buffer.from([1, isGood ? 0 : 1])))) return
    }
    const [, , , type = 0] = await input.take(4)
    const asked: Asked = { ...(await readAddress(input, type)), user, from: socket.remoteAddress ?? '' }
    this.asked.push(asked)
    this.#changed()
    const port = this.routes.get(`${asked.host}:${asked.port}`)
    const target = code === 0 && port !== undefined ? this.#hold(connect(port, '127.0.0.1')) : undefined
    if (target !== undefined) await once(target, 'connect')
    const answer = Buffer.concat([
      Buffer.from([5, code || (target === undefined && this.#script.behind === undefined ? 4 : 0), 0]),
      BOUND[bound],
      Buffer.from(this.#script.behind ?? ''),
    ])
    if (!(await this.#answer(socket, 'reply', answer)) || target === undefined) return
    input.release()
    socket.pipe(target).pipe(socket)
    socket.on('close', () => target.destroy())
    target.on('close', () => socket.destroy())
  }

  async #answer(socket: Socket, answer: Answer, good: Buffer): Promise<boolean> {
    const { silentAt, closesAt, instead = {}, slow } = this.#script
    if (silentAt === answer) return false
    if (closesAt === answer) {
      socket.end()
      return false
    }
    const octets = instead[answer] ?? good
    socket.setNoDelay(true)
    for (const part of slow ? [...octets].map(octet => Buffer.from([octet])) : [octets]) {
      socket.write(part)
      await new Promise(resolve => setImmediate(resolve))
    }
    return instead[answer] === undefined
  }

  #hold(socket: Socket): Socket {
    this.#sockets.add(socket)
    return socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
  }

  #changed(): void {
    for (const watcher of this.#watchers.splice(0)) watcher()
  }
}

async function readAddress(input: Input, type: number): Promise<Pick<Asked, 'type' | 'host' | 'port'>> {
  const length = type === 1 ? 4 : type === 4 ? 16 : ((await input.take(1))[0] ?? 0)
  const octets = await input.take(length)
  const port = (await input.take(2)).readUInt16BE()
  if (type === 1) return { type: 'ipv4', host: [...octets].join('.'), port }
  return type === 4 ? { type: 'ipv6', host: octets.toString('hex'), port } : { type: 'name', host: `${octets}`, port }
}

/** The octets of a socket in portions. */
class Input {
  readonly #socket: Socket
  #bytes: Buffer = Buffer.alloc(0)
  #wake: () => void = () => {}
  #isOver = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', this.#onData)
    socket.on('close', () => {
      this.#isOver = true
      this.#wake()
    })
  }

  async take(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      if (this.#isOver) throw new Error('the client is gone')
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    const taken = this.#bytes.subarray(0, length)
    this.#bytes = this.#bytes.subarray(length)
    return taken
  }

  release(): void {
    this.#socket.off('data', this.#onData)
    if (this.#bytes.length > 0) this.#socket.unshift(this.#bytes)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    this.#wake()
  }
}
