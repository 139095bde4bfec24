import {
  attributeOf,
  childNamed,
  childrenOf,
  createElement,
  type Element,
  localNameOf,
  namespaceOf,
  textOf,
} from '../xml/element.js'
import { NS_CLIENT, NS_STANZA_ERRORS } from '../xml/namespaces.js'
import type { Jid } from './jid.js'
import { Stanza } from './stanza.js'

/** What the sender may do about it (RFC 6120 §8.3.2). */
export type ErrorType = 'auth' | 'cancel' | 'continue' | 'modify' | 'wait'

/** Every condition of RFC 6120 §8.3.3 with the type that its text recommends. */
const TYPES = {
  'bad-request': 'modify',
  conflict: 'cancel',
  'feature-not-implemented': 'cancel',
  forbidden: 'auth',
  gone: 'cancel',
  'internal-server-error': 'cancel',
  'item-not-found': 'cancel',
  'jid-malformed': 'modify',
  'not-acceptable': 'modify',
  'not-allowed': 'cancel',
  'not-authorized': 'auth',
  'policy-violation': 'modify',
  'recipient-unavailable': 'wait',
  redirect: 'modify',
  'registration-required': 'auth',
  'remote-server-not-found': 'cancel',
  'remote-server-timeout': 'wait',
  'resource-constraint': 'wait',
  'service-unavailable': 'cancel',
  'subscription-required': 'auth',
  'undefined-condition': 'cancel',
  'unexpected-request': 'wait',
} as const satisfies Readonly<Record<string, ErrorType>>

/** A defined condition of RFC 6120 §8.3.3. */
export type ErrorCondition = keyof typeof TYPES

/** The defined conditions, in the order of RFC 6120 §8.3.3. */
export const STANZA_ERROR_CONDITIONS = Object.keys(TYPES) as readonly ErrorCondition[]

const ERROR_TYPES: ReadonlySet<string> = new Set<ErrorType>(['auth', 'cancel', 'continue', 'modify', 'wait'])

/** What a stanza of type `error` says (RFC 6120 §8.3.2). */
export class StanzaError {
  readonly condition: ErrorCondition
  readonly type: ErrorType
  /** For people. It goes out to whoever sent the stanza: nothing that sender did not know may be in it. */
  readonly text?: string | undefined
  /** The entity that detected the error; undefined leaves it to be guessed from the sender. */
  readonly by?: Jid | undefined

  /** Without `type`, the one that RFC 6120 §8.3.3 gives for the condition. */
  constructor(
    condition: ErrorCondition,
    more: { readonly type?: ErrorType; readonly text?: string; readonly by?: Jid } = {},
  ) {
    this.condition = condition
    this.type = more.type ?? TYPES[condition]
    this.text = more.text
    this.by = more.by
  }
}

/**
 * The answer that tells a stanza's sender of an error (RFC 6120 §8.3.1): same kind and id, addresses swapped. What the
 * stanza carried is not sent back. Throws a `TypeError` for a stanza that must not be answered so, see `Stanza.answerable`.
 */
export function errorReply(stanza: Stanza, error: StanzaError): Stanza {
  if (!stanza.answerable) throw new TypeError('an error or a result is not answered with an error')
  const details: Element[] = [createElement(error.condition, { xmlns: NS_STANZA_ERRORS })]
  if (error.text !== undefined && error.text !== '') {
    details.push(createElement('text', { xmlns: NS_STANZA_ERRORS, 'xml:lang': 'en' }, error.text))
  }
  const by = error.by === undefined ? {} : { by: error.by.toString() }
  const child = createElement('error', { type: error.type, ...by }, ...details)
  return Stanza.build(stanza.kind, { from: stanza.to, to: stanza.from, id: stanza.id, type: 'error' }, [child])
}

/**
 * What a stanza of type `error` says, undefined for any other stanza. A missing or unknown condition reads as
 * `undefined-condition` (RFC 6120 §8.3.3.21), an unknown type as the one of the condition.
 */
export function readError(stanza: Stanza): StanzaError | undefined {
  if (!stanza.isError) return undefined
  const error = stanza.childNamed('error', NS_CLIENT)
  const parts = error === undefined ? [] : childrenOf(error).filter(child => namespaceOf(child) === NS_STANZA_ERRORS)
  const condition = parts.map(localNameOf).find(isCondition) ?? 'undefined-condition'
  const type = error && attributeOf(error, 'type')
  const words = error && childNamed(error, 'text', NS_STANZA_ERRORS)
  return new StanzaError(condition, {
    ...(type !== undefined && isErrorType(type) ? { type } : {}),
    ...(words === undefined ? {} : { text: textOf(words) }),
  })
}

function isCondition(name: string): name is ErrorCondition {
  return Object.hasOwn(TYPES, name)
}

function isErrorType(type: string): type is ErrorType {
  return ERROR_TYPES.has(type)
}
