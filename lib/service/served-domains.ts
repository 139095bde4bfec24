/** The domains served here, and those that were earlier in this run. */
export class ServedDomains {
  #served: ReadonlySet<string>
  readonly #gone = new Set<string>()

  constructor(domains: readonly string[]) {
    this.#served = new Set(domains)
  }

  get list(): readonly string[] {
    return [...this.#served]
  }

  serves(domain: string): boolean {
    return this.#served.has(domain)
  }

  state(domain: string): 'served' | 'gone' | 'foreign' {
    return this.#served.has(domain) ? 'served' : this.#gone.has(domain) ? 'gone' : 'foreign'
  }

  replace(domains: readonly string[]): void {
    const next = new Set(domains)
    for (const domain of this.#served) if (!next.has(domain)) this.#gone.add(domain)
    for (const domain of next) this.#gone.delete(domain)
    this.#served = next
  }
}
