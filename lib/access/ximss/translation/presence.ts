import type { Jids } from '../../../stanza/jid.js'
import { Stanza } from '../../../stanza/stanza.js'
import { childrenOf, createElement, type Element, namespaceOf } from '../../../xml/element.js'
import { NS_CLIENT } from '../../../xml/namespaces.js'
import type { DataMessage } from '../data-message.js'
import type { Request } from '../request.js'
import { badParameter } from '../ximss-error.js'
import { failureAttributes, foreignChildren, textOfChild, textTag, toXimss } from './payload.js'
import { optionalPeer, peerAttributes } from './peer.js'

/** State words of a client to what XMPP shows (RFC 6121 §4.7.2.1); '' is available without `show`. */
const SHOW_OF_STATE: Readonly<Record<string, string>> = {
  online: '',
  away: 'away',
  'be-back': 'away',
  'out-lunch': 'xa',
  busy: 'dnd',
  'in-meeting': 'dnd',
  'on-phone': 'dnd',
  invisible: 'unavailable',
  offline: 'unavailable',
}

/** And back. */
const STATE_OF_SHOW: Readonly<Record<string, string>> = { chat: 'online', away: 'away', xa: 'away', dnd: 'busy' }

/** Presence between accounts and of servers: passed through in both directions, to be addressed to somebody. */
const DIRECTED_TYPES: ReadonlySet<string> = new Set(['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed', 'probe'])

/** `presenceSet` as presence, without sender. @throws XimssError 501 */
export function readPresence(request: Request, jids: Jids): Stanza {
  const to = optionalPeer(request, jids)
  const type = request.attribute('type') || undefined
  if (type !== undefined && DIRECTED_TYPES.has(type)) {
    if (to === undefined) throw badParameter('peer')
    // RFC 6121 §3.1.1: subscriptions are between bare addresses.
    return Stanza.build('presence', { to: type === 'probe' ? to : to.bare, type, id: request.attribute('iqid') }, [
      ...statusOf(request.element),
      ...foreignChildren(request.element),
    ])
  }
  if (type !== undefined && type !== 'unavailable' && type !== 'available') throw badParameter('type')
  return ownPresence(request, to, type === 'unavailable')
}

function ownPresence(request: Request, to: ReturnType<typeof optionalPeer>, isUnavailable: boolean): Stanza {
  const { element } = request
  const word = textOfChild(element, 'presence', '')?.trim() ?? ''
  const known = word === '' ? '' : Object.hasOwn(SHOW_OF_STATE, word) ? SHOW_OF_STATE[word] : undefined
  const id = request.attribute('iqid')
  // A word of the client's own is told as it is, unless something else is.
  const status =
    known === undefined && !textOfChild(element, 'status', '') ? [createElement('status', {}, word)] : statusOf(element)
  if (isUnavailable || known === 'unavailable') {
    return Stanza.build('presence', { to, id, type: 'unavailable' }, [...status, ...foreignChildren(element)])
  }
  const asked = textOfChild(element, 'show', '')?.trim() ?? ''
  const show = Object.hasOwn(STATE_OF_SHOW, asked) ? asked : (known ?? '')
  return Stanza.build('presence', { to, id }, [
    ...(show === '' ? [] : [createElement('show', {}, show)]),
    ...status,
    ...priorityOf(element),
    ...foreignChildren(element),
  ])
}

function statusOf(element: Element): Element[] {
  const status = textOfChild(element, 'status', '')
  return status === undefined ? [] : [createElement('status', {}, status)]
}

function priorityOf(element: Element): Element[] {
  const text = textOfChild(element, 'priority', '')?.trim()
  if (text === undefined || text === '') return []
  const priority = /^[+-]?\d{1,3}$/.test(text) ? Number(text) : Number.NaN
  if (!(priority >= -128 && priority <= 127)) throw badParameter('priority')
  return [createElement('priority', {}, String(priority))]
}

/** Presence as `presence`. Undefined for what is not for clients. */
export function writePresence(stanza: Stanza): DataMessage | undefined {
  const { type } = stanza
  if (type === 'probe') return undefined
  const attributes = { ...peerAttributes(stanza), type }
  if (type === 'error') {
    return { name: 'presence', attributes: { ...attributes, iqid: stanza.id, ...failureAttributes(stanza) } }
  }
  const show = stanza.textOf('show')?.trim() ?? ''
  const state = Object.hasOwn(STATE_OF_SHOW, show) ? STATE_OF_SHOW[show] : undefined
  const status = stanza.textOf('status')
  const parts: string[] = []
  // Clients take presence without a state word as offline.
  if (type === undefined) parts.push(textTag('presence', state ?? 'online'))
  if (type === undefined && state !== undefined) parts.push(textTag('show', show))
  if (status !== undefined) parts.push(textTag('status', status))
  for (const child of childrenOf(stanza.element)) if (namespaceOf(child) !== NS_CLIENT) parts.push(toXimss(child))
  return { name: 'presence', attributes, content: parts.join('') }
}
