import type { TLSSocket } from 'node:tls'

/** Far more than the TLS library lets through (100 kB of certificates); the walk ends in any case. */
const MOST_CERTIFICATES = 1000

/**
 * The certificates the peer sent in the handshake of `socket`, as DER, leaf first, in the order sent, with duplicates and unrelated ones;
 * nothing is added from a trust store. Works for both TLS roles and for sockets wrapped around a live connection.
 *
 * Call it once per handshake, as soon as it is done, and keep what it gives: Node hands the chain over to the first caller of
 * `getPeerX509Certificate`. A second call finds the leaf alone in the TLS server and nothing in the TLS client.
 * (`getPeerCertificate(true)` may be called before. It is no substitute: it leaves out what it cannot link and adds local roots.)
 *
 * Empty when the peer showed no certificate, and on a resumed session, which has no chain: such a session proves nothing.
 */
export function peerChain(socket: TLSSocket): readonly Buffer[] {
  if (socket.isSessionReused()) return []
  const chain: Buffer[] = []
  let next = socket.getPeerX509Certificate()
  while (next && chain.length < MOST_CERTIFICATES) {
    chain.push(next.raw)
    // Named for the usual case; it is the next certificate as sent, whoever issued what.
    next = next.issuerCertificate
  }
  return chain
}
