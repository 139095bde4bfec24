import { isIP } from 'node:net'
import type { Clock } from '../base/clock.js'
import { Deadline, untilAborted } from '../base/deadline.js'
import type { Trace } from '../base/trace.js'
import { isOnionName } from '../stanza/domain.js'
import type { DnsOverrides, Transport } from './dns-override.js'
import { type DnsAnswer, type DnsFailureReason, type DnssecState, foldName, isAskable } from './dns-record.js'
import type { Resolver } from './resolver.js'
import { inSrvOrder } from './srv-order.js'

/** A place where a domain's server may be. */
export interface Candidate {
  /** An A-label name, or an address. */
  readonly host: string
  readonly port: number
  readonly transport: Transport
  readonly priority: number
  readonly weight: number
  /** Whether the DNS answer that named this host was validated; what our own configuration names counts as validated. */
  readonly dnssec: DnssecState
  /** Our own configuration names it: it may be a private address. */
  readonly isConfigured: boolean
}

/** Why a domain has no candidates, in the words of an end of kind `dns`. */
export type NoCandidates =
  | 'no-such-domain'
  | 'no-address'
  | 'no-service'
  | 'servfail'
  | 'timeout'
  | 'bogus'
  | 'too-many-records'

export type Candidates =
  | {
      readonly kind: 'candidates'
      /** `name`: the domain itself, which the proxy resolves without DNS. */
      readonly source: 'override' | 'srv' | 'address' | 'name'
      /** By priority; within each in the order drawn by weight. */
      readonly groups: readonly (readonly Candidate[])[]
      /** The domain names no service; its own address is tried (RFC 6120 §3.2.2). */
      readonly fallback: boolean
      /** How long this may be believed; infinite for an override. */
      readonly ttlSeconds: number
    }
  | {
      readonly kind: 'end'
      readonly detail: NoCandidates
      readonly retriable: boolean
      readonly cause?: DnsFailureReason
      readonly ttlSeconds: number
    }

export interface CandidateSearch {
  readonly resolver: Resolver
  /** `xmpp.server.socket.remotePort`: for a domain that names no port. */
  readonly remotePort: number
  readonly overrides?: DnsOverrides
  /** Whether candidates with TLS at once are dialed at all. */
  readonly directTls: boolean
  /** TLS policy `disabled`: only plain sockets. */
  readonly plainOnly: boolean
  /** Whether a proxy resolves the names of candidates: addresses are not asked for. */
  readonly throughProxy?: boolean
  /** Milliseconds for all of this (`xmpp.server.resolution-timeout`); when they are over the end is `timeout`. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly trace: Trace
  readonly random: () => number
}

interface Service {
  /** `closed`: `.` as only target (RFC 2782), or nothing but records that cannot be used. */
  readonly state: 'records' | 'none' | 'closed' | 'failure'
  readonly candidates: readonly Candidate[]
  readonly ttlSeconds: number
  readonly cause?: DnsFailureReason
}

type End = Extract<Candidates, { kind: 'end' }>

const SERVICES = { starttls: '_xmpp-server._tcp', tls: '_xmpps-server._tcp' } as const

/**
 * From an A-label domain to the places to dial (RFC 6120 §3.2, XEP-0368): a static route, else both SRV services as one
 * list, else, only when there is no SRV record at all, the domain's own address. At most four questions. Through a proxy the
 * domain's own name stands for its address, and a name in Tor is never asked for (RFC 7686 §2).
 * Rejects only when `signal` aborts, with its reason.
 */
export async function findCandidates(domain: string, search: CandidateSearch): Promise<Candidates> {
  const name = foldName(domain)
  const route = search.overrides?.find(name)
  const mayUseTls = search.directTls && !search.plainOnly
  if (route !== undefined) {
    search.trace.note('dns.override', { ...route })
    if (route.transport === 'tls' && !mayUseTls) return ended('no-service', Number.POSITIVE_INFINITY)
    const candidate: Candidate = { ...route, priority: 0, weight: 0, dnssec: 'secure', isConfigured: true }
    return found('override', [[candidate]], Number.POSITIVE_INFINITY)
  }
  if (isIP(name) !== 0 || !isAskable(name)) return ended('no-such-domain', Number.POSITIVE_INFINITY)
  if (search.throughProxy === true && isOnionName(name))
    return found('name', [[itself(name, 'insecure', search)]], Number.POSITIVE_INFINITY)

  const limit = new Deadline(search.clock, search.timeoutMs, () => new Error('the time is up'), search.signal)
  const inTime: CandidateSearch = { ...search, signal: limit.signal }
  try {
    const [tls, starttls] = await Promise.all([
      mayUseTls ? askService(name, 'tls', inTime) : undefined,
      askService(name, 'starttls', inTime),
    ])
    const services = tls === undefined ? [starttls] : [tls, starttls]
    const merged = merge(services, search)
    if (merged === undefined && search.throughProxy === true)
      return found('address', [[itself(name, 'insecure', search)]], shortestOf(services))
    return merged ?? (await untilAborted(addressOf(name, search), limit.signal))
  } catch (error) {
    if (!limit.passed) throw error
    return failed('timeout')
  } finally {
    limit.done()
  }
}

async function askService(domain: string, transport: Transport, search: CandidateSearch): Promise<Service> {
  const name = `${SERVICES[transport]}.${domain}`
  search.trace.waitFor(`DNS: SRV ${name}`)
  const answer = await search.resolver.query(name, 'SRV', search.signal)
  search.trace.note('dns.answer', { name, type: 'SRV', ...answer })
  if (answer.kind === 'failure')
    return { state: 'failure', candidates: [], ttlSeconds: answer.ttlSeconds, cause: answer.reason }
  if (answer.kind === 'none') return { state: 'none', candidates: [], ttlSeconds: answer.ttlSeconds }
  const usable = answer.records.filter(({ port, target }) => port > 0 && isAskable(target) && isIP(target) === 0)
  const left = answer.records.length - usable.length
  if (left > 0) search.trace.note('dns.unusable', { name, records: left })
  const candidates = usable.map(({ target, port, priority, weight }): Candidate => {
    return { host: target, port, transport, priority, weight, dnssec: answer.dnssec, isConfigured: false }
  })
  return { state: candidates.length > 0 ? 'records' : 'closed', candidates, ttlSeconds: answer.ttlSeconds }
}

/**
 * What follows from the answers of the services asked; undefined: there is no SRV record, the address counts.
 *
 * | `_xmpps-server` | `_xmpp-server` | result |
 * |---|---|---|
 * | records | records | both, merged |
 * | records | none, `.` or failure | xmpps only |
 * | none, `.` or failure | records | xmpp only |
 * | none | none | the domain's address |
 * | `.` | none or `.` | no-service |
 * | none | `.` | no-service |
 * | failure | none, `.` or failure | the failure: nobody knows that there is no SRV record |
 * | none or `.` | failure | the failure |
 */
function merge(services: readonly Service[], search: CandidateSearch): Candidates | undefined {
  const ttlSeconds = shortestOf(services)
  const candidates = services.flatMap(service => service.candidates)
  if (candidates.length > 0) return found('srv', inSrvOrder(candidates, search.random), ttlSeconds)
  const cause = services.find(service => service.state === 'failure')?.cause
  if (cause !== undefined) return failed(cause)
  return services.some(service => service.state === 'closed') ? ended('no-service', ttlSeconds) : undefined
}

/**
 * RFC 6120 §3.2.2. As soon as one family has an address there is something to dial. The question for the other goes on
 * by itself: the dialer, which asks the same, finds it under way.
 */
async function addressOf(domain: string, search: CandidateSearch): Promise<Candidates> {
  search.trace.waitFor(`DNS: A and AAAA ${domain}`)
  const both = [search.resolver.query(domain, 'AAAA', search.signal), search.resolver.query(domain, 'A', search.signal)]
  const withRecords = both.map(async asked => {
    const answer = await asked
    if (answer.kind !== 'records') throw new NoAddress()
    return answer
  })
  try {
    const { ttlSeconds, dnssec } = await Promise.any(withRecords)
    return found('address', [[itself(domain, dnssec, search)]], ttlSeconds)
  } catch {
    const answers = await Promise.all(both)
    for (const answer of answers) search.trace.note('dns.answer', { name: domain, ...answer })
    return withoutAddress(answers)
  }
}

/** The domain as its own host. */
function itself(domain: string, dnssec: DnssecState, { remotePort }: CandidateSearch): Candidate {
  return {
    host: domain,
    port: remotePort,
    transport: 'starttls',
    priority: 0,
    weight: 0,
    dnssec,
    isConfigured: false,
  }
}

function shortestOf(services: readonly Service[]): number {
  return Math.min(...services.map(service => service.ttlSeconds))
}

/** One family had no record to give; said to `Promise.any` only. */
class NoAddress extends Error {}

function withoutAddress(answers: readonly DnsAnswer[]): End {
  const failure = answers.find(answer => answer.kind === 'failure')
  if (failure !== undefined) return failed(failure.reason)
  const ttlSeconds = Math.min(...answers.map(answer => answer.ttlSeconds))
  const isUnknown = answers.some(answer => answer.kind === 'none' && answer.reason === 'nxdomain')
  return ended(isUnknown ? 'no-such-domain' : 'no-address', ttlSeconds)
}

function found(
  source: Extract<Candidates, { kind: 'candidates' }>['source'],
  groups: readonly (readonly Candidate[])[],
  ttlSeconds: number,
): Candidates {
  return { kind: 'candidates', source, groups, fallback: source === 'address', ttlSeconds }
}

function ended(detail: NoCandidates, ttlSeconds: number): End {
  return { kind: 'end', detail, retriable: false, ttlSeconds }
}

const DETAILS: Readonly<Partial<Record<DnsFailureReason, NoCandidates>>> = {
  timeout: 'timeout',
  bogus: 'bogus',
  'too-many-records': 'too-many-records',
}

function failed(cause: DnsFailureReason): End {
  return { kind: 'end', detail: DETAILS[cause] ?? 'servfail', retriable: true, cause, ttlSeconds: 5 }
}
