import type { Jid, Jids } from '../../../stanza/jid.js'
import type { Stanza } from '../../../stanza/stanza.js'
import type { Request } from '../request.js'
import { badParameter } from '../ximss-error.js'

/** The address a request is for. @throws XimssError 501 when there is none or it is no address (RFC 7622) */
export function requiredPeer(request: Request, jids: Jids): Jid {
  return optionalPeer(request, jids) ?? fail()
}

/** The same; undefined when the attribute is absent. */
export function optionalPeer(request: Request, jids: Jids): Jid | undefined {
  const text = request.attribute('peer')
  return text === undefined ? undefined : (jids.parse(text) ?? fail())
}

/** Who a stanza is from, in the two attributes that say it: the account or domain, and its resource. */
export function peerAttributes({ from }: Stanza): { peer: string | undefined; clientID: string | undefined } {
  return { peer: from?.bare.toString(), clientID: from?.resource || undefined }
}

function fail(): never {
  throw badParameter('peer')
}
