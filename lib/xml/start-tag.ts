import { Names } from './names.js'
import { NS_XML, NS_XMLNS } from './namespaces.js'
import type { Scope } from './scope.js'
import {
  COLON,
  ESCAPED,
  NAME_FROM,
  NAME_TO,
  SLOTS,
  type StartTagReader,
  VALUE_FROM,
  VALUE_TO,
} from './start-tag-reader.js'
import type { Attribute, StartTag } from './token.js'
import { unescapeValue } from './unescape.js'

/** Up to this many attributes of a tag are compared one with another, beyond it by a set. */
const FEW = 8
/** What is declared down to this depth, on the root or a first-level element, is declared outside of what that element holds. */
const OUTSIDE = 1

/** A start tag as strings. */
class ReadTag implements StartTag {
  readonly prefix: string
  readonly name: string
  readonly namespace: string
  readonly attributes: readonly Attribute[]
  readonly declarations: StartTag['declarations']

  constructor(
    prefix: string,
    name: string,
    namespace: string,
    attributes: readonly Attribute[],
    declarations: StartTag['declarations'],
  ) {
    this.prefix = prefix
    this.name = name
    this.namespace = namespace
    this.attributes = attributes
    this.declarations = declarations
  }

  attribute(name: string, namespace = ''): string | undefined {
    for (const attribute of this.attributes) {
      if (attribute.name === name && attribute.namespace === namespace) return attribute.value
    }
    return undefined
  }
}

/** Checks start tags against the namespaces in force (Namespaces in XML 1.0 §3 to §6) and makes strings of those that are handed on. */
export class StartTagResolver {
  readonly #reader: StartTagReader
  readonly #names: Names
  readonly #values = new Names()
  readonly #scope: Scope
  readonly #content: readonly string[]
  /** What is wrong with the tag looked at last. */
  fault = ''
  /** The tag looked at last changes its meaning outside its stream, see `ElementToken.portable`. */
  bound = false

  constructor(reader: StartTagReader, names: Names, scope: Scope, content: readonly string[]) {
    this.#reader = reader
    this.#names = names
    this.#scope = scope
    this.#content = content
  }

  /**
   * Checks the tag just read, of an element at `depth`, and takes its declarations into the scope; false: see `fault`.
   * A default namespace declared further in is checked but not kept: nothing asks for it.
   */
  check(data: Buffer, tagStart: number, depth: number): boolean {
    const reader = this.#reader
    this.bound = false
    const { count, slots } = reader
    if (reader.declarations > 0) {
      for (let i = 0; i < count; i++) {
        if (reader.isDeclaration(data, tagStart, i) && !this.#declare(data, tagStart, i * SLOTS, depth)) return false
      }
    }
    if (reader.colon !== 0 && !this.#bind(data, tagStart + 1, tagStart + reader.colon)) return false
    let prefixed = 0
    for (let at = 0; at < count * SLOTS; at += SLOTS) {
      if (slots[at + COLON] === 0) continue
      if (reader.declarations > 0 && reader.isDeclaration(data, tagStart, at / SLOTS)) continue
      prefixed++
      if (!this.#bind(data, tagStart + slots[at + NAME_FROM]!, tagStart + slots[at + COLON]!)) return false
    }
    if (count > 1 && this.#repeats(data, tagStart)) return this.#fail('attribute given twice')
    if (prefixed > 1 && this.#repeatsExpanded(data, tagStart))
      return this.#fail('attribute given twice under two prefixes')
    return true
  }

  /** The tag just checked, as strings. */
  make(data: Buffer, tagStart: number): StartTag {
    const reader = this.#reader
    const { count, slots, colon } = reader
    const attributes: Attribute[] = []
    const declarations: { prefix: string; namespace: string }[] = []
    for (let i = 0; i < count; i++) {
      const at = i * SLOTS
      const local = this.#local(data, tagStart, at)
      const own = slots[at + COLON] === 0 ? '' : this.#prefix(data, tagStart, at)
      if (reader.declarations > 0 && reader.isDeclaration(data, tagStart, i)) {
        declarations.push({ prefix: own === '' ? '' : local, namespace: this.#namespace(data, tagStart, at) })
      } else {
        const namespace = own === '' ? '' : this.#scope.namespaceAt(this.#scope.find(own))
        attributes.push({ prefix: own, name: local, namespace, value: this.#value(data, tagStart, at) })
      }
    }
    const prefix = colon === 0 ? '' : this.#names.get(data, tagStart + 1, tagStart + colon)
    const name = this.#names.get(data, tagStart + (colon === 0 ? 1 : colon + 1), tagStart + reader.nameTo)
    const namespace = colon === 0 ? this.#scope.default : this.#scope.namespaceAt(this.#scope.find(prefix))
    return new ReadTag(prefix, name, namespace, attributes, declarations)
  }

  #declare(data: Buffer, tagStart: number, at: number, depth: number): boolean {
    const prefix = this.#reader.slots[at + COLON] === 0 ? '' : this.#local(data, tagStart, at)
    const namespace = this.#namespace(data, tagStart, at)
    if (prefix === 'xmlns') return this.#fail('the prefix xmlns may not be declared')
    if (prefix === 'xml' ? namespace !== NS_XML : namespace === NS_XML)
      return this.#fail('the prefix xml bound otherwise')
    if (namespace === NS_XMLNS) return this.#fail('the namespace of xmlns may not be declared')
    if (prefix !== '' && namespace === '') return this.#fail('a prefix may not be undeclared')
    if (depth > OUTSIDE && this.#content.includes(namespace)) this.bound = true
    if (prefix !== 'xml' && (prefix !== '' || depth <= OUTSIDE)) this.#scope.declare(prefix, namespace, depth)
    return true
  }

  #bind(data: Buffer, from: number, to: number): boolean {
    const prefix = this.#names.get(data, from, to)
    const place = this.#scope.find(prefix)
    if (place < -1) return this.#fail(prefix === 'xmlns' ? 'xmlns as a prefix' : 'prefix bound to no namespace')
    if (this.#scope.depthAt(place) <= OUTSIDE) this.bound = true
    return true
  }

  #repeats(data: Buffer, tagStart: number): boolean {
    const { count, slots } = this.#reader
    if (count > FEW) {
      const seen = new Set<string>()
      for (let at = 0; at < count * SLOTS; at += SLOTS) {
        seen.add(this.#names.get(data, tagStart + slots[at + NAME_FROM]!, tagStart + slots[at + NAME_TO]!))
      }
      return seen.size !== count
    }
    for (let at = SLOTS; at < count * SLOTS; at += SLOTS) {
      const from = tagStart + slots[at + NAME_FROM]!
      const length = slots[at + NAME_TO]! - slots[at + NAME_FROM]!
      for (let before = 0; before < at; before += SLOTS) {
        if (slots[before + NAME_TO]! - slots[before + NAME_FROM]! !== length) continue
        const other = tagStart + slots[before + NAME_FROM]!
        let i = 0
        while (i < length && data[from + i] === data[other + i]) i++
        if (i === length) return true
      }
    }
    return false
  }

  #repeatsExpanded(data: Buffer, tagStart: number): boolean {
    const { count, slots } = this.#reader
    const seen = new Set<string>()
    for (let i = 0; i < count; i++) {
      const at = i * SLOTS
      if (slots[at + COLON] === 0 || this.#reader.isDeclaration(data, tagStart, i)) continue
      const namespace = this.#scope.namespaceAt(this.#scope.find(this.#prefix(data, tagStart, at)))
      const expanded = `${this.#local(data, tagStart, at)} ${namespace}`
      if (seen.has(expanded)) return true
      seen.add(expanded)
    }
    return false
  }

  #prefix(data: Buffer, tagStart: number, at: number): string {
    const { slots } = this.#reader
    return this.#names.get(data, tagStart + slots[at + NAME_FROM]!, tagStart + slots[at + COLON]!)
  }

  #local(data: Buffer, tagStart: number, at: number): string {
    const { slots } = this.#reader
    const colon = slots[at + COLON]!
    return this.#names.get(
      data,
      tagStart + (colon === 0 ? slots[at + NAME_FROM]! : colon + 1),
      tagStart + slots[at + NAME_TO]!,
    )
  }

  #value(data: Buffer, tagStart: number, at: number): string {
    const { slots } = this.#reader
    const from = tagStart + slots[at + VALUE_FROM]!
    const to = tagStart + slots[at + VALUE_TO]!
    // Addresses, types and languages come again and again; an equal string also has its hash already.
    if (slots[at + ESCAPED] === 0) return this.#values.get(data, from, to)
    return unescapeValue(data.toString('utf8', from, to))
  }

  #namespace(data: Buffer, tagStart: number, at: number): string {
    const { slots } = this.#reader
    if (slots[at + ESCAPED] !== 0) return this.#value(data, tagStart, at)
    return this.#names.get(data, tagStart + slots[at + VALUE_FROM]!, tagStart + slots[at + VALUE_TO]!)
  }

  #fail(text: string): boolean {
    this.fault = text
    return false
  }
}
