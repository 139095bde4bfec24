import type { Element } from '../xml/element.js'
import { childrenOf, localNameOf, namespaceOf, textOf } from '../xml/element.js'
import { NS_STREAM_ERRORS } from '../xml/namespaces.js'
import { escapeText } from '../xml/serializer.js'

/** The conditions of RFC 6120 §4.9.3. */
export const STREAM_ERROR_CONDITIONS = [
  'bad-format',
  'bad-namespace-prefix',
  'conflict',
  'connection-timeout',
  'host-gone',
  'host-unknown',
  'improper-addressing',
  'internal-server-error',
  'invalid-from',
  'invalid-namespace',
  'invalid-xml',
  'not-authorized',
  'not-well-formed',
  'policy-violation',
  'remote-connection-failed',
  'reset',
  'resource-constraint',
  'restricted-xml',
  'see-other-host',
  'system-shutdown',
  'undefined-condition',
  'unsupported-encoding',
  'unsupported-feature',
  'unsupported-stanza-type',
  'unsupported-version',
] as const

export type StreamErrorCondition = (typeof STREAM_ERROR_CONDITIONS)[number]

const KNOWN: ReadonlySet<string> = new Set(STREAM_ERROR_CONDITIONS)

export interface StreamErrorValue {
  readonly condition: StreamErrorCondition
  readonly text?: string
}

/** `<stream:error>` as it goes on the wire (RFC 6120 §4.9.2). */
export function writeStreamError({ condition, text }: StreamErrorValue): string {
  const words = text === undefined ? '' : `<text xmlns='${NS_STREAM_ERRORS}' xml:lang='en'>${escapeText(text)}</text>`
  return `<stream:error><${condition} xmlns='${NS_STREAM_ERRORS}'/>${words}</stream:error>`
}

/** Most characters of a peer's own words that are kept. */
const MOST_WORDS = 300

/** Reads a peer's `<stream:error>`; a condition we do not know counts as `undefined-condition`. */
export function readStreamError(error: Element): StreamErrorValue {
  let condition: StreamErrorCondition = 'undefined-condition'
  let text: string | undefined
  for (const child of childrenOf(error)) {
    if (namespaceOf(child) !== NS_STREAM_ERRORS) continue
    const name = localNameOf(child)
    if (name === 'text') text = textOf(child).slice(0, MOST_WORDS)
    else if (KNOWN.has(name)) condition = name as StreamErrorCondition
  }
  return text === undefined ? { condition } : { condition, text }
}
