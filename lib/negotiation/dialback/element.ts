import type { ErrorCondition } from '../../stanza/stanza-error.js'
import type { Element } from '../../xml/element.js'
import { attributeOf, childrenOf, localNameOf, namespaceOf, textOf } from '../../xml/element.js'
import { NS_DIALBACK, NS_STANZA_ERRORS } from '../../xml/namespaces.js'
import { escapeAttribute, escapeText } from '../../xml/serializer.js'

/** Why a dialback request could not be decided (XEP-0220 §2.4): a stanza error condition, or one borrowed from stream errors. */
export type DialbackCondition = ErrorCondition | 'remote-connection-failed'

/** A dialback element as it was received (XEP-0220 §2.1, §2.2); names not yet prepared. */
export interface DialbackElement {
  readonly step: 'result' | 'verify'
  readonly from: string | undefined
  readonly to: string | undefined
  /** On `verify` only: the id of the stream the key was sent on. */
  readonly id: string | undefined
  /** Absent on a request; `valid`, `invalid` or `error` on an answer. */
  readonly type: string | undefined
  /** The key of a request, white space trimmed. */
  readonly key: string
  /** The condition of an answer of type `error`. */
  readonly condition: string | undefined
}

/** Reads an element of the dialback namespace, whatever its prefix; undefined for a name that is none of dialback's. */
export function readDialback(element: Element, localName: string): DialbackElement | undefined {
  if (localName !== 'result' && localName !== 'verify') return undefined
  const type = attributeOf(element, 'type')
  const error = type === 'error' ? childrenOf(element).find(child => localNameOf(child) === 'error') : undefined
  const condition =
    error && childrenOf(error).find(child => namespaceOf(child) === NS_STANZA_ERRORS && localNameOf(child) !== 'text')
  return {
    step: localName,
    from: attributeOf(element, 'from'),
    to: attributeOf(element, 'to'),
    id: attributeOf(element, 'id'),
    type,
    key: type === undefined ? textOf(element).trim() : '',
    condition: condition && localNameOf(condition),
  }
}

/** A name is left out only of an error about a request that lacks it. */
interface Names {
  readonly from?: string | undefined
  readonly to?: string | undefined
  /** Present for `db:verify`. */
  readonly id?: string | undefined
}

function open(step: string, { from, to, id }: Names): string {
  const optional = (name: string, value: string | undefined): string =>
    value === undefined ? '' : ` ${name}='${escapeAttribute(value)}'`
  return `<db:${step} xmlns:db='${NS_DIALBACK}'${optional('from', from)}${optional('to', to)}${optional('id', id)}`
}

/** `<db:result>` or `<db:verify>` that carries a key. */
export function writeDialbackRequest(step: 'result' | 'verify', names: Names, key: string): string {
  return `${open(step, names)}>${escapeText(key)}</db:${step}>`
}

/** The answer to either. */
export function writeDialbackAnswer(step: 'result' | 'verify', names: Names, type: 'valid' | 'invalid'): string {
  return `${open(step, names)} type='${type}'/>`
}

/** An answer that says why nothing was decided (XEP-0220 §2.4); it leaves the stream alone. */
export function writeDialbackError(step: 'result' | 'verify', names: Names, condition: DialbackCondition): string {
  return `${open(step, names)} type='error'><error type='cancel'><${condition} xmlns='${NS_STANZA_ERRORS}'/></error></db:${step}>`
}
