import { isQualifiedName } from './characters.js'
import { attributeOf, Element, resolvePrefix } from './element.js'
import { escapeAttribute, escapeText } from './escape.js'

export { escapeAttribute, escapeText } from './escape.js'

const NONE: ReadonlySet<string> = new Set()

/**
 * The bytes-to-be of a tree that will stand where `defaultNamespace` is the default. Every element keeps its namespace:
 * what is in force outside the tree's root in its own document is declared where it is used; `xmlns` is written only where
 * the default changes. An element for which nothing declares a namespace takes that of its surroundings.
 *
 * Elements in a namespace of `content` are written as if they were in `defaultNamespace`, without prefix. Throws a
 * `TypeError` for a name that XML does not allow; text and values cannot fail (see `escapeText`).
 */
export function serialize(element: Element, defaultNamespace: string, content: ReadonlySet<string> = NONE): string {
  const inherited = element.parent === null ? undefined : resolvePrefix(element.parent, '')
  return new Serializer(defaultNamespace, content).write(element, inherited, defaultNamespace, NONE)
}

class Serializer {
  readonly #outermost: string
  readonly #content: ReadonlySet<string>

  constructor(outermost: string, content: ReadonlySet<string>) {
    this.#outermost = outermost
    this.#content = content
  }

  /**
   * `inherited` is the default namespace of the tree around the element, `current` that of the output there, `declared` the
   * prefixes that the output declares there.
   */
  write(element: Element, inherited: string | undefined, current: string, declared: ReadonlySet<string>): string {
    let name = element.name
    let known = declared
    let declarations = ''
    let attributes = ''
    const own = attributeOf(element, 'xmlns') ?? inherited
    let namespace = this.#map(own) ?? current
    const colon = name.indexOf(':')
    if (colon > 0) {
      const prefix = name.slice(0, colon)
      const bound = resolvePrefix(element, prefix)
      if (bound !== undefined && this.#content.has(bound)) {
        name = name.slice(colon + 1)
        namespace = this.#outermost
      } else {
        // Children ask for the default themselves where they need it.
        if (attributeOf(element, 'xmlns') === undefined) namespace = current
      }
    }
    for (const key of Object.keys(element.attrs)) {
      const value = attributeOf(element, key)
      if (value === undefined || key === 'xmlns') continue
      if (key.startsWith('xmlns:')) {
        if (this.#content.has(value)) continue
        known = new Set(known).add(key.slice(6))
      }
      attributes += ` ${checked(key)}='${escapeAttribute(value)}'`
    }
    for (const used of [name, ...Object.keys(element.attrs)]) {
      const at = used.indexOf(':')
      if (at < 0) continue
      const prefix = used.slice(0, at)
      if (prefix === 'xml' || prefix === 'xmlns' || known.has(prefix)) continue
      const bound = resolvePrefix(element, prefix)
      if (bound === undefined) continue
      known = new Set(known).add(prefix)
      declarations += ` xmlns:${prefix}='${escapeAttribute(bound)}'`
    }
    if (namespace !== current) declarations = ` xmlns='${escapeAttribute(namespace)}'${declarations}`
    const children = this.#children(element, own, namespace, known)
    const tag = `${checked(name)}${declarations}${attributes}`
    return children === '' ? `<${tag}/>` : `<${tag}>${children}</${name}>`
  }

  #children(element: Element, inherited: string | undefined, current: string, declared: ReadonlySet<string>): string {
    let all = ''
    for (const child of element.children) {
      if (child instanceof Element) all += this.write(child, inherited, current, declared)
      else if (child !== undefined && child !== null) all += escapeText(String(child))
    }
    return all
  }

  #map(namespace: string | undefined): string | undefined {
    return namespace !== undefined && this.#content.has(namespace) ? this.#outermost : namespace
  }
}

function checked(name: string): string {
  if (!isQualifiedName(name)) throw new TypeError('not a name of XML')
  return name
}
