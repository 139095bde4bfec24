import { isIP } from 'node:net'
import { foldName, isAskable } from './dns-record.js'

/** How a candidate is spoken to: STARTTLS on a plain socket, or TLS at once (XEP-0368). */
export type Transport = 'starttls' | 'tls'

/** A place that replaces what the DNS says of a domain. */
export interface StaticRoute {
  /** An A-label name in lower case, or an address. */
  readonly host: string
  readonly port: number
  readonly transport: Transport
}

const ROUTE = /^(?:\[([^\]]+)\]|([^:;[\]]+)):(\d{1,5})(?:;(starttls|tls))?$/

/** Reads `host:port[;transport]`, an IPv6 address in brackets, transport `starttls` unless named; undefined when malformed. */
export function readRoute(text: string): StaticRoute | undefined {
  const [, bracketed, plain, portText, transport] = ROUTE.exec(text.trim()) ?? []
  const host = foldName(bracketed ?? plain ?? '')
  const port = Number(portText)
  const isHost = bracketed === undefined ? isIP(host) === 4 || isAskable(host) : isIP(host) === 6
  if (!isHost || port < 1 || port > 65535) return undefined
  return { host, port, transport: transport === 'tls' ? 'tls' : 'starttls' }
}

/** Static routes by pattern. */
export class DnsOverrides {
  readonly #routes: ReadonlyMap<string, StaticRoute>

  constructor(routes: Iterable<readonly [pattern: string, route: StaticRoute]>) {
    this.#routes = new Map(Array.from(routes, ([pattern, route]) => [foldName(pattern), route]))
  }

  /** The route of an A-label domain: by its name, else by the longest `*.suffix` it is below, else by `*`. */
  find(domain: string): StaticRoute | undefined {
    const name = foldName(domain)
    const exact = this.#routes.get(name)
    if (exact !== undefined) return exact
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const route = this.#routes.get(`*${name.slice(dot)}`)
      if (route !== undefined) return route
    }
    return this.#routes.get('*')
  }
}
