import { type Request, readRequest } from '../../../../lib/access/ximss/request.js'
import { Jids } from '../../../../lib/stanza/jid.js'
import { Stanza } from '../../../../lib/stanza/stanza.js'
import { NS_CLIENT } from '../../../../lib/xml/namespaces.js'
import { Tokenizer } from '../../../../lib/xml/tokenizer.js'

export const jids = new Jids()

/** The request that a text is. */
export function requestOf(text: string): Request {
  const request = readRequest(Buffer.from(text))
  if ('problem' in request) throw new Error(request.problem)
  return request
}

/** The stanza that a text is, in `jabber:client` unless it says otherwise, as if it had come over a stream. */
export function stanzaOf(text: string): Stanza {
  const limits = {
    streamBytes: 1e6,
    elementBytes: 1e6,
    skippedBytes: 1e6,
    startTagBytes: 1e5,
    attributes: 50,
    declarations: 20,
    depth: 50,
    elements: 1000,
    streamElements: 1000,
  }
  const tokenizer = new Tokenizer({ mode: 'document', limits, contentNamespaces: [NS_CLIENT, 'jabber:server'] })
  tokenizer.write(Buffer.from(text.replace(/^<(\w+)/, `<$1 xmlns='${NS_CLIENT}'`)))
  const token = tokenizer.next()
  if (token?.kind !== 'element') throw new Error(token?.kind === 'error' ? token.text : 'no element')
  const stanza = Stanza.fromToken(token, jids)
  if ('defect' in stanza) throw new Error(stanza.defect)
  return stanza
}
