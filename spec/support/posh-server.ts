import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { Credentials, Fixture, TestAuthority } from './authority.js'

/** Where a domain publishes the certificates of its XMPP server (RFC 7711 §3). */
export const POSH_PATH = '/.well-known/posh/xmpp-server.json'

type Page = string | Buffer | object | ((request: IncomingMessage, response: ServerResponse) => void)

/** A real HTTPS server on loopback for any number of hosts: what they answer is said in `pages`, by host and path. */
export class PoshServer {
  /** Looked at for each request: `HOST/PATH`. Texts and bytes are sent as they are, objects as JSON; nothing there is 404. */
  readonly pages: Record<string, Page> = {}
  /** What certificate a host shows when it is not a good one. */
  readonly shown: Record<string, Fixture | Credentials> = {}
  /** The requests that came, `HOST/PATH`. */
  readonly asked: string[] = []
  readonly #server: Server
  #watchers: (() => void)[] = []

  constructor(authority: TestAuthority) {
    const { cert, key } = authority.issue('nobody.example')
    this.#server = createServer(
      {
        cert,
        key,
        SNICallback: (name, done) => {
          const shown = this.shown[name] ?? 'both'
          done(null, createSecureContext(typeof shown === 'string' ? authority.issue(name, shown) : shown))
        },
      },
      (request, response) => this.#answer(request, response),
    )
    this.#server.on('tlsClientError', () => {})
  }

  async listen(address = '127.0.0.1'): Promise<number> {
    await new Promise<void>(resolve => this.#server.listen(0, address, resolve))
    return this.port
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }

  /** Waits until `count` requests have come in all. */
  async askedTimes(count: number): Promise<void> {
    while (this.asked.length < count) await new Promise<void>(resolve => this.#watchers.push(resolve))
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const place = `${request.headers.host?.replace(/:\d+$/, '')}${request.url}`
    this.asked.push(place)
    const page = this.pages[place]
    if (typeof page === 'function') page(request, response)
    else if (page === undefined) response.writeHead(404).end()
    else response.end(typeof page === 'string' || Buffer.isBuffer(page) ? page : JSON.stringify(page))
    for (const watcher of this.#watchers.splice(0)) watcher()
  }
}

/** A page that sends elsewhere. */
export const redirect =
  (location: string, status = 302): Page =>
  (_request, response) => {
    response.writeHead(status, { location }).end()
  }

/** The document that lists these certificates, DER. */
export function poshDocument(certificates: readonly Buffer[], expires = 86_400, hashes = ['sha256', 'sha512']): object {
  const fingerprints = certificates.map(der =>
    Object.fromEntries(
      hashes.map(hash => [hash.replace('sha', 'sha-'), createHash(hash).update(der).digest('base64')]),
    ),
  )
  return { fingerprints, expires }
}
