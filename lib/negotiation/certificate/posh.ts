import { LRUCache } from 'lru-cache'
import { untilAborted } from '../../base/deadline.js'
import { comparable } from './domains.js'
import { isOfCertificate, type PoshFingerprint } from './posh-document.js'
import { fetchPosh, type PoshFetchOptions } from './posh-fetch.js'

/** Fingerprints count for so long at most, whatever their document says. */
const LONGEST_MS = 3_600_000
/** A certificate that is not listed is looked for again after so long. */
const NEGATIVE_MS = 300_000
/** Names come from strangers: most domains remembered, and most web servers asked at once. */
const MOST_REMEMBERED = 1000
const MOST_IN_FLIGHT = 50

/** Whether a domain lists a certificate; the text says why not. */
export interface PoshAnswer {
  readonly isListed: boolean
  readonly text: string
}

interface Known {
  readonly fingerprints: readonly PoshFingerprint[]
  /** By the clock's `now`, like all of these. */
  readonly until: number
  readonly askedAt: number
  readonly text: string
}

interface Flight {
  readonly known: Promise<Known>
  readonly controller: AbortController
  waiting: number
}

/** Asks web servers of domains which certificates their XMPP servers have (RFC 7711), one question at a time for each domain. */
export class Posh {
  readonly #options: PoshFetchOptions
  readonly #known = new LRUCache<string, Known>({ max: MOST_REMEMBERED })
  readonly #flights = new Map<string, Flight>()

  constructor(options: PoshFetchOptions) {
    this.#options = options
  }

  /**
   * Whether `domain` lists the certificate `leaf`, DER. What was found is believed while the document says so, at most 1 h; that there is
   * nothing to be found for 5 min. At most 5 s. Rejects only when `signal` aborts, with its reason.
   */
  async lists(domain: string, leaf: Buffer, signal: AbortSignal): Promise<PoshAnswer> {
    signal.throwIfAborted()
    const name = comparable(domain)
    if (name === undefined) return { isListed: false, text: 'no domain name' }
    const kept = this.#known.get(name)
    if (kept !== undefined && this.#now() < (isAmong(kept, leaf) ? kept.until : kept.askedAt + NEGATIVE_MS))
      return this.#answer(kept, leaf)
    const flight = this.#flights.get(name) ?? this.#takeOff(name)
    if (flight === undefined) return { isListed: false, text: 'too many web servers are being asked' }
    flight.waiting++
    try {
      return this.#answer(await untilAborted(flight.known, signal), leaf)
    } finally {
      flight.waiting--
      if (flight.waiting === 0) {
        this.#land(name, flight)
        flight.controller.abort(new Error('nobody waits for the answer any more'))
      }
    }
  }

  /** Forgets what was found. */
  flush(): void {
    this.#known.clear()
  }

  #answer(known: Known, leaf: Buffer): PoshAnswer {
    const isListed = this.#now() < known.until && isAmong(known, leaf)
    return { isListed, text: isListed ? 'listed' : known.text }
  }

  #takeOff(name: string): Flight | undefined {
    if (this.#flights.size >= MOST_IN_FLIGHT) return undefined
    const controller = new AbortController()
    const flight = { known: this.#ask(name, controller.signal), controller, waiting: 0 }
    this.#flights.set(name, flight)
    const land = (): void => this.#land(name, flight)
    flight.known.then(land, land)
    return flight
  }

  #land(name: string, flight: Flight): void {
    if (this.#flights.get(name) === flight) this.#flights.delete(name)
  }

  async #ask(name: string, signal: AbortSignal): Promise<Known> {
    const known = await this.#fetch(name, signal)
    this.#known.set(name, known)
    return known
  }

  async #fetch(name: string, signal: AbortSignal): Promise<Known> {
    try {
      const { fingerprints, expiresSeconds } = await fetchPosh(name, this.#options, signal)
      const now = this.#now()
      const until = now + Math.min(expiresSeconds * 1000, LONGEST_MS)
      return { fingerprints, until, askedAt: now, text: 'the certificate is not listed' }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const text = error instanceof Error ? error.message : String(error)
      const now = this.#now()
      const kept = this.#known.get(name)
      // A web server that fails takes back nothing that it said and that still counts.
      const { fingerprints, until } = kept !== undefined && now < kept.until ? kept : NOTHING
      return { fingerprints, until, askedAt: now, text }
    }
  }

  #now(): number {
    return this.#options.clock.now()
  }
}

const NOTHING = { fingerprints: [], until: 0 } as const

function isAmong({ fingerprints }: Known, leaf: Buffer): boolean {
  return fingerprints.some(one => isOfCertificate(one, leaf))
}
