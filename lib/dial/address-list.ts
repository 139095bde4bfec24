import { isIP } from 'node:net'
import type { Clock } from '../base/clock.js'
import type { Trace } from '../base/trace.js'
import type { Candidate } from './candidates.js'
import { addressFailure, type DialFailure } from './dial-error.js'
import type { DialTarget } from './dial-target.js'
import type { DnsAnswer, DnsFailureReason, DnssecState, RecordOf } from './dns-record.js'
import type { Resolver } from './resolver.js'

/** Most addresses of one attempt. */
const MOST_ADDRESSES = 32
/** Most questions for addresses in one attempt; with the four of the search for candidates it is 20. */
const MOST_QUESTIONS = 16

interface Needs {
  readonly resolver: Resolver
  readonly clock: Clock
  readonly trace: Trace
  readonly signal: AbortSignal
  readonly resolutionDelayMs: () => number
  /** Whether a proxy resolves: the name of a candidate then stands for its addresses. */
  readonly takesNames: boolean
  /** Most addresses that are given out; as many as are kept unless given. */
  readonly most: number | undefined
  /** Something was learned: an address, or that there is none. */
  readonly onNews: () => void
  readonly onFailure: (failure: DialFailure) => void
}

/** The addresses of one candidate that were not dialed yet. */
interface Host {
  readonly candidate: Candidate
  readonly v4: DialTarget[]
  readonly v6: DialTarget[]
  pending: number
  /** IPv6 has its AAAA answer: nothing preferred can still come. */
  isV6Known: boolean
  hasAddress: boolean
  failure: DnsFailureReason | undefined
  lastFamily: DialTarget['family']
}

/**
 * The addresses of an attempt in the order in which they are to be dialed: candidates in their order, the addresses of
 * each alternating, IPv6 first (RFC 8305 §4). A candidate whose answers are late holds up the next ones for the
 * resolution delay only. Bounded: 32 addresses, 16 questions.
 */
export class AddressList {
  readonly #needs: Needs
  readonly #hosts: Host[] = []
  readonly #known = new Set<string>()
  #questions = 0
  #given = 0
  #graceUntil: number | undefined

  constructor(needs: Needs) {
    this.#needs = needs
  }

  /** Adds the candidates of one priority behind those that are there. */
  add(candidates: readonly Candidate[]): void {
    this.#graceUntil = undefined
    if (this.#isSpent) return
    for (const candidate of candidates) this.#addHost(candidate)
    this.#needs.onNews()
  }

  /** Whether neither an address nor an answer is to come. */
  get isExhausted(): boolean {
    return this.#isSpent || this.#hosts.every(host => host.pending === 0 && !hasTargets(host))
  }

  /** The next address; a time when it pays to ask again; or undefined when only an answer can bring one. */
  next(): DialTarget | { readonly waitUntil: number } | undefined {
    if (this.#isSpent) return undefined
    const isGraceOver = this.#graceUntil !== undefined && this.#needs.clock.now() >= this.#graceUntil
    for (const host of this.#hosts) {
      const isReady = host.pending === 0 || (host.isV6Known && host.v6.length > 0) || isGraceOver
      if (!isReady) return this.#graceUntil === undefined ? undefined : { waitUntil: this.#graceUntil }
      const target = take(host)
      if (target === undefined) continue
      this.#given++
      return target
    }
    return undefined
  }

  get #isSpent(): boolean {
    return this.#needs.most !== undefined && this.#given >= this.#needs.most
  }

  #addHost(candidate: Candidate): void {
    const host: Host = {
      candidate,
      v4: [],
      v6: [],
      pending: 0,
      isV6Known: false,
      hasAddress: false,
      failure: undefined,
      lastFamily: 4,
    }
    if (this.#needs.takesNames || isIP(candidate.host) !== 0) {
      this.#addAddress(host, candidate.host, 'secure')
    } else if (this.#questions + 2 > MOST_QUESTIONS) {
      this.#needs.trace.note('dial.ignored', { host: candidate.host, because: 'too many look-ups' })
      return
    } else {
      this.#questions += 2
      host.pending = 2
      this.#needs.trace.waitFor(`DNS: A and AAAA ${candidate.host}`)
      void this.#lookUp(host, 'AAAA')
      void this.#lookUp(host, 'A')
    }
    this.#hosts.push(host)
  }

  async #lookUp(host: Host, type: 'A' | 'AAAA'): Promise<void> {
    const { resolver, signal, trace, onNews, onFailure } = this.#needs
    const name = host.candidate.host
    let answer: DnsAnswer<'A' | 'AAAA'>
    try {
      answer = await resolver.query(name, type, signal)
    } catch {
      return
    }
    trace.note('dns.answer', { name, type, ...answer })
    host.pending--
    if (type === 'AAAA') host.isV6Known = true
    if (answer.kind === 'records') this.#addRecords(host, answer.records, answer.dnssec)
    else if (answer.kind === 'failure') host.failure = answer.reason
    if (host.pending === 0 && !host.hasAddress) onFailure(addressFailure(name, host.failure))
    onNews()
  }

  #addRecords(host: Host, records: readonly RecordOf<'A' | 'AAAA'>[], dnssec: DnssecState): void {
    for (const { address } of records) this.#addAddress(host, address, dnssec)
  }

  #addAddress(host: Host, address: string, answered: DnssecState): void {
    const { candidate } = host
    host.hasAddress = true
    this.#graceUntil ??= this.#needs.clock.now() + this.#needs.resolutionDelayMs()
    const key = `${address} ${candidate.port} ${candidate.transport}`
    if (this.#known.has(key)) return
    if (this.#known.size >= MOST_ADDRESSES) {
      this.#needs.trace.note('dial.ignored', { address, because: 'too many addresses' })
      return
    }
    this.#known.add(key)
    const dnssec = candidate.dnssec === 'secure' && answered === 'secure' ? 'secure' : 'insecure'
    const family = familyOf(address)
    const list = family === 6 ? host.v6 : host.v4
    list.push({ candidate, address, family, port: candidate.port, dnssec })
  }
}

function familyOf(address: string): DialTarget['family'] {
  const family = isIP(address)
  return family === 4 || family === 6 ? family : 0
}

function hasTargets(host: Host): boolean {
  return host.v4.length + host.v6.length > 0
}

function take(host: Host): DialTarget | undefined {
  const wanted = host.lastFamily !== 6 ? [host.v6, host.v4] : [host.v4, host.v6]
  const target = wanted.find(list => list.length > 0)?.shift()
  if (target !== undefined) host.lastFamily = target.family
  return target
}
