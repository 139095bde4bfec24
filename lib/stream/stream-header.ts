import { randomBytes } from 'node:crypto'
import { NS_DIALBACK, NS_SERVER, NS_STREAMS } from '../xml/namespaces.js'
import { escapeAttribute } from '../xml/serializer.js'

/** What goes on a stream header; an absent value is left out (RFC 6120 §4.7). */
export interface StreamHeader {
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly id?: string | undefined
  /** Left out when answering a peer that sent none: such a peer must not get features (RFC 6120 §4.7.5). */
  readonly version?: boolean
  /** Declares the dialback namespace, by which old peers recognise support (XEP-0220 §2.3.1). */
  readonly dialback?: boolean
}

/** The opening tag of a server stream. */
export function writeStreamHeader({ from, to, id, version = true, dialback = false }: StreamHeader): string {
  const optional = (name: string, value: string | undefined): string =>
    value === undefined ? '' : ` ${name}='${escapeAttribute(value)}'`
  return (
    `<?xml version='1.0'?><stream:stream xmlns='${NS_SERVER}' xmlns:stream='${NS_STREAMS}'` +
    (dialback ? ` xmlns:db='${NS_DIALBACK}'` : '') +
    optional('id', id) +
    optional('from', from) +
    optional('to', to) +
    (version ? " version='1.0'" : '') +
    " xml:lang='en'>"
  )
}

export const STREAM_FOOTER = '</stream:stream>'

/** A stream id nobody can guess: 128 random bits (RFC 6120 §4.7.3). */
export function newStreamId(): string {
  return randomBytes(16).toString('hex')
}

/** Reads the `version` attribute: absent, acceptable (1.0 or higher), or not (RFC 6120 §4.7.5). */
export function readVersion(version: string | undefined): 'absent' | 'supported' | 'unsupported' {
  if (version === undefined) return 'absent'
  return /^0*[1-9]\d{0,5}\.\d{1,6}$/.test(version) ? 'supported' : 'unsupported'
}
