import { isQualifiedName } from './characters.js'
import { attributeOf, Element, resolvePrefix } from './element.js'
import { escapeAttribute, escapeText } from './escape.js'

export { escapeAttribute, escapeText } from './escape.js'

const NONE: ReadonlySet<string> = new Set()

/** Bytes of declarations that one call adds to what the tree itself declares. Honest trees need a few hundred. */
const MOST_ADDED = 65_536

/**
 * The text of a tree that will stand where `defaultNamespace` is the default. Every element keeps its namespace: what is in
 * force outside the tree's root in its own document is declared where it is used; `xmlns` is written only where the default
 * changes. An element for which nothing declares a namespace takes that of its surroundings.
 *
 * Elements in a namespace of `content` are written as if they were in `defaultNamespace`, without prefix. Throws a
 * `TypeError` for a name that XML does not allow, a `RangeError` for a tree that would grow beyond measure because its
 * namespaces must be declared again and again; text and values cannot fail (see `escapeText`).
 */
export function serialize(element: Element, defaultNamespace: string, content: ReadonlySet<string> = NONE): string {
  return serializeAll([element], defaultNamespace, content)
}

/** Like `serialize` for elements and text that will stand side by side. */
export function serializeAll(
  nodes: readonly (Element | string)[],
  defaultNamespace: string,
  content: ReadonlySet<string> = NONE,
): string {
  const serializer = new Serializer(defaultNamespace, content)
  let all = ''
  for (const node of nodes) {
    if (!(node instanceof Element)) all += escapeText(String(node))
    else
      all += serializer.write(node, node.parent === null ? undefined : resolvePrefix(node.parent, ''), defaultNamespace)
  }
  return all
}

class Serializer {
  readonly #outermost: string
  readonly #content: ReadonlySet<string>
  /** Prefixes that the output declares where it stands, as the tree means them there. */
  readonly #declared = new Set<string>()
  #added = 0

  constructor(outermost: string, content: ReadonlySet<string>) {
    this.#outermost = outermost
    this.#content = content
  }

  /** `inherited` is the default namespace around the element in its tree, `current` the one around it in the output. */
  write(element: Element, inherited: string | undefined, current: string): string {
    const undo: [prefix: string, was: boolean][] = []
    const own = attributeOf(element, 'xmlns')
    const name = this.#nameOf(element)
    const keys = Object.keys(element.attrs)
    let attributes = this.#declarations(element, keys, undo)
    attributes += this.#missing(element, name, undo)
    for (const key of keys) {
      if (key === 'xmlns' || key.startsWith('xmlns:')) continue
      const value = attributeOf(element, key)
      if (value === undefined) continue
      attributes += `${this.#missing(element, key, undo)} ${checked(key)}='${escapeAttribute(value)}'`
    }
    const namespace = this.#defaultAt(element, name, own, inherited, current)
    if (namespace !== current) attributes = `${this.#declaration('xmlns', namespace, own !== undefined)}${attributes}`
    let children = ''
    for (const child of element.children) {
      if (child instanceof Element) children += this.write(child, own ?? inherited, namespace)
      else if (child !== undefined && child !== null) children += escapeText(String(child))
    }
    for (const [prefix, was] of undo.reverse()) {
      if (was) this.#declared.add(prefix)
      else this.#declared.delete(prefix)
    }
    const tag = `${checked(name)}${attributes}`
    return children === '' ? `<${tag}/>` : `<${tag}>${children}</${name}>`
  }

  /** The name to write: an element of the content loses its prefix. */
  #nameOf(element: Element): string {
    const { name } = element
    const colon = name.indexOf(':')
    if (colon <= 0) return name
    const bound = resolvePrefix(element, name.slice(0, colon))
    return bound !== undefined && this.#content.has(bound) ? name.slice(colon + 1) : name
  }

  /** The default namespace to be in force on the element. */
  #defaultAt(
    element: Element,
    name: string,
    own: string | undefined,
    inherited: string | undefined,
    current: string,
  ): string {
    if (name !== element.name) return this.#outermost
    // Behind a prefix the default does not matter; children ask for theirs.
    const wanted = name.includes(':') ? own : (own ?? inherited)
    if (wanted === undefined) return current
    return this.#content.has(wanted) ? this.#outermost : wanted
  }

  /** The prefixes that the element declares itself, without those of the content. */
  #declarations(element: Element, keys: readonly string[], undo: [string, boolean][]): string {
    let all = ''
    for (const key of keys) {
      if (!key.startsWith('xmlns:')) continue
      const value = attributeOf(element, key)
      if (value === undefined) continue
      const prefix = key.slice(6)
      undo.push([prefix, this.#declared.has(prefix)])
      if (this.#content.has(value)) this.#declared.delete(prefix)
      else {
        this.#declared.add(prefix)
        all += ` ${checked(key)}='${escapeAttribute(value)}'`
      }
    }
    return all
  }

  /** The declaration that a name needs and the output does not have there. */
  #missing(element: Element, name: string, undo: [string, boolean][]): string {
    const colon = name.indexOf(':')
    if (colon <= 0) return ''
    const prefix = name.slice(0, colon)
    if (prefix === 'xml' || this.#declared.has(prefix)) return ''
    const bound = resolvePrefix(element, prefix)
    if (bound === undefined) return ''
    undo.push([prefix, false])
    this.#declared.add(prefix)
    return this.#declaration(`xmlns:${prefix}`, bound, false)
  }

  #declaration(name: string, namespace: string, isOwn: boolean): string {
    const text = ` ${name}='${escapeAttribute(namespace)}'`
    if (!isOwn && (this.#added += text.length) > MOST_ADDED) throw new RangeError('too many namespace declarations')
    return text
  }
}

function checked(name: string): string {
  if (!isQualifiedName(name)) throw new TypeError('not a name of XML')
  return name
}
