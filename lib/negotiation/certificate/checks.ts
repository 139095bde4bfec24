import { isSignedBy } from './keys.js'
import { comparisons, constraintBreach } from './name-constraints.js'
import type { Certificate } from './parse.js'

/** Most signatures that are checked for one chain, and most comparisons of names with constraints: honest chains need far fewer. */
const MOST_SIGNATURES = 24
const MOST_COMPARISONS = 65_536

/** A value for a pair of certificates, found out once. */
class PairMemo<T> {
  readonly #rows = new Map<Certificate, Map<Certificate, T>>()

  get(one: Certificate, other: Certificate, find: () => T): T {
    let row = this.#rows.get(one)
    if (!row) this.#rows.set(one, (row = new Map<Certificate, T>()))
    const known = row.get(other)
    if (known !== undefined) return known
    const found = find()
    row.set(other, found)
    return found
  }
}

/** The costly checks made while one chain is judged: each is made once, and all together are bounded, whatever a peer sends. */
export class Checks {
  readonly #signed = new PairMemo<boolean>()
  readonly #breaches = new PairMemo<string>()
  #signatures = 0
  #comparisons = 0

  /** True when `issuer`'s key made the signature of `certificate`; beyond the bound no signature is good. */
  isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
    return this.#signed.get(
      certificate,
      issuer,
      () => this.#signatures++ < MOST_SIGNATURES && isSignedBy(certificate, issuer),
    )
  }

  /** How `certificate` breaks the name constraints of `authority`; empty when it does not. Beyond the bound it does. */
  breach(certificate: Certificate, authority: Certificate): string {
    return this.#breaches.get(certificate, authority, () => {
      const { constraints } = authority
      if (!constraints) return ''
      this.#comparisons += comparisons(certificate, constraints)
      if (this.#comparisons > MOST_COMPARISONS) return 'has too many names to check against name constraints'
      return constraintBreach(certificate, constraints) ?? ''
    })
  }
}
