import { isIPv4, isIPv6 } from 'node:net'
import type { Trace } from '../base/trace.js'
import { type Candidate, type Candidates, findCandidates } from '../dial/candidates.js'
import type { DialTarget } from '../dial/dial-target.js'
import type { Rules } from '../negotiation/rules.js'
import { domainToAscii } from '../stanza/domain.js'
import type { NetworkOptions } from './connect.js'

/** Asks where a domain's own DNS answer leads, seen from an address and port that somebody is connected to already. */
export interface LeadsToRequest {
  /** Canonical. */
  readonly domain: string
  readonly rules: Rules
  /** As it was dialed: an address, or behind a proxy a name. */
  readonly address: string
  readonly port: number
  readonly trace: Trace
  readonly signal: AbortSignal
}

/**
 * `signed elsewhere`: validated DNS, or our own configuration, names other places; `nowhere`: the domain has no place in DNS; `unknown`: the
 * DNS would not say.
 */
export type Place = 'there' | 'elsewhere' | 'signed elsewhere' | 'nowhere' | 'unknown'

export interface Whereabouts {
  readonly place: Place
  /** The place as the answer names it, where it is `there`. */
  readonly target?: DialTarget
}

/** Rejects only with the signal's reason. */
export type LeadsTo = (request: LeadsToRequest) => Promise<Whereabouts>

/** Hosts that are looked up for one question. */
const MOST_HOSTS = 4

/** By the records that an attempt would follow (RFC 6120 §3.2). */
export function networkLeadsTo({
  resolver,
  settings,
  clock,
  overrides,
  random = Math.random,
}: NetworkOptions): LeadsTo {
  return async ({ domain, rules, address, port, trace, signal }) => {
    const dnsOverrides = overrides()
    const throughProxy = settings.proxy !== undefined
    const found = await findCandidates(domainToAscii(domain), {
      resolver,
      remotePort: settings.remotePort,
      ...(dnsOverrides && { overrides: dnsOverrides }),
      directTls: rules.tls !== 'disabled',
      plainOnly: rules.tls === 'disabled',
      throughProxy,
      timeoutMs: settings.resolutionTimeoutMs,
      clock,
      signal,
      trace,
      random,
    })
    if (found.kind === 'end') return { place: SAYS_SO.has(found.detail) ? 'nowhere' : 'unknown' }
    const candidates = found.groups.flat()
    const atPort = candidates.filter(candidate => candidate.port === port)
    const named = atPort.find(({ host }) => host === address)
    if (named !== undefined) return there(named, address, named.dnssec)
    let isKnown = true
    for (const candidate of throughProxy ? [] : atPort.slice(0, MOST_HOSTS)) {
      const type = isIPv6(address) ? 'AAAA' : 'A'
      trace.waitFor(`DNS: ${type} ${candidate.host}`)
      const answer = await resolver.query(candidate.host, type, signal)
      if (answer.kind === 'failure') isKnown = false
      else if (answer.kind === 'records' && answer.records.some(record => record.address === address)) {
        return there(candidate, address, candidate.dnssec === 'secure' ? answer.dnssec : candidate.dnssec)
      }
    }
    if (!isKnown) return { place: 'unknown' }
    return { place: candidates.some(({ dnssec }) => dnssec === 'secure') ? 'signed elsewhere' : 'elsewhere' }
  }
}

/** Ends of the search that are the domain's own word. */
const SAYS_SO: ReadonlySet<Extract<Candidates, { kind: 'end' }>['detail']> = new Set([
  'no-such-domain',
  'no-address',
  'no-service',
])

function there(candidate: Candidate, address: string, dnssec: DialTarget['dnssec']): Whereabouts {
  const family = isIPv6(address) ? 6 : isIPv4(address) ? 4 : 0
  return { place: 'there', target: { candidate, address, family, port: candidate.port, dnssec } }
}
