import type { Log } from '../base/log.js'
import type { CertificateVerdict } from '../negotiation/certificate/verdict.js'
import type { Proof, Rules } from '../negotiation/rules.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import type { XmlStream } from '../stream/xml-stream.js'
import type { AuthorizedPairs } from './authorized-pairs.js'
import type { SessionContext } from './context.js'

/** A stream that a peer opened, as its parts (SASL, dialback, stanzas) see it. */
export interface IncomingHost {
  readonly context: SessionContext
  readonly log: Log
  readonly stream: XmlStream
  readonly pairs: AuthorizedPairs
  readonly streamId: string
  /** The domain of ours that the header names; undefined until it has been accepted. */
  readonly local: string | undefined
  /** The domain that the header claims; undefined when it claims none. */
  readonly remote: string | undefined
  readonly rules: Rules | undefined
  readonly encrypted: boolean
  readonly peerShowedCertificate: boolean
  readonly saslDone: boolean
  readonly pairsFull: boolean
  /** Judges the certificate of this stream for a domain, now (RFC 6120 §13.7). */
  judge(domain: string): CertificateVerdict
  /** Whether a certificate that was seen and does not verify ends the attempt: not for a side that cannot be verified itself. */
  insists(local: string, rules: Rules): boolean
  /** Records a proof made on this stream; to be called before the peer is told, so that its first stanza finds the pair. */
  prove(pair: DomainPair, proof: Proof): void
  /** SASL has succeeded: a new header must come (RFC 6120 §6.4.6). */
  restartAfterSasl(): void
}
