import { NS_XML } from './namespaces.js'

/** A prefix always known, declared by nobody. */
const OF_XML = -1
const UNBOUND = -2

/** Which prefix stands for which namespace while elements open and close (Namespaces in XML 1.0 §6). Lookups take constant time. */
export class Scope {
  /** Prefix to the place of its declaration in force. */
  readonly #places = new Map<string, number>()
  readonly #prefixes: string[] = []
  readonly #namespaces: string[] = []
  readonly #depths: number[] = []
  /** Place of the declaration that this one hides, or `UNBOUND`. */
  readonly #hidden: number[] = []

  /** Declares a prefix on the element at `depth`; the default namespace has prefix ''. */
  declare(prefix: string, namespace: string, depth: number): void {
    const place = this.#prefixes.length
    this.#hidden.push(this.#places.get(prefix) ?? UNBOUND)
    this.#prefixes.push(prefix)
    this.#namespaces.push(namespace)
    this.#depths.push(depth)
    this.#places.set(prefix, place)
  }

  /** Forgets what was declared on the element at `depth`, whose end has come. */
  leave(depth: number): void {
    let place = this.#depths.length - 1
    if (place < 0 || this.#depths[place]! < depth) return
    for (; place >= 0 && this.#depths[place]! >= depth; place--) {
      const hidden = this.#hidden[place]!
      if (hidden === UNBOUND) this.#places.delete(this.#prefixes[place]!)
      else this.#places.set(this.#prefixes[place]!, hidden)
    }
    this.#prefixes.length = place + 1
    this.#namespaces.length = place + 1
    this.#depths.length = place + 1
    this.#hidden.length = place + 1
  }

  /** The place of a prefix, to be handed to `namespaceAt` and `depthAt`; below -1 when it is bound to nothing. */
  find(prefix: string): number {
    if (prefix === 'xml') return OF_XML
    return this.#places.get(prefix) ?? UNBOUND
  }

  namespaceAt(place: number): string {
    return place === OF_XML ? NS_XML : this.#namespaces[place]!
  }

  /** Depth of the element that made a declaration; that of `xml` is made within everything. */
  depthAt(place: number): number {
    return place === OF_XML ? Number.POSITIVE_INFINITY : this.#depths[place]!
  }

  /** The default namespace in force, '' when there is none. */
  get default(): string {
    const place = this.#places.get('')
    return place === undefined ? '' : this.#namespaces[place]!
  }

  /** Every prefix in force and its namespace. */
  snapshot(): ReadonlyMap<string, string> {
    const all = new Map<string, string>()
    for (const [prefix, place] of this.#places) all.set(prefix, this.#namespaces[place]!)
    return all
  }
}
