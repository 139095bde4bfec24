import { isOnionName, isUsableRemoteName } from '../stanza/domain.js'
import type { EndReason } from '../stream/end-reason.js'

/**
 * Why nobody can be reached under a canonical domain, whatever DNS says; undefined when it is worth an attempt. `isRouted`
 * says whether something of ours leads there: such a domain need not be a usable public name.
 */
export function unreachableName(domain: string, isRouted: (domain: string) => boolean): EndReason | undefined {
  if (isUsableRemoteName(domain) || isRouted(domain)) return undefined
  if (!isOnionName(domain)) return { kind: 'address', detail: 'malformed' }
  return { kind: 'address', detail: 'onion-without-proxy', text: 'xmpp.server.proxy is not set' }
}
