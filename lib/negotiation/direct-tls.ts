import { StreamEnd } from '../stream/end-reason.js'

/** The protocol that both ends of Direct TLS between servers speak (XEP-0368 §2; RFC 7301). */
export const ALPN_XMPP_SERVER = 'xmpp-server'

/** What the TLS library says when the peer's first bytes are no TLS record. */
const NOT_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
])

/** The alert of a peer that speaks other protocols only, and our own refusal of one that we did not offer. */
const NO_ALPN: ReadonlySet<string> = new Set(['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', 'ERR_SSL_BAD_EXTENSION'])

/** Says of a handshake that failed on a Direct TLS address what sets it apart: no TLS there at all, or another protocol inside. */
export function directTlsEnd(end: StreamEnd): StreamEnd {
  if (end.reason.kind !== 'tls' || end.reason.detail !== 'handshake-failed') return end
  const { code = '' } = (end.cause ?? {}) as NodeJS.ErrnoException
  if (NOT_TLS.has(code)) return new StreamEnd('tls', 'plain-answer', end.reason.text, end.cause)
  if (NO_ALPN.has(code)) return new StreamEnd('tls', 'no-alpn', end.reason.text, end.cause)
  return end
}
