import { prepareDomain } from './domain.js'

/** A domain served here and a remote one: what every route, queue, permission and back-off is kept by. */
export class DomainPair {
  readonly local: string
  readonly remote: string
  /** Equal for equal pairs and for no others; a canonical domain holds no space. For use in a Map, never as a property name. */
  readonly key: string

  /** Both names are canonical already (`prepareDomain`). */
  constructor(local: string, remote: string) {
    this.local = local
    this.remote = remote
    this.key = `${local} ${remote}`
  }

  /** The pair of two names in any spelling; `undefined` when one of them is no domainpart (RFC 7622 §3.2). */
  static of(local: string, remote: string): DomainPair | undefined {
    const ours = prepareDomain(local)
    const theirs = prepareDomain(remote)
    return ours === undefined || theirs === undefined ? undefined : new DomainPair(ours, theirs)
  }

  /** For people. */
  toString(): string {
    return `${this.local} → ${this.remote}`
  }
}
