import { isIP } from 'node:net'
import { foldName, isAskable } from './dns-record.js'

/** A SOCKS5 proxy (RFC 1928) that outgoing connections go through. */
export interface SocksProxy {
  /** A name or an address. */
  readonly host: string
  readonly port: number
  /** For RFC 1929; both have 1 to 255 octets. The password is a secret. */
  readonly login: { readonly user: string; readonly password: string } | undefined
}

const PROXY = /^socks5:\/\/(?:([^:@/?#[\]\s]+):([^@/?#[\]\s]+)@)?(?:\[([^[\]%]+)\]|([^:@/?#[\]\s]+)):(\d{1,5})\/?$/i

/** RFC 1929 §2: what the length octet of user and password can say. */
const MOST_OCTETS = 255

/** Reads `socks5://[user:password@]host:port`, an IPv6 address in brackets, user and password percent-encoded; undefined when malformed. */
export function readProxy(text: string): SocksProxy | undefined {
  const [, userText, passwordText, bracketed, plain, portText] = PROXY.exec(text) ?? []
  const host = foldName(bracketed ?? plain ?? '')
  const port = Number(portText)
  const isHost = bracketed === undefined ? isIP(host) === 4 || isAskable(host) : isIP(host) === 6
  if (!isHost || port < 1 || port > 65_535) return undefined
  if (userText === undefined || passwordText === undefined) return { host, port, login: undefined }
  const user = percentDecoded(userText)
  const password = percentDecoded(passwordText)
  return user === undefined || password === undefined ? undefined : { host, port, login: { user, password } }
}

/** The proxy for people: its place, never who logs in there. */
export function proxyPlace({ host, port }: SocksProxy): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** The URL for people: with `[redacted]` for the password. */
export function proxyWithoutPassword(text: string): string {
  const proxy = readProxy(text)
  if (proxy?.login === undefined) return text
  return `socks5://${encodeURIComponent(proxy.login.user)}:[redacted]@${proxyPlace(proxy)}`
}

function percentDecoded(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text)
    return Buffer.byteLength(decoded) <= MOST_OCTETS ? decoded : undefined
  } catch {
    return undefined
  }
}
