import type { Clock } from '../base/clock.js'
import { untilAborted } from '../base/deadline.js'
import { DnsCache } from './dns-cache.js'
import { AliasChain } from './dns-chain.js'
import { askServer, type Exchange } from './dns-exchange.js'
import { type DnsReply, NAME_ERROR, NO_ERROR, REFUSED } from './dns-message.js'
import {
  type DnsAnswer,
  type DnsFailureReason,
  type DnsRecord,
  type DnssecState,
  type DnsType,
  foldName,
  isAskable,
  type RecordOf,
  type ServerAddress,
} from './dns-record.js'
import { isLoopback } from './forbidden-targets.js'
import type { HostsFile } from './hosts-file.js'

/** What a resolver needs. Servers given as a function are looked at for each question. */
export interface ResolverOptions {
  readonly servers: readonly ServerAddress[] | (() => readonly ServerAddress[])
  readonly clock: Clock
  /** Most answers kept. */
  readonly capacity: number
  /** Names that are answered without DNS. */
  readonly hosts?: HostsFile
  /** Whether the AD bit of a server is believed: it validates, and so is the way to it. Loopback only, unless given. */
  readonly isTrusted?: (server: ServerAddress) => boolean
}

const LEAST_SECONDS = 5
const MOST_SECONDS = 3600
const MOST_NEGATIVE_SECONDS = 60
const FAILURE_SECONDS = 5
/** Most records of one answer that are used. */
const MOST_RECORDS = 16
/** Most different questions under way; each has a socket. */
const MOST_IN_FLIGHT = 1000
/** A server that did not answer in time is asked last for so long. */
const SERVER_REST_MS = 30_000

/** From the least telling reason to the most telling one, when several servers failed. */
const TELLING: readonly DnsFailureReason[] = [
  'unreachable',
  'timeout',
  'refused',
  'malformed',
  'too-many-records',
  'servfail',
  'bogus',
]

interface Flight {
  readonly answer: Promise<DnsAnswer>
  readonly controller: AbortController
  waiting: number
}

type Asked = { readonly reply: DnsReply; readonly dnssec: DnssecState } | { readonly failure: DnsFailureReason }

/**
 * A stub resolver (RFC 1034 §5.3.1) with a bounded cache: TTLs within 5 s to 1 h, negative answers by SOA minimum within
 * 5 s to 60 s (RFC 2308), failures 5 s. Questions asked at the same time share one exchange.
 */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #isTrusted: (server: ServerAddress) => boolean
  readonly #cache: DnsCache
  readonly #flights = new Map<string, Flight>()
  readonly #resting = new Map<string, number>()

  constructor(options: ResolverOptions) {
    this.#options = options
    this.#isTrusted = options.isTrusted ?? (({ address }) => isLoopback(address))
    this.#cache = new DnsCache(options.clock, options.capacity)
  }

  /**
   * Asks for the records of an A-label name. A name that cannot exist in the DNS answers `nxdomain` and is never sent.
   * Each server has 5 s. Rejects only when `signal` aborts, with its reason.
   */
  async query<T extends DnsType>(name: string, type: T, signal: AbortSignal): Promise<DnsAnswer<T>> {
    signal.throwIfAborted()
    const folded = foldName(name)
    const answer = (await this.#withoutDns(folded, type)) ?? (await this.#fromDns(folded, type, signal))
    signal.throwIfAborted()
    if (answer.kind !== 'records') return answer
    return { ...answer, records: answer.records.filter((record): record is RecordOf<T> => record.type === type) }
  }

  /** Forgets every answer and which servers rest. */
  flush(): void {
    this.#cache.clear()
    this.#resting.clear()
  }

  async #withoutDns(name: string, type: DnsType): Promise<DnsAnswer | undefined> {
    const isAddress = type === 'A' || type === 'AAAA'
    const entry = isAddress ? await this.#options.hosts?.find(name) : undefined
    if (entry !== undefined) return addressAnswer(type === 'A' ? entry.v4 : entry.v6)
    if (isBelow(name, 'localhost')) return addressAnswer(type === 'A' ? ['127.0.0.1'] : type === 'AAAA' ? ['::1'] : [])
    // RFC 7686 §2 and RFC 6761 §6.4: these names are not for the DNS.
    if (!isAskable(name) || isBelow(name, 'onion') || isBelow(name, 'invalid')) {
      return { kind: 'none', reason: 'nxdomain', ttlSeconds: MOST_NEGATIVE_SECONDS, dnssec: 'insecure' }
    }
    return undefined
  }

  async #fromDns(name: string, type: DnsType, signal: AbortSignal): Promise<DnsAnswer> {
    const key = `${type} ${name}`
    const kept = this.#cache.find(key)
    if (kept !== undefined) return kept
    const flight = this.#flights.get(key) ?? this.#takeOff(key, name, type)
    if (flight === undefined) return failed('busy')
    flight.waiting++
    try {
      return await untilAborted(flight.answer, signal)
    } finally {
      flight.waiting--
      if (flight.waiting === 0) {
        this.#land(key, flight)
        flight.controller.abort(new Error('nobody waits for the answer any more'))
      }
    }
  }

  #takeOff(key: string, name: string, type: DnsType): Flight | undefined {
    if (this.#flights.size >= MOST_IN_FLIGHT) return undefined
    const controller = new AbortController()
    const answer = this.#resolve(name, type, controller.signal).then(found => {
      this.#cache.keep(key, found)
      return found
    })
    const flight = { answer, controller, waiting: 0 }
    this.#flights.set(key, flight)
    const land = (): void => this.#land(key, flight)
    answer.then(land, land)
    return flight
  }

  #land(key: string, flight: Flight): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }

  async #resolve(name: string, type: DnsType, signal: AbortSignal): Promise<DnsAnswer> {
    const chain = new AliasChain(name, type)
    let at = name
    let shortest = Number.POSITIVE_INFINITY
    let dnssec: DnssecState = 'secure'
    for (;;) {
      if (!isAskable(at)) return none('nxdomain', undefined, shortest, dnssec)
      const asked = await this.#ask(at, type, signal)
      if ('failure' in asked) return failed(asked.failure)
      if (asked.dnssec === 'insecure') dnssec = 'insecure'
      const { reply } = asked
      const end = chain.follow(at, reply.records)
      if (end === 'cname-loop') return failed('cname-loop')
      shortest = Math.min(shortest, end.ttlSeconds)
      if (end.records.length > 0) return records(end.records, shortest, dnssec)
      if (reply.responseCode === NAME_ERROR) return none('nxdomain', reply.negativeSeconds, shortest, dnssec)
      // An SOA record says that the server has looked at the end of the chain and found nothing there.
      if (end.name === at || reply.negativeSeconds !== undefined)
        return none('nodata', reply.negativeSeconds, shortest, dnssec)
      at = end.name
    }
  }

  async #ask(name: string, type: DnsType, signal: AbortSignal): Promise<Asked> {
    let failure: DnsFailureReason = 'unreachable'
    let hasFailedToValidate = false
    for (const server of this.#inOrder()) {
      const isTrusted = this.#isTrusted(server)
      // What a server that validates could not vouch for is not taken from one that does not: that would turn bogus into insecure.
      if (hasFailedToValidate && !isTrusted) continue
      const exchange = await askServer(server, name, type, this.#options.clock, signal)
      const reason = failureOf(exchange)
      if (exchange === 'timeout') this.#resting.set(keyOf(server), this.#options.clock.now() + SERVER_REST_MS)
      else this.#resting.delete(keyOf(server))
      if (typeof exchange !== 'string' && reason === undefined) {
        return { reply: exchange, dnssec: exchange.authentic && isTrusted ? 'secure' : 'insecure' }
      }
      hasFailedToValidate ||= isTrusted && (reason === 'bogus' || reason === 'servfail')
      if (reason !== undefined && TELLING.indexOf(reason) > TELLING.indexOf(failure)) failure = reason
    }
    return { failure }
  }

  #inOrder(): readonly ServerAddress[] {
    const { servers, clock } = this.#options
    const now = clock.now()
    const rests = (server: ServerAddress): boolean => (this.#resting.get(keyOf(server)) ?? 0) > now
    const all = typeof servers === 'function' ? servers() : servers
    return [...all.filter(server => !rests(server)), ...all.filter(rests)]
  }
}

function keyOf(server: ServerAddress): string {
  return `${server.address} ${server.port}`
}

function isBelow(name: string, suffix: string): boolean {
  return name === suffix || name.endsWith(`.${suffix}`)
}

function failureOf(exchange: Exchange): DnsFailureReason | undefined {
  if (typeof exchange === 'string') return exchange
  if (exchange.responseCode === NO_ERROR || exchange.responseCode === NAME_ERROR) return undefined
  if (exchange.responseCode === REFUSED) return 'refused'
  return exchange.bogus ? 'bogus' : 'servfail'
}

function records(found: readonly DnsRecord[], shortest: number, dnssec: DnssecState): DnsAnswer {
  // The cap must not cut off what the domain prefers.
  const preferred = found.toSorted((a, b) => (a.type === 'SRV' && b.type === 'SRV' ? a.priority - b.priority : 0))
  const used = preferred.slice(0, MOST_RECORDS)
  const ttlSeconds = clamp(shortest, MOST_SECONDS)
  return { kind: 'records', records: used, ignored: found.length - used.length, ttlSeconds, dnssec }
}

function none(
  reason: 'nxdomain' | 'nodata',
  soa: number | undefined,
  shortest: number,
  dnssec: DnssecState,
): DnsAnswer {
  return { kind: 'none', reason, ttlSeconds: clamp(Math.min(soa ?? 0, shortest), MOST_NEGATIVE_SECONDS), dnssec }
}

function failed(reason: DnsFailureReason): DnsAnswer<never> {
  return { kind: 'failure', reason, ttlSeconds: FAILURE_SECONDS }
}

function addressAnswer(addresses: readonly string[]): DnsAnswer {
  if (addresses.length === 0) return { kind: 'none', reason: 'nodata', ttlSeconds: LEAST_SECONDS, dnssec: 'insecure' }
  const found = addresses.map((address): DnsRecord => ({ type: address.includes(':') ? 'AAAA' : 'A', address }))
  return records(found, LEAST_SECONDS, 'insecure')
}

function clamp(seconds: number, most: number): number {
  return Math.max(LEAST_SECONDS, Math.min(most, seconds))
}
