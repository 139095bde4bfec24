import { type IncomingMessage, request } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.js'
import { Deadline } from '../../base/deadline.js'
import { Trace } from '../../base/trace.js'
import type { Candidate } from '../../dial/candidates.js'
import { type DialOptions, dial } from '../../dial/dialer.js'
import { foldName, isAskable } from '../../dial/dns-record.js'
import type { Resolver } from '../../dial/resolver.js'
import { peerChain } from './peer-chain.js'
import { type PoshFingerprint, readPoshDocument } from './posh-document.js'
import type { CertificateJudge } from './verdict.js'

/** Milliseconds for everything: names, connections, redirects, the document. */
const MOST_MS = 5000
const MOST_REDIRECTS = 3
const MOST_BYTES = 16 * 1024
const HTTPS_PORT = 443
const PATH = '/.well-known/posh/xmpp-server.json'
/** Addresses of one web server that are tried: the name may be a stranger's. */
const MOST_ADDRESSES = 4
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308]

/** How the web server of a domain is dialed; the rules about forbidden targets are the dialer's. */
export type PoshDialing = Omit<
  DialOptions<unknown>,
  'groups' | 'resolver' | 'clock' | 'signal' | 'trace' | 'startedAt' | 'open' | 'isFinal'
>

export interface PoshFetchOptions {
  /** The web server has to verify by PKIX: the anchors are those of this judge. */
  readonly judge: CertificateJudge
  readonly resolver: Resolver
  readonly clock: Clock
  /** Looked at for each connection made for an A-label domain. */
  readonly dialing: (domain: string) => PoshDialing
  /** Where the web server of a domain listens; 443 unless given. */
  readonly port?: number
}

/** The fingerprints a domain publishes, and for how many seconds they count. */
export interface PoshPublication {
  readonly fingerprints: readonly PoshFingerprint[]
  readonly expiresSeconds: number
}

/** There is no document that counts. The text is for our admin. */
export class PoshError extends Error {
  override name = 'PoshError'
}

/**
 * Gets `https://DOMAIN/.well-known/posh/xmpp-server.json` (RFC 7711 §3) over connections that go only where stanzas may go and that
 * verify by our own rules before anything is asked. Follows at most 3 redirects and one reference, all by HTTPS.
 * At most 16 KiB, at most 5 s. Rejects with the reason of `signal` when that aborts, otherwise with what went wrong.
 */
export async function fetchPosh(
  domain: string,
  options: PoshFetchOptions,
  signal: AbortSignal,
): Promise<PoshPublication> {
  const limit = new Deadline(options.clock, MOST_MS, () => new PoshError('the time is up'), signal)
  try {
    return await follow(domain, options, limit.signal)
  } catch (error) {
    throw limit.signal.aborted ? limit.signal.reason : error
  } finally {
    limit.done()
  }
}

async function follow(domain: string, options: PoshFetchOptions, signal: AbortSignal): Promise<PoshPublication> {
  let url = readUrl(`https://${domain}:${options.port ?? HTTPS_PORT}${PATH}`)
  let expiresSeconds = Number.POSITIVE_INFINITY
  let redirects = 0
  for (;;) {
    const reply = await get(url, domain, options, signal)
    if ('location' in reply) {
      if (++redirects > MOST_REDIRECTS) throw new PoshError('redirected too often')
      url = readUrl(reply.location, url)
      continue
    }
    const found = readPoshDocument(reply.body)
    if (found === undefined) throw new PoshError(`${url.href} is no POSH document`)
    const isReferred = expiresSeconds !== Number.POSITIVE_INFINITY
    expiresSeconds = Math.min(expiresSeconds, found.expiresSeconds)
    if ('fingerprints' in found) return { fingerprints: found.fingerprints, expiresSeconds }
    if (isReferred) throw new PoshError('one reference leads to another')
    url = readUrl(found.url)
  }
}

function readUrl(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base?.href) : undefined
  const host = foldName(url?.hostname ?? '')
  const isGood = url?.protocol === 'https:' && url.username + url.password === ''
  if (!isGood || !isAskable(host) || isIP(host) !== 0) throw new PoshError(`no usable address: ${text.slice(0, 200)}`)
  return url
}

type Reply = { readonly location: string } | { readonly body: Buffer }

async function get(url: URL, domain: string, options: PoshFetchOptions, signal: AbortSignal): Promise<Reply> {
  const { judge, resolver, clock, dialing } = options
  const host = foldName(url.hostname)
  const candidate: Candidate = {
    host,
    port: url.port === '' ? HTTPS_PORT : Number(url.port),
    transport: 'tls',
    priority: 0,
    weight: 0,
    dnssec: 'insecure',
    isConfigured: false,
  }
  const { value: socket } = await dial({
    ...dialing(domain),
    groups: [[candidate]],
    resolver,
    clock,
    signal,
    trace: new Trace(clock),
    mostAddresses: MOST_ADDRESSES,
    open: (plain, _target, lost) => secured(plain, host, judge, lost),
  })
  try {
    return await ask(socket, url, signal)
  } finally {
    socket.destroy()
  }
}

/** TLS over `plain`, once the chain was judged; the name has to be one that web servers have (RFC 9110 §4.3.4). */
function secured(plain: Socket, host: string, judge: CertificateJudge, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: plain,
      servername: host,
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      // Our own judgement is the only one that counts.
      rejectUnauthorized: false,
    })
    const end = (error: unknown): void => {
      socket.destroy()
      reject(error)
    }
    const abort = (): void => end(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    socket.on('error', end)
    socket.on('close', () => {
      signal.removeEventListener('abort', abort)
      end(new PoshError(`${host} closed the connection`))
    })
    socket.once('secureConnect', () => {
      const { verified, defects, leaf, matchedName = '' } = judge.judge(peerChain(socket), host)
      if (verified && leaf?.dnsNames.includes(matchedName)) return resolve(socket)
      const texts = verified ? [`is not for the web server ${host}`] : defects.map(({ text }) => text)
      end(new PoshError(`the certificate of ${host} ${texts.join('; ')}`))
    })
  })
}

function ask(socket: TLSSocket, url: URL, signal: AbortSignal): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({
      createConnection: () => socket,
      host: url.hostname,
      path: url.pathname + url.search,
      headers: { host: url.host, accept: 'application/json', 'accept-encoding': 'identity', connection: 'close' },
      signal,
    })
    asked.on('error', reject)
    asked.on('response', response => {
      const { statusCode = 0, headers } = response
      if (REDIRECTS.includes(statusCode) && headers.location !== undefined)
        return resolve({ location: headers.location })
      if (statusCode !== 200) return reject(new PoshError(`${url.href} answered ${statusCode}`))
      if (headers['content-encoding'] !== undefined) return reject(new PoshError(`${url.href} came compressed`))
      readBody(response, url).then(body => resolve({ body }), reject)
    })
    asked.end()
  })
}

async function readBody(response: IncomingMessage, url: URL): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MOST_BYTES) throw new PoshError(`${url.href} is longer than ${MOST_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
