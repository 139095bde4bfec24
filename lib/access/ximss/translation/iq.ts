import { randomBytes } from 'node:crypto'
import type { Jids } from '../../../stanza/jid.js'
import { Stanza } from '../../../stanza/stanza.js'
import { attributeOf, childNamed, childrenOf, createElement, type Element } from '../../../xml/element.js'
import { NS_CLIENT } from '../../../xml/namespaces.js'
import type { DataMessage } from '../data-message.js'
import type { Request } from '../request.js'
import { badParameter } from '../ximss-error.js'
import { failureAttributes, foreignChildren, isForeign, toXimss } from './payload.js'
import { optionalPeer, peerAttributes } from './peer.js'

/** `iqSend` as IQ, without sender (RFC 6120 §8.2.3). @throws XimssError 501 */
export function readIq(request: Request, jids: Jids): Stanza {
  const to = optionalPeer(request, jids)
  const type = request.required('type')
  const children = childrenOf(request.element)
  switch (type) {
    case 'get':
    case 'set': {
      const [payload] = children
      if (payload === undefined || children.length > 1 || !isForeign(payload)) throw badParameter('payload')
      // A client that does not care for the answer may leave the id to us.
      const id = request.attribute('iqid') || randomBytes(8).toString('hex')
      return Stanza.build('iq', { to, id, type }, [payload])
    }
    case 'result': {
      if (children.length > 1 || !children.every(isForeign)) throw badParameter('payload')
      return Stanza.build('iq', { to, id: request.required('iqid'), type }, children)
    }
    case 'error': {
      const error = childNamed(request.element, 'error', '')
      if (error === undefined) throw badParameter('error')
      const made = [...foreignChildren(request.element), copyError(error)]
      return Stanza.build('iq', { to, id: request.required('iqid'), type }, made)
    }
    default:
      throw badParameter('type')
  }
}

/** The children of `error` have a namespace of their own (RFC 6120 §8.3.2); the others are dropped. */
function copyError(error: Element): Element {
  const type = attributeOf(error, 'type') ?? 'cancel'
  const children = foreignChildren(error)
  // The children still ask those around them for their prefixes: the request, and the `error` that they are taken from.
  const declarations = Object.fromEntries(Object.entries(error.attrs).filter(([name]) => name.startsWith('xmlns:')))
  const made = createElement('error', { ...declarations, xmlns: NS_CLIENT, type }, ...children)
  made.parent = error.parent
  return made
}

/** IQ as `iqRead`. `peer` is the full address here, because it is what the answer must be sent to, or was asked. */
export function writeIqRead(stanza: Stanza): DataMessage {
  return {
    name: 'iqRead',
    attributes: {
      peer: stanza.from?.toString(),
      clientID: peerAttributes(stanza).clientID,
      type: stanza.type,
      iqid: stanza.id,
      ...failureAttributes(stanza),
    },
    content: childrenOf(stanza.element).map(toXimss).join(''),
  }
}
