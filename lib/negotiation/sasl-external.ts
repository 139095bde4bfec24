import { NS_SASL } from '../xml/namespaces.js'

/** `<auth>` of SASL EXTERNAL; the domain is the authorization identity, `undefined` sends `=` (XEP-0178 §3, RFC 6120 §6.4.2). */
export function writeExternalAuth(domain: string | undefined): string {
  const response = domain === undefined ? '=' : Buffer.from(domain).toString('base64')
  return `<auth xmlns='${NS_SASL}' mechanism='EXTERNAL'>${response}</auth>`
}

/** The conditions of RFC 6120 §6.5 that a receiving entity uses here. */
export type SaslFailure =
  | 'aborted'
  | 'encryption-required'
  | 'incorrect-encoding'
  | 'invalid-authzid'
  | 'invalid-mechanism'
  | 'malformed-request'
  | 'not-authorized'

export function writeSaslFailure(condition: SaslFailure): string {
  return `<failure xmlns='${NS_SASL}'><${condition}/></failure>`
}

/** Reads an initial response or a response: the identity it names ('' for none), or undefined when it is not base64 (RFC 6120 §6.4.2). */
export function readExternalResponse(text: string): string | undefined {
  if (text === '=' || text === '') return ''
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined
  return Buffer.from(text, 'base64').toString()
}
