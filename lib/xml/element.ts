import xml, { createElement, Element } from '@xmpp/xml'
import { NS_XML } from './namespaces.js'
import type { ElementToken, StartTag } from './token.js'
import { fill, setAttribute } from './tree.js'

export { createElement, Element, xml }

/**
 * The tree of an element. It stands alone: the namespaces in force outside of it are declared on its root, the prefixes
 * only where they may be needed.
 */
export function toElement(token: ElementToken): Element {
  const root = elementOf(token.tag)
  const { attrs } = root
  for (const [prefix, namespace] of token.scope) {
    const name = prefix === '' ? 'xmlns' : `xmlns:${prefix}`
    if (attributeOf(root, name) !== undefined) continue
    if (prefix === '' || !token.portable || usesPrefix(token.tag, prefix)) setAttribute(attrs, name, namespace)
  }
  fill(root, token.inner)
  return root
}

/** An element without children, with the attributes and declarations of its start tag. */
function elementOf(tag: StartTag): Element {
  const element = new Element(tag.prefix === '' ? tag.name : `${tag.prefix}:${tag.name}`)
  for (const { prefix, namespace } of tag.declarations) {
    setAttribute(element.attrs, prefix === '' ? 'xmlns' : `xmlns:${prefix}`, namespace)
  }
  for (const { prefix, name, value } of tag.attributes) {
    setAttribute(element.attrs, prefix === '' ? name : `${prefix}:${name}`, value)
  }
  return element
}

function usesPrefix(tag: StartTag, prefix: string): boolean {
  return tag.prefix === prefix || tag.attributes.some(attribute => attribute.prefix === prefix)
}

/** The value of an attribute by its name as written; undefined when it is absent, whatever objects inherit. */
export function attributeOf(element: Element, name: string): string | undefined {
  if (!Object.hasOwn(element.attrs, name)) return undefined
  const value: unknown = element.attrs[name]
  return value === undefined || value === null ? undefined : String(value)
}

/** The name without its prefix. */
export function localNameOf(element: Element): string {
  return element.name.slice(element.name.indexOf(':') + 1)
}

/** The namespace of an element, '' when it is in none (Namespaces in XML 1.0 §6.2: `xmlns=''` ends a default namespace). */
export function namespaceOf(element: Element): string {
  const colon = element.name.indexOf(':')
  return resolvePrefix(element, colon < 0 ? '' : element.name.slice(0, colon)) ?? ''
}

/** What a prefix, '' for the default namespace, stands for at an element; undefined when nothing declares it. */
export function resolvePrefix(element: Element, prefix: string): string | undefined {
  if (prefix === 'xml') return NS_XML
  const name = prefix === '' ? 'xmlns' : `xmlns:${prefix}`
  for (let at: Element | null = element; at !== null; at = at.parent) {
    const namespace = attributeOf(at, name)
    if (namespace !== undefined) return namespace
  }
  return undefined
}

/** The children that are elements. */
export function childrenOf(element: Element): Element[] {
  return element.children.filter((child): child is Element => child instanceof Element)
}

/** The first child element of that local name and namespace, whatever its prefix. */
export function childNamed(element: Element, name: string, namespace: string): Element | undefined {
  for (const child of element.children) {
    if (child instanceof Element && localNameOf(child) === name && namespaceOf(child) === namespace) return child
  }
  return undefined
}

/** The child elements of that local name and namespace, whatever their prefixes. */
export function childrenNamed(element: Element, name: string, namespace: string): Element[] {
  return childrenOf(element).filter(child => localNameOf(child) === name && namespaceOf(child) === namespace)
}

/** The text directly within an element, in one piece. */
export function textOf(element: Element): string {
  let text = ''
  for (const child of element.children) if (!(child instanceof Element)) text += String(child)
  return text
}
