import type { Rules } from '../negotiation/rules.js'
import { prepareDomain } from '../stanza/domain.js'
import type { StreamErrorCondition } from '../stream/stream-error.js'
import { readVersion } from '../stream/stream-header.js'
import { NS_SERVER, NS_STREAMS } from '../xml/namespaces.js'
import type { StartTag } from '../xml/token.js'
import type { SessionContext } from './context.js'

export interface AcceptedHeader {
  readonly to: string
  readonly from: string | undefined
  readonly rules: Rules
}

/** `to` is set when it is a served domain, so that our own header may name it. */
export interface RefusedHeader {
  readonly to?: string
  readonly condition: StreamErrorCondition
  readonly text: string
}

/** The names of the header before a restart; both undefined on a new connection. */
export interface EarlierNames {
  readonly local: string | undefined
  readonly remote: string | undefined
}

/** What a receiving entity checks of a stream header, in this order (RFC 6120 §4.7, §4.9.3). */
export function readIncomingHeader(
  tag: StartTag,
  context: SessionContext,
  earlier: EarlierNames,
): AcceptedHeader | RefusedHeader {
  const content = tag.declarations.find(({ prefix }) => prefix === '')?.namespace
  if (tag.name !== 'stream') return { condition: 'invalid-xml', text: 'the root element is not a stream' }
  if (tag.namespace !== NS_STREAMS)
    return { condition: 'invalid-namespace', text: 'the root is not in the streams namespace' }
  if (content !== NS_SERVER)
    return { condition: 'invalid-namespace', text: 'the content namespace is not jabber:server' }
  if (readVersion(tag.attribute('version')) === 'unsupported')
    return { condition: 'unsupported-version', text: 'version 1.0 is spoken here' }
  const toText = tag.attribute('to')
  const to = toText === undefined ? undefined : prepareDomain(toText)
  if (to === undefined) return { condition: 'improper-addressing', text: "'to' is missing or not a domain" }
  const state = context.domainState(to)
  if (state !== 'served')
    return { condition: state === 'gone' ? 'host-gone' : 'host-unknown', text: "the domain in 'to' is not served here" }
  const fromText = tag.attribute('from')
  const from = fromText === undefined ? undefined : prepareDomain(fromText)
  if (fromText !== undefined && from === undefined)
    return { to, condition: 'improper-addressing', text: "'from' is not a domain" }
  if (from !== undefined && context.domainState(from) === 'served')
    return { to, condition: 'invalid-from', text: "'from' is served here" }
  if (earlier.local !== undefined && to !== earlier.local)
    return { condition: 'improper-addressing', text: "'to' changed on restart" }
  if (earlier.remote !== undefined && from !== earlier.remote)
    return { to, condition: 'invalid-from', text: "'from' changed on restart" }
  const gate = context.gate(to, from ?? '', 'incoming')
  if ('refused' in gate) return { to, condition: 'policy-violation', text: 'refused by policy' }
  return { to, from, rules: gate.rules }
}
