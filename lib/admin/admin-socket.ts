import { lstat, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { AdminProblem } from '../base/admin-problem.js'
import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import { readBody } from './read-body.js'

/** What a handler is given. */
export interface AdminCall {
  /** Parts of the path that stand for `:name` in the route, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The body as JSON; undefined when there was none. */
  readonly body: unknown
}

/** Answers with a JSON value (or nothing); throws `AdminRefusal` to refuse. */
export type AdminHandler = (call: AdminCall) => unknown

/** `{ 'GET /sessions': …, 'DELETE /sessions/:id': … }` */
export type AdminRoutes = Readonly<Record<string, AdminHandler>>

/** A handler's plain no, with an HTTP status (400 – 599) and a text for the person who asked. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface AdminSocketOptions {
  readonly path: string
  readonly routes: AdminRoutes
  /** Routes whose bodies may be long. */
  readonly longBodies?: readonly string[]
  readonly log: Log
  readonly clock: Clock
}

/** Largest request body. */
const MOST_BYTES = 65_536
/** Largest body of a route that takes long ones. */
const MOST_LONG_BYTES = 8 * 1_048_576
/** A handler that takes longer is answered for. */
const HANDLER_MS = 30_000
/** How long a connected program may take to ask. */
const REQUEST_MS = 10_000
/** How long to wait for the owner of a socket that is there already. */
const PROBE_MS = 2_000
/** The kernel's room for the path of a socket (104 on BSD and macOS, 108 on Linux) without its end mark. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103
/** Programs that may be connected at once. */
const MOST_CONNECTIONS = 50

/** HTTP with JSON over a Unix socket that only its owner may open. */
export class AdminSocket {
  readonly #options: AdminSocketOptions
  readonly #server: Server
  #isOpen = false

  constructor(options: AdminSocketOptions) {
    this.#options = options
    this.#server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
      void this.#answer(request, response)
    })
    this.#server.maxConnections = MOST_CONNECTIONS
  }

  /** Opens the socket. Rejects when another service answers there, or when the path cannot be used. */
  async open(): Promise<void> {
    const { path } = this.#options
    if (Buffer.byteLength(path) > LONGEST_PATH) {
      throw new AdminProblem(
        `the path of the admin socket is longer than ${LONGEST_PATH} bytes, choose a shorter data.directory: ${path}`,
      )
    }
    await this.#removeStale(path)
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      // The socket must never be open to others, not even for a moment: the mask is set while it is made, which happens before `listen` returns.
      const mask = process.umask(0o177)
      try {
        this.#server.listen(path, () => {
          this.#server.off('error', reject)
          resolve()
        })
      } finally {
        process.umask(mask)
      }
    })
    this.#server.on('error', error => this.#options.log.error('admin-socket-failed', { error }))
    this.#isOpen = true
  }

  /** Ends all connections and removes the socket. */
  async close(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  /** A service that was killed leaves its socket behind; one that answers keeps it. */
  async #removeStale(path: string): Promise<void> {
    const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (!found) return
    if (!found.isSocket()) throw new AdminProblem(`${path} is in the way of the admin socket and is no socket`)
    if (await isAnswered(path, this.#options.clock))
      throw new AdminProblem(`another service runs with this data directory, it answers at ${path}`)
    await unlink(path)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { log } = this.#options
    try {
      const url = new URL(request.url ?? '/', 'http://admin')
      const { route, handler, params } = this.#find(request.method ?? 'GET', url.pathname)
      const isLong = this.#options.longBodies?.includes(route) === true
      const body = await readJson(request, isLong ? MOST_LONG_BYTES : MOST_BYTES)
      const result = await this.#withDeadline(async () => handler({ params, query: url.searchParams, body }))
      send(response, 200, result ?? null)
    } catch (error) {
      if (error instanceof AdminRefusal) {
        send(response, error.status, { error: error.message })
        return
      }
      log.error('admin-request-failed', { method: request.method, url: request.url, error })
      send(response, 500, { error: 'internal error, see the log of the service' })
    }
  }

  #find(
    method: string,
    pathname: string,
  ): { readonly route: string; readonly handler: AdminHandler; readonly params: Record<string, string> } {
    let isPathKnown = false
    for (const [route, handler] of Object.entries(this.#options.routes)) {
      const [routeMethod, pattern = ''] = route.split(' ')
      const params = matchPath(pattern, pathname)
      if (!params) continue
      if (routeMethod === method) return { route, handler, params }
      isPathKnown = true
    }
    throw isPathKnown ? new AdminRefusal(405, `${method} is not possible here`) : new AdminRefusal(404, 'no such thing')
  }

  #withDeadline(action: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const cancel = this.#options.clock.after(HANDLER_MS, () =>
        reject(new AdminRefusal(504, `no result within ${HANDLER_MS / 1000} s; it may still come about`)),
      )
      action().then(resolve, reject).finally(cancel)
    })
  }
}

function matchPath(pattern: string, pathname: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = pathname.split('/')
  if (wanted.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const text = given[index] ?? ''
    if (part.startsWith(':')) params[part.slice(1)] = decoded(text)
    else if (part !== text) return undefined
  }
  return params
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new AdminRefusal(400, 'the path is not percent-encoded UTF-8')
  }
}

async function readJson(request: IncomingMessage, mostBytes: number): Promise<unknown> {
  const text = await readBody(request, mostBytes)
  if (text === undefined) throw new AdminRefusal(413, `the body is longer than ${mostBytes} bytes`)
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new AdminRefusal(400, 'the body is not JSON')
  }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent || response.destroyed) return
  const body = Buffer.from(`${JSON.stringify(value)}\n`)
  // An unread rest of a too large body must not be taken for the next request.
  const connection = response.req.complete ? 'keep-alive' : 'close'
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, connection })
    .end(body)
}

function isAnswered(path: string, clock: Clock): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const finish = (settle: () => void): void => {
      cancel()
      socket.destroy()
      settle()
    }
    // One that neither takes the connection nor refuses it is somebody, if a busy one.
    const cancel = clock.after(PROBE_MS, () => finish(() => resolve(true)))
    socket.once('connect', () => finish(() => resolve(true)))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      finish(() => (error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? resolve(false) : reject(error)))
    })
  })
}
