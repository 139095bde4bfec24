import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.js'
import type { Trace } from '../base/trace.js'
import { type Candidates, findCandidates } from '../dial/candidates.js'
import { DialError } from '../dial/dial-error.js'
import type { DialSettings, DialTarget } from '../dial/dial-target.js'
import { dial } from '../dial/dialer.js'
import type { DnsOverrides, Transport } from '../dial/dns-override.js'
import { proxyPlace, type SocksProxy } from '../dial/proxy.js'
import type { Resolver } from '../dial/resolver.js'
import type { Rules } from '../negotiation/rules.js'
import { domainToAscii, isOnionName } from '../stanza/domain.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import { StreamEnd } from '../stream/end-reason.js'
import type { TransportAddresses } from '../stream/transport.js'

/** One attempt's way to a remote server. */
export interface ConnectRequest<T> {
  readonly pair: DomainPair
  readonly rules: Rules
  readonly trace: Trace
  readonly signal: AbortSignal
  /** Whether the domain has proven itself lately; a domain that never has may simply have no XMPP server. */
  readonly provenLately: boolean
  /** Most addresses that are dialed, where fewer are to be than usual. */
  readonly mostAddresses?: number
  /** Makes a connected socket usable, spoken to as `transport` says, or rejects with a StreamEnd. */
  open(
    socket: Duplex,
    addresses: TransportAddresses,
    signal: AbortSignal,
    transport: Transport,
    target?: DialTarget,
  ): Promise<T>
}

/** Finds and reaches the server of a domain; rejects with a StreamEnd, or with the signal's reason. */
export type Connect = <T>(request: ConnectRequest<T>) => Promise<T>

/** What an attempt over the real network follows; read when it is needed. */
export interface NetworkSettings extends DialSettings {
  /** `xmpp.server.socket.remotePort` */
  readonly remotePort: number
  /** `xmpp.server.proxy`: what every attempt that starts from now on goes through. */
  readonly proxy?: SocksProxy | undefined
}

export interface NetworkOptions {
  readonly resolver: Resolver
  readonly settings: NetworkSettings
  readonly clock: Clock
  readonly overrides: () => DnsOverrides | undefined
  /** Our own listeners: dialing them would be a loop. */
  readonly isOwnListener: (address: string, port: number) => boolean
  readonly random?: () => number
}

/** Ends before proof that say more of one machine than of the domain: the next candidate is tried. */
const GIVES_WAY: ReadonlySet<string> = new Set([
  'system-shutdown',
  'resource-constraint',
  'internal-server-error',
  'connection-timeout',
  'reset',
  'closed',
])

/** Why a socket was not connected that says nothing of whether somebody is there. */
const OUR_DECISION: ReadonlySet<string> = new Set(['forbidden-target', 'proxy-refused'])

/** Whether an end met while a stream is being opened holds for every machine of the domain. */
export function endsTheAttempt(error: unknown): boolean {
  if (!(error instanceof StreamEnd)) return false
  const { kind, detail } = error.reason
  return kind === 'certificate' || (kind === 'stream' && !GIVES_WAY.has(detail))
}

/** The real network: DNS, then Happy Eyeballs, through a proxy where one is set. */
export function networkConnect({
  resolver,
  settings,
  clock,
  overrides,
  isOwnListener,
  random = Math.random,
}: NetworkOptions): Connect {
  return async ({ pair, rules, trace, signal, provenLately, mostAddresses, open }) => {
    const startedAt = clock.now()
    const dnsOverrides = overrides()
    const { proxy } = settings
    const name = domainToAscii(pair.remote)
    if (proxy === undefined && isOnionName(dnsOverrides?.find(name)?.host ?? name))
      throw new StreamEnd('address', 'onion-without-proxy', 'xmpp.server.proxy is not set')
    if (proxy !== undefined) trace.note('proxy', { proxy: proxyPlace(proxy) })
    const found = await findCandidates(name, {
      resolver,
      remotePort: settings.remotePort,
      ...(dnsOverrides && { overrides: dnsOverrides }),
      directTls: rules.tls !== 'disabled',
      plainOnly: rules.tls === 'disabled',
      throughProxy: proxy !== undefined,
      timeoutMs: settings.resolutionTimeoutMs,
      clock,
      signal,
      trace,
      random,
    })
    if (found.kind === 'end') throw dnsEnd(found)
    trace.note('candidates', { source: found.source, groups: found.groups })
    try {
      const { value } = await dial({
        groups: found.groups,
        resolver,
        settings,
        clock,
        signal,
        trace,
        proxy,
        startedAt,
        ...(mostAddresses !== undefined && { mostAddresses }),
        open: (socket, target, raceSignal) =>
          open(
            socket,
            {
              remoteAddress: target.address,
              remotePort: target.port,
              ...(socket.localAddress !== undefined && { localAddress: socket.localAddress }),
              ...(socket.localPort !== undefined && { localPort: socket.localPort }),
            },
            raceSignal,
            target.candidate.transport,
            target,
          ),
        isFinal: endsTheAttempt,
        forbidden: isOwnListener,
      })
      return value
    } catch (error) {
      if (!(error instanceof DialError)) throw error
      const { failure } = error
      if (failure.kind === 'open') throw failure.cause instanceof Error ? failure.cause : error
      const isOurs = failure.kind === 'tcp' && failure.isOurs === true
      const isTheirs = failure.kind === 'tcp' && !isOurs && !OUR_DECISION.has(failure.detail)
      const nobodyThere = isTheirs && found.fallback && !provenLately
      const detail = nobodyThere ? 'no-server' : failure.detail
      throw new StreamEnd(failure.kind, detail, whereItFailed(error), error, isOurs ? 'our admin' : undefined)
    }
  }
}

/** No candidates, with a hint when it is our own way to the DNS that is broken. */
function dnsEnd({ detail, cause }: Extract<Candidates, { kind: 'end' }>): StreamEnd {
  if (cause === 'unreachable' || cause === 'refused') {
    return new StreamEnd('dns', 'unreachable', `${cause}: no name server could be asked, see dns.servers`)
  }
  if (cause === 'timeout') {
    return new StreamEnd('dns', detail, 'no name server answered in time; when every domain fails so, see dns.servers')
  }
  return new StreamEnd('dns', detail, cause)
}

/** The failure and the address it was met at, for our admin only. */
function whereItFailed({ failure, target }: DialError): string {
  if (target === undefined) return failure.text
  const source = target.candidate.isConfigured ? ', from dns.override' : ''
  return `${failure.text}: ${target.address} port ${target.port}${source}`
}
