import type { Stanza } from '../../../stanza/stanza.js'
import { readError } from '../../../stanza/stanza-error.js'
import { attributeOf, childrenOf, Element, localNameOf, namespaceOf, textOf } from '../../../xml/element.js'
import { CONTENT_NAMESPACES } from '../../../xml/namespaces.js'
import { escapeAttribute, escapeText } from '../../../xml/serializer.js'

const CONTENT: ReadonlySet<string> = new Set(CONTENT_NAMESPACES)

/** Whether an element of a client has a namespace of its own, as all payload in a stanza must have (RFC 6120 §8.4). */
export function isForeign(element: Element): boolean {
  const namespace = namespaceOf(element)
  return namespace !== '' && !CONTENT.has(namespace)
}

/** The payload among the children of a request. */
export function foreignChildren(request: Element): Element[] {
  return childrenOf(request).filter(isForeign)
}

/**
 * A child of a stanza as it stands in a XIMSS message: what is in the stanza's own namespace is in none there. Prefixes and
 * declarations stay where they are. To move one to the elements that use it would repeat it, and a stranger chooses how often.
 */
export function toXimss(element: Element): string {
  const { name } = element
  let tag = `<${name}`
  for (const key of Object.keys(element.attrs)) {
    const value = attributeOf(element, key)
    if (value !== undefined) tag += ` ${key}="${escapeAttribute(value)}"`
  }
  let inner = ''
  for (const child of element.children) {
    inner += child instanceof Element ? toXimss(child) : escapeText(String(child))
  }
  return inner === '' ? `${tag}/>` : `${tag}>${inner}</${name}>`
}

/** `<name>text</name>` of a XIMSS message. */
export function textTag(name: string, text: string): string {
  return text === '' ? `<${name}/>` : `<${name}>${escapeText(text)}</${name}>`
}

/** What a failed stanza says, for people and for programs. */
export function failureAttributes(stanza: Stanza): { errorText?: string; errorCondition?: string } {
  const error = readError(stanza)
  if (error === undefined) return {}
  const condition = error.condition.replaceAll('-', ' ')
  const added = error.text?.trim()
  return { errorText: added ? `${condition}: ${added}` : condition, errorCondition: error.condition }
}

/** The text of the first child of that name in the namespace; undefined when there is none. */
export function textOfChild(element: Element, name: string, namespace: string): string | undefined {
  const found = childrenOf(element).find(child => localNameOf(child) === name && namespaceOf(child) === namespace)
  return found === undefined ? undefined : textOf(found)
}
