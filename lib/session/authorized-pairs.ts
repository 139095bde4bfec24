import type { Proof } from '../negotiation/rules.js'
import { DomainPair } from '../stanza/domain-pair.js'

/** Most domain pairs that one stream carries. */
export const MOST_PAIRS = 100

/** The domain pairs that one stream has proven, and how. It only grows by a proof made on that very stream. */
export class AuthorizedPairs {
  readonly #remotes = new Map<string, Map<string, Proof>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(pair: DomainPair, proof: Proof): void {
    const locals = this.#remotes.get(pair.remote) ?? new Map<string, Proof>()
    if (!locals.has(pair.local)) this.#size++
    locals.set(pair.local, proof)
    this.#remotes.set(pair.remote, locals)
  }

  remove(pair: DomainPair): void {
    const locals = this.#remotes.get(pair.remote)
    if (locals?.delete(pair.local) !== true) return
    this.#size--
    if (locals.size === 0) this.#remotes.delete(pair.remote)
  }

  /** How (local, remote) was proven, or undefined: exact equality of canonical names, never a sub-domain. */
  proofOf(local: string, remote: string): Proof | undefined {
    return this.#remotes.get(remote)?.get(local)
  }

  /** Whether the remote domain is proven towards any of our domains. */
  hasRemote(remote: string): boolean {
    return this.#remotes.has(remote)
  }

  *[Symbol.iterator](): Generator<readonly [DomainPair, Proof]> {
    for (const [remote, locals] of this.#remotes) {
      for (const [local, proof] of locals) yield [new DomainPair(local, remote), proof]
    }
  }
}
