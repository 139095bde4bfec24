import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.js'
import type { Trace } from '../base/trace.js'
import { findCandidates } from '../dial/candidates.js'
import { DialError } from '../dial/dial-error.js'
import type { DialSettings } from '../dial/dial-target.js'
import { dial } from '../dial/dialer.js'
import type { DnsOverrides } from '../dial/dns-override.js'
import type { Resolver } from '../dial/resolver.js'
import type { Rules } from '../negotiation/rules.js'
import { domainToAscii } from '../stanza/domain.js'
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
  /** Makes a connected socket usable, or rejects with a StreamEnd. */
  open(socket: Duplex, addresses: TransportAddresses, signal: AbortSignal): Promise<T>
}

/** Finds and reaches the server of a domain; rejects with a StreamEnd, or with the signal's reason. */
export type Connect = <T>(request: ConnectRequest<T>) => Promise<T>

export interface NetworkOptions {
  readonly resolver: Resolver
  readonly settings: DialSettings & { readonly remotePort: number }
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

/** Whether an end met while a stream is being opened holds for every machine of the domain. */
export function endsTheAttempt(error: unknown): boolean {
  return error instanceof StreamEnd && error.reason.kind === 'stream' && !GIVES_WAY.has(error.reason.detail)
}

/** The real network: DNS, then Happy Eyeballs. */
export function networkConnect({
  resolver,
  settings,
  clock,
  overrides,
  isOwnListener,
  random = Math.random,
}: NetworkOptions): Connect {
  return async ({ pair, rules, trace, signal, provenLately, open }) => {
    const startedAt = clock.now()
    const dnsOverrides = overrides()
    const found = await findCandidates(domainToAscii(pair.remote), {
      resolver,
      remotePort: settings.remotePort,
      ...(dnsOverrides && { overrides: dnsOverrides }),
      directTls: false,
      plainOnly: rules.tls === 'disabled',
      timeoutMs: settings.resolutionTimeoutMs,
      clock,
      signal,
      trace,
      random,
    })
    if (found.kind === 'end') throw new StreamEnd('dns', found.detail, found.cause)
    trace.note('candidates', { source: found.source, groups: found.groups })
    try {
      const { value } = await dial({
        groups: found.groups,
        resolver,
        settings,
        clock,
        signal,
        trace,
        startedAt,
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
          ),
        isFinal: endsTheAttempt,
        forbidden: isOwnListener,
      })
      return value
    } catch (error) {
      if (!(error instanceof DialError)) throw error
      const { failure } = error
      if (failure.kind === 'open') throw failure.cause instanceof Error ? failure.cause : error
      const nobodyThere =
        failure.kind === 'tcp' && failure.detail !== 'forbidden-target' && found.fallback && !provenLately
      throw new StreamEnd(failure.kind, nobodyThere ? 'no-server' : failure.detail, failure.text, error)
    }
  }
}
