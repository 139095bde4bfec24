import type { Jids } from '../../../stanza/jid.js'
import { Stanza } from '../../../stanza/stanza.js'
import {
  attributeOf,
  childrenOf,
  createElement,
  type Element,
  localNameOf,
  namespaceOf,
  textOf,
} from '../../../xml/element.js'
import { escapeText } from '../../../xml/serializer.js'
import type { DataMessage } from '../data-message.js'
import type { Request } from '../request.js'
import { badParameter } from '../ximss-error.js'
import { failureAttributes, isForeign, textTag, toXimss } from './payload.js'
import { peerAttributes, requiredPeer } from './peer.js'

/** XEP-0085 §5.1 */
export const NS_CHAT_STATES = 'http://jabber.org/protocol/chatstates'

const CHAT_STATES: ReadonlySet<string> = new Set(['active', 'composing', 'paused', 'inactive', 'gone'])

/** Unqualified children that have a meaning in a message (RFC 6121 §5.2). */
const TEXTS: ReadonlySet<string> = new Set(['body', 'subject', 'thread'])

/** What a client may send; `error` is for servers to say. */
const TYPES: ReadonlySet<string> = new Set(['chat', 'normal', 'headline', 'groupchat'])

/** `sendIM` as a message, without sender. @throws XimssError 501 */
export function readMessage(request: Request, jids: Jids): Stanza {
  const to = requiredPeer(request, jids)
  const type = request.attribute('type')
  if (type !== undefined && !TYPES.has(type)) throw badParameter('type')
  const children = messageChildren(request.element)
  if (children.length === 0) throw badParameter('body')
  return Stanza.build('message', { to, id: request.attribute('iqid'), type }, children)
}

function messageChildren(request: Element): Element[] {
  const made: Element[] = []
  const children = childrenOf(request)
  const text = textOf(request)
  const hasBody = children.some(child => namespaceOf(child) === '' && localNameOf(child) === 'body')
  // White space between child elements is layout; a message of nothing else is what somebody typed.
  if (!hasBody && text !== '' && (children.length === 0 || text.trim() !== ''))
    made.push(createElement('body', {}, text))
  for (const child of children) {
    const name = localNameOf(child)
    if (isForeign(child)) made.push(child)
    else if (namespaceOf(child) !== '') continue
    else if (TEXTS.has(name)) made.push(copyText(child))
    else if (CHAT_STATES.has(name)) made.push(createElement(name, { xmlns: NS_CHAT_STATES }))
  }
  return made
}

function copyText(element: Element): Element {
  const copy = createElement(localNameOf(element), {}, textOf(element))
  for (const name of ['xml:lang', 'parent']) {
    const value = attributeOf(element, name)
    if (value !== undefined) copy.attrs[name] = value
  }
  return copy
}

/**
 * A message as `readIM`. In the new form (clients of version 6.1 or later) the first child is what is told, and the rest of the
 * message follows; in the old form the text stands in `readIM` itself. Undefined when there is nothing the client could be shown.
 */
export function writeReadIm(stanza: Stanza, isNewForm: boolean): DataMessage | undefined {
  const attributes = { ...peerAttributes(stanza), type: stanza.type, iqid: stanza.id }
  return stanza.type === 'error' ? failedIm(stanza, attributes, isNewForm) : receivedIm(stanza, attributes, isNewForm)
}

type Attributes = DataMessage['attributes']

function failedIm(stanza: Stanza, attributes: Attributes, isNewForm: boolean): DataMessage {
  const failure = failureAttributes(stanza)
  const words = `message not delivered: ${failure.errorText}`
  return {
    name: 'readIM',
    attributes: { ...attributes, ...failure },
    content: isNewForm ? textTag('body', words) : escapeText(words),
  }
}

function receivedIm(stanza: Stanza, attributes: Attributes, isNewForm: boolean): DataMessage | undefined {
  const children = childrenOf(stanza.element)
  const body = stanza.childNamed('body')
  const state = children.find(isChatState)
  // A chat state stands alone; beside a text it says nothing that the text does not.
  if (body === undefined && state !== undefined)
    return { name: 'readIM', attributes, content: `<${localNameOf(state)}/>` }
  if (!isNewForm) {
    return body === undefined ? undefined : { name: 'readIM', attributes, content: escapeText(textOf(body)) }
  }
  const rest = children.filter(child => child !== body && !isChatState(child))
  const told = body === undefined ? rest : [body, ...rest]
  return told.length === 0 ? undefined : { name: 'readIM', attributes, content: told.map(toXimss).join('') }
}

function isChatState(element: Element): boolean {
  return namespaceOf(element) === NS_CHAT_STATES && CHAT_STATES.has(localNameOf(element))
}
