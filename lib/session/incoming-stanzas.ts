import { DomainPair } from '../stanza/domain-pair.js'
import { Stanza } from '../stanza/stanza.js'
import { errorReply, type StanzaError } from '../stanza/stanza-error.js'
import { childrenOf } from '../xml/element.js'
import { NS_SERVER } from '../xml/namespaces.js'
import type { ElementToken, OversizeToken, StartTag } from '../xml/token.js'
import type { IncomingHost } from './incoming-host.js'

/** Stanzas of a pair that is not proven here, before it stops looking like an accident. */
const MOST_UNPROVEN = 10

const PRESENCE_TYPES: ReadonlySet<string> = new Set([
  'error',
  'probe',
  'subscribe',
  'subscribed',
  'unavailable',
  'unsubscribe',
  'unsubscribed',
])

/** The edge through which stanzas of other servers come in: each is checked here against the proven pairs, once, and routed. */
export class IncomingStanzas {
  accepted = 0
  readonly #session: IncomingHost
  #unproven = 0

  constructor(session: IncomingHost) {
    this.#session = session
  }

  receive(token: ElementToken): void {
    const { stream, context, pairs } = this.#session
    if (!isStanza(token.tag)) return stream.fail('unsupported-stanza-type', `<${token.tag.name}> is not a stanza`)
    if (pairs.size === 0) return this.#tooEarly()
    const stanza = Stanza.fromToken(token, context.jids)
    if ('defect' in stanza) return stream.fail('improper-addressing', "'to' and 'from' must both be valid addresses")
    const { from, to } = stanza
    if (from === undefined || to === undefined)
      return stream.fail('improper-addressing', "'to' and 'from' must both be there")
    if (!this.#addressed(stanza, from.domain, to.domain)) return
    const defect = stanza.kind === 'message' ? undefined : formDefect(stanza)
    if (defect !== undefined) return this.#answer(stanza, { condition: 'bad-request', type: 'modify', text: defect })
    this.accepted++
    const congestion = context.route(stanza)
    if (congestion !== undefined) {
      stream.hold()
      congestion.onRelief(() => stream.release())
    }
  }

  /** A stanza over the size limit has been read over: its sender is told, the stream goes on (XEP-0478). */
  oversize(token: OversizeToken): void {
    const { stream, context, pairs } = this.#session
    if (!isStanza(token.tag) || pairs.size === 0) return stream.fail('policy-violation', 'element too large')
    const stanza = Stanza.fromToken(
      { kind: 'element', tag: token.tag, inner: Buffer.alloc(0), portable: true, scope: new Map(), bytes: token.bytes },
      context.jids,
    )
    if ('defect' in stanza || stanza.from === undefined || stanza.to === undefined) {
      return stream.fail('improper-addressing', "'to' and 'from' must both be valid addresses")
    }
    if (!this.#addressed(stanza, stanza.from.domain, stanza.to.domain)) return
    this.#answer(stanza, { condition: 'policy-violation', type: 'modify', text: 'the stanza is too large' })
  }

  #tooEarly(): void {
    const { stream, rules, encrypted } = this.#session
    if (rules?.tls === 'required' && !encrypted) stream.fail('policy-violation', 'TLS is required')
    else stream.fail('not-authorized', 'no domain pair has been proven on this stream')
  }

  /** Exact equality of domains with a pair proven on this stream; a proof says nothing about sub-domains. */
  #addressed(stanza: Stanza, from: string, to: string): boolean {
    const { stream, context, pairs } = this.#session
    if (!pairs.hasRemote(from)) {
      stream.fail('invalid-from', "the domain of 'from' has not been proven on this stream")
      return false
    }
    const state = context.domainState(to)
    if (state === 'foreign') {
      stream.fail('host-unknown', "the domain of 'to' is not served here")
      return false
    }
    if (state === 'gone') {
      this.#answer(stanza, { condition: 'item-not-found', type: 'cancel', text: 'the domain is no longer served here' })
      return false
    }
    if (pairs.proofOf(to, from) === undefined) {
      this.#unproven++
      if (this.#unproven > MOST_UNPROVEN)
        stream.fail('policy-violation', 'stanzas for pairs that are not proven on this stream')
      else
        this.#answer(stanza, { condition: 'not-authorized', type: 'auth', text: 'the domain pair has not been proven' })
      return false
    }
    if ('refused' in context.gate(to, from, 'incoming')) {
      pairs.remove(new DomainPair(to, from))
      this.#answer(stanza, {
        condition: 'not-allowed',
        type: 'cancel',
        text: 'this server does not exchange stanzas with that domain',
      })
      if (pairs.size === 0) stream.fail('policy-violation', 'refused by policy')
      return false
    }
    return true
  }

  #answer(stanza: Stanza, error: StanzaError): void {
    if (stanza.answerable) this.#session.context.route(errorReply(stanza, error))
  }
}

function isStanza(tag: StartTag): boolean {
  return tag.namespace === NS_SERVER && (tag.name === 'message' || tag.name === 'presence' || tag.name === 'iq')
}

/** What is wrong with the form of an iq or presence (RFC 6120 §8.2.3, RFC 6121 §4.7.1). */
function formDefect(stanza: Stanza): string | undefined {
  if (stanza.kind === 'presence') {
    return stanza.type === undefined || PRESENCE_TYPES.has(stanza.type) ? undefined : 'unknown presence type'
  }
  if (stanza.id === undefined) return 'an iq needs an id'
  switch (stanza.type) {
    case 'result':
    case 'error':
      return undefined
    case 'get':
    case 'set':
      return childrenOf(stanza.element).length === 1 ? undefined : 'an iq request needs exactly one child element'
    default:
      return 'unknown iq type'
  }
}
