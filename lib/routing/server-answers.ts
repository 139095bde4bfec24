import { Stanza } from '../stanza/stanza.js'
import { createElement, type Element } from '../xml/element.js'
import { NS_DISCO_INFO, NS_PING } from '../xml/namespaces.js'

/** What the server answers in its own name, and for an account's bare address. */
export function answerForServer(request: Stanza): Stanza | undefined {
  if (request.kind !== 'iq' || request.type !== 'get') return undefined
  if (request.childNamed('ping', NS_PING) !== undefined) return result(request, [])
  if (request.to?.local === '' && request.childNamed('query', NS_DISCO_INFO) !== undefined) {
    return result(request, [
      createElement(
        'query',
        { xmlns: NS_DISCO_INFO },
        createElement('identity', { category: 'server', type: 'im', name: 'Comity' }),
        createElement('feature', { var: NS_DISCO_INFO }),
        createElement('feature', { var: NS_PING }),
      ),
    ])
  }
  return undefined
}

function result(request: Stanza, children: Element[]): Stanza {
  return Stanza.build('iq', { to: request.from, from: request.to, id: request.id, type: 'result' }, children)
}
