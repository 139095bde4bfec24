import type { OwnedRecord } from './dns-message.js'
import type { DnsRecord, DnsType } from './dns-record.js'

/** Most aliases that one question follows, over all answers together. */
const MOST_STEPS = 8

/** Where a chain of aliases has come to in one answer section. */
export interface ChainEnd {
  readonly name: string
  /** Records of the type asked for at `name`. */
  readonly records: readonly DnsRecord[]
  /** The shortest TTL on the way, in seconds; infinite when nothing was used. */
  readonly ttlSeconds: number
}

/** The aliases that one question has followed; keeps count over several answers, so that no loop is walked twice. */
export class AliasChain {
  readonly #seen: Set<string>
  readonly #type: DnsType

  constructor(name: string, type: DnsType) {
    this.#seen = new Set([name])
    this.#type = type
  }

  /** Follows aliases (RFC 1034 §3.6.2) from `name` as far as the records go. */
  follow(name: string, records: readonly OwnedRecord[]): ChainEnd | 'cname-loop' {
    let at = name
    let ttlSeconds = Number.POSITIVE_INFINITY
    for (;;) {
      const here = records.filter(record => record.owner === at)
      const found = here.filter(record => record.data.type === this.#type)
      if (found.length > 0) {
        const shortest = Math.min(ttlSeconds, ...found.map(record => record.ttlSeconds))
        return {
          name: at,
          records: found.flatMap(({ data }) => (data.type === 'CNAME' ? [] : [data])),
          ttlSeconds: shortest,
        }
      }
      const alias = here.find(record => record.data.type === 'CNAME')
      if (alias?.data.type !== 'CNAME') return { name: at, records: [], ttlSeconds }
      at = alias.data.target
      ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds)
      if (this.#seen.has(at) || this.#seen.size > MOST_STEPS) return 'cname-loop'
      this.#seen.add(at)
    }
  }
}
