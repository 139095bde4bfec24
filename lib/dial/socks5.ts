import { isIP, type Socket } from 'node:net'
import type { TcpDetail } from './dial-error.js'
import type { SocksProxy } from './proxy.js'

/** The proxy did not connect us. The text goes on after "the proxy"; it is for our admin. */
export class SocksError extends Error {
  readonly detail: TcpDetail

  constructor(detail: TcpDetail, text: string) {
    super(text)
    this.name = 'SocksError'
    this.detail = detail
  }
}

const VERSION = 5
const LOGIN_VERSION = 1
const CONNECT = 1

const NO_LOGIN = 0
const USER_AND_PASSWORD = 2
const NO_METHOD = 0xff

const IPV4 = 1
const NAME = 3
const IPV6 = 4

/** RFC 1928 §6, "REP"; from 0xF0 to 0xF7 what Tor says of onion services. */
const REPLIES: Readonly<Record<number, readonly [TcpDetail, string]>> = {
  1: ['unreachable', 'had a general failure'],
  2: ['proxy-refused', 'does not allow this connection by its rules'],
  3: ['unreachable', 'found the network unreachable'],
  4: ['unreachable', 'found the host unreachable'],
  5: ['refused', 'was refused the connection'],
  6: ['timeout', 'let the time to live expire'],
  7: ['proxy-refused', 'does not know the command CONNECT'],
  8: ['proxy-refused', 'does not know this type of address'],
}
const FIRST_OF_TOR = 0xf0
const LAST_OF_TOR = 0xf7

/**
 * Has the proxy at the other end of a connected socket connect it to a host, a name or an address (RFC 1928, RFC 1929);
 * names are resolved there. `onAccepted` is called when the proxy has let us in and will speak of the host from then on.
 * Afterwards the socket is paused, and what the host has said already can be read from it. Has no deadline: the owner of
 * the socket destroys it, and hears its errors. Rejects with a `SocksError`.
 */
export async function connectThrough(
  socket: Socket,
  proxy: SocksProxy,
  host: string,
  port: number,
  onAccepted: () => void,
): Promise<void> {
  const answers = new Answers(socket)
  try {
    await logIn(socket, answers, proxy)
    onAccepted()
    socket.write(Buffer.from([VERSION, CONNECT, 0, ...addressOctets(host), port >> 8, port & 0xff]))
    await readReply(answers)
  } finally {
    answers.release()
  }
}

async function logIn(socket: Socket, answers: Answers, { login }: SocksProxy): Promise<void> {
  const methods = login === undefined ? [NO_LOGIN] : [USER_AND_PASSWORD, NO_LOGIN]
  socket.write(Buffer.from([VERSION, methods.length, ...methods]))
  const [version, method = NO_METHOD] = await answers.take(2)
  if (version !== VERSION) throw new SocksError('proxy-refused', 'does not speak SOCKS5')
  if (method === NO_LOGIN) return
  if (method !== USER_AND_PASSWORD || login === undefined) {
    const offered = login === undefined ? 'wants a login' : 'takes neither user and password nor nobody'
    throw new SocksError('proxy-refused', offered)
  }
  const user = Buffer.from(login.user)
  const password = Buffer.from(login.password)
  socket.write(Buffer.from([LOGIN_VERSION, user.length, ...user, password.length, ...password]))
  const [, status] = await answers.take(2)
  if (status !== 0) throw new SocksError('proxy-refused', 'does not accept user and password')
}

async function readReply(answers: Answers): Promise<void> {
  const [version, code = 0, , type = 0] = await answers.take(4)
  if (version !== VERSION) throw new SocksError('proxy-refused', 'does not speak SOCKS5')
  if (code !== 0) throw new SocksError(...replyMeaning(code))
  const octets = type === IPV4 ? 4 : type === IPV6 ? 16 : type === NAME ? (await answers.take(1))[0] : undefined
  if (octets === undefined) throw new SocksError('proxy-refused', 'does not speak SOCKS5')
  await answers.take(octets + 2)
}

function replyMeaning(code: number): readonly [TcpDetail, string] {
  const isFromTor = code >= FIRST_OF_TOR && code <= LAST_OF_TOR
  const other = `gave the reply ${code}`
  return REPLIES[code] ?? (isFromTor ? ['unreachable', `${other}: the onion service`] : ['proxy-refused', other])
}

function addressOctets(host: string): readonly number[] {
  const family = isIP(host)
  if (family === 4) return [IPV4, ...host.split('.').map(Number)]
  return family === 6 ? [IPV6, ...ipv6Octets(host)] : [NAME, host.length, ...Buffer.from(host, 'latin1')]
}

/** The URL parser leaves hexadecimal groups and at most one `::` (RFC 5952 §4). A zone means nothing to another host. */
function ipv6Octets(address: string): readonly number[] {
  const [head = '', tail] = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1).split('::')
  const first = groups(head)
  const last = groups(tail ?? '')
  const zeros = new Array<number>(8 - first.length - last.length).fill(0)
  return [...first, ...zeros, ...last].flatMap(group => [group >> 8, group & 0xff])
}

function groups(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16))
}

/** What the proxy says, octet by octet. Holds no more than one chunk beyond what is being waited for. */
class Answers {
  readonly #socket: Socket
  #bytes: Buffer = Buffer.alloc(0)
  #isOver = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd)
  }

  /** The next octets, exactly so many. */
  async take(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      if (this.#isOver) throw new SocksError('reset', 'closed the connection instead of an answer')
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    const taken = this.#bytes.subarray(0, length)
    this.#bytes = this.#bytes.subarray(length)
    return taken
  }

  /** Gives the socket back with whatever was not taken. */
  release(): void {
    this.#socket.pause()
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd)
    if (this.#bytes.length > 0 && !this.#isOver) this.#socket.unshift(this.#bytes)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    this.#wake()
  }

  readonly #onEnd = (): void => {
    this.#isOver = true
    this.#wake()
  }
}
