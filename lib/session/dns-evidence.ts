import type { Trace } from '../base/trace.js'
import { findCandidates } from '../dial/candidates.js'
import type { Rules } from '../negotiation/rules.js'
import { domainToAscii } from '../stanza/domain.js'
import type { NetworkOptions } from './connect.js'

/** Whether what a domain says of itself in DNS leads to an address and port that somebody is connected to already. */
export interface LeadsToRequest {
  /** Canonical. */
  readonly domain: string
  readonly rules: Rules
  readonly address: string
  readonly port: number
  readonly trace: Trace
  readonly signal: AbortSignal
}

/** Rejects only with the signal's reason; what cannot be found out is a no. */
export type LeadsTo = (request: LeadsToRequest) => Promise<boolean>

/** Hosts that are looked up for one question. */
const MOST_HOSTS = 4

/**
 * By the same records as an attempt follows (RFC 6120 §3.2). Through a proxy names are resolved where we do not see it, so nothing leads
 * anywhere.
 */
export function networkLeadsTo({
  resolver,
  settings,
  clock,
  overrides,
  random = Math.random,
}: NetworkOptions): LeadsTo {
  return async ({ domain, rules, address, port, trace, signal }) => {
    if (settings.proxy !== undefined) return false
    const dnsOverrides = overrides()
    const found = await findCandidates(domainToAscii(domain), {
      resolver,
      remotePort: settings.remotePort,
      ...(dnsOverrides && { overrides: dnsOverrides }),
      directTls: rules.tls !== 'disabled',
      plainOnly: rules.tls === 'disabled',
      timeoutMs: settings.resolutionTimeoutMs,
      clock,
      signal,
      trace,
      random,
    })
    if (found.kind === 'end') return false
    const hosts = new Set(found.groups.flat().flatMap(candidate => (candidate.port === port ? [candidate.host] : [])))
    if (hosts.has(address)) return true
    const type = address.includes(':') ? 'AAAA' : 'A'
    for (const host of [...hosts].slice(0, MOST_HOSTS)) {
      trace.waitFor(`DNS: ${type} ${host}`)
      const answer = await resolver.query(host, type, signal)
      if (answer.kind === 'records' && answer.records.some(record => record.address === address)) return true
    }
    return false
  }
}
