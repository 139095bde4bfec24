import * as fc from 'fast-check'
import {
  attributeOf,
  childrenOf,
  type Element,
  localNameOf,
  namespaceOf,
  resolvePrefix,
} from '../../lib/xml/element.js'

/** A tree as plain data with every name expanded: what it means, whatever its prefixes. Declarations are left out. */
export function meaning(element: Element, rename: (namespace: string) => string = namespace => namespace): unknown {
  const attributes = Object.keys(element.attrs)
    .filter(name => name !== 'xmlns' && !name.startsWith('xmlns:'))
    .map(name => {
      const colon = name.indexOf(':')
      const namespace = colon < 0 ? '' : (resolvePrefix(element, name.slice(0, colon)) ?? 'unbound')
      return [namespace, name.slice(colon + 1), attributeOf(element, name)]
    })
    .sort()
  const children: unknown[] = []
  const elements = new Set(childrenOf(element))
  for (const child of element.children) {
    if (typeof child !== 'string') children.push(elements.has(child) ? meaning(child, rename) : child)
    else if (typeof children.at(-1) === 'string') children.push(`${children.pop()}${child}`)
    else children.push(child)
  }
  return [rename(namespaceOf(element)), localNameOf(element), attributes, children]
}

export function equalTrees(one: Element, other: Element, rename?: (namespace: string) => string): boolean {
  return JSON.stringify(meaning(one, rename)) === JSON.stringify(meaning(other, rename))
}

/** Any characters XML can hold, and half of those it cannot. */
export const anyText = fc.string({ unit: 'binary', maxLength: 12 })
const names = fc.constantFrom('a', 'b', 'message', 'body', 'ä-1', '__proto__', 'hasOwnProperty', 'constructor')
const namespaces = fc.constantFrom('u', 'v', "w'&<", 'jabber:client', 'jabber:server')
const raw = fc.constantFrom('x', ' ', '\n', '\r\n', '&amp;', '&#xe4;', '&#13;', '€', ']]', '😀', '&gt;', '"', '\t')

interface Shape {
  name: string
  prefix: string
  default: string | undefined
  bound: string | undefined
  attributes: Record<string, string>
  prefixed: boolean
  children: (Shape | string)[]
}

const { shape } = fc.letrec<{ shape: Shape }>(tie => ({
  shape: fc.record({
    name: names,
    prefix: fc.constantFrom('', '', 'p', 'q', 's'),
    default: fc.option(fc.oneof(namespaces, fc.constant('')), { nil: undefined }),
    bound: fc.option(namespaces, { nil: undefined }),
    attributes: fc.dictionary(
      names,
      fc.array(raw, { maxLength: 3 }).map(all => all.join('').replaceAll('"', '&quot;')),
      { maxKeys: 2 },
    ),
    prefixed: fc.boolean(),
    children: fc.array(
      fc.oneof(
        { depthSize: 'small' },
        fc.array(raw, { maxLength: 4 }).map(all => all.join('')),
        tie('shape'),
      ),
      { maxLength: 3 },
    ),
  }),
}))

function write(from: Shape, known: ReadonlySet<string>): string {
  const prefixes = new Set(known)
  let tag = ''
  if (from.default !== undefined) tag += ` xmlns="${escaped(from.default)}"`
  if (from.bound !== undefined && from.prefix !== '') {
    tag += ` xmlns:${from.prefix}='${escaped(from.bound)}'`
    prefixes.add(from.prefix)
  }
  const usable = from.prefix !== '' && prefixes.has(from.prefix)
  const name = usable ? `${from.prefix}:${from.name}` : from.name
  for (const [key, value] of Object.entries(from.attributes)) {
    tag += `\n${usable && from.prefixed ? `${from.prefix}:` : ''}${key} = "${value}"`
  }
  const inside = from.children.map(child => (typeof child === 'string' ? child : write(child, prefixes))).join('')
  return inside === '' ? `<${name}${tag}/>` : `<${name}${tag}>${inside}</${name} >`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll("'", '&apos;')
}

/** Elements in which the prefixes `p` and `q` may be used without being declared inside. */
export const xmlElements = shape.map(from => write(from, new Set(['p', 'q'])))
/** Elements that declare what they use. */
export const xmlDocuments = shape.map(from => write(from, new Set()))
