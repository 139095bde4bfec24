import type { Stanza } from '../../../stanza/stanza.js'
import { readError } from '../../../stanza/stanza-error.js'
import {
  attributeOf,
  childrenOf,
  Element,
  localNameOf,
  namespaceOf,
  resolvePrefix,
  textOf,
} from '../../../xml/element.js'
import { CONTENT_NAMESPACES, NS_CLIENT } from '../../../xml/namespaces.js'
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

/** A child of a stanza as it stands in a XIMSS message: what is in the stanza's own namespace is in none there. */
export function toXimss(element: Element): string {
  return write(element, NS_CLIENT)
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

/** Without element prefixes; the default namespace is declared where it differs from the one `around`. */
function write(element: Element, around: string): string {
  const namespace = namespaceOf(element)
  const name = localNameOf(element)
  let tag = `<${name}`
  if (namespace !== around) tag += ` xmlns="${escapeAttribute(namespace)}"`
  const declared = new Set(['xml', 'xmlns'])
  for (const key of Object.keys(element.attrs)) {
    const value = attributeOf(element, key)
    if (value === undefined || key === 'xmlns' || key.startsWith('xmlns:')) continue
    const prefix = key.includes(':') ? key.slice(0, key.indexOf(':')) : 'xml'
    if (!declared.has(prefix)) {
      declared.add(prefix)
      tag += ` xmlns:${prefix}="${escapeAttribute(resolvePrefix(element, prefix) ?? '')}"`
    }
    tag += ` ${key}="${escapeAttribute(value)}"`
  }
  let inner = ''
  for (const child of element.children) {
    inner += child instanceof Element ? write(child, namespace) : escapeText(String(child))
  }
  return inner === '' ? `${tag}/>` : `${tag}>${inner}</${name}>`
}
