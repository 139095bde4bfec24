import { type ErrorToken, malformed } from './token.js'

const DECLARATION =
  /^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(["'])([A-Za-z0-9._:-]*)\1(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(["'])([A-Za-z][A-Za-z0-9._-]*)\3)?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(["'])(?:yes|no)\5)?[ \t\r\n]*\?>$/

/** What is wrong with an XML declaration (XML 1.0 §2.8), if anything: only version 1.0 in UTF-8 is spoken (RFC 6120 §11.5, §11.6). */
export function faultOfDeclaration(text: string): ErrorToken | undefined {
  const found = DECLARATION.exec(text)
  if (found === null) return malformed('malformed XML declaration')
  if (found[2] !== '1.0') return malformed('XML version other than 1.0')
  const encoding = found[4]
  if (encoding !== undefined && encoding.toUpperCase() !== 'UTF-8') {
    return { kind: 'error', condition: 'unsupported-encoding', text: 'encoding other than UTF-8' }
  }
  return undefined
}
