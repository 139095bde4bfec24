import type { SecureContext } from 'node:tls'
import type { Trace } from '../base/trace.js'
import { domainToAscii, prepareDomain } from '../stanza/domain.js'
import { StreamEnd } from '../stream/end-reason.js'
import { readVersion, writeStreamHeader } from '../stream/stream-header.js'
import type { StreamToken, XmlStream } from '../stream/xml-stream.js'
import { childrenOf, localNameOf, toElement } from '../xml/element.js'
import { NS_DIALBACK, NS_SASL, NS_SERVER, NS_STREAMS, NS_TLS } from '../xml/namespaces.js'
import type { ElementToken, StartTag } from '../xml/token.js'
import type { DomainVerdict } from './certificate/domain-proof.js'
import { peerChain } from './certificate/peer-chain.js'
import type { CertificateVerdict } from './certificate/verdict.js'
import { ALPN_XMPP_SERVER, directTlsEnd } from './direct-tls.js'
import { type Features, readFeatures } from './features.js'
import type { Rules } from './rules.js'
import { writeExternalAuth } from './sasl-external.js'
import { STARTTLS_REQUEST } from './starttls.js'

/** Everything the initiating entity needs to know to negotiate one stream for one domain pair. */
export interface InitiateOptions {
  readonly local: string
  readonly remote: string
  readonly rules: Rules
  /** Our certificate for `local`; undefined when there is none. */
  readonly credentials: SecureContext | undefined
  readonly skipSendingAuthzid: boolean
  /** Judges the certificate that the peer shows on this connection, for `remote`. */
  judge(chain: readonly Buffer[]): Promise<DomainVerdict>
  readonly trace: Trace
  readonly signal: AbortSignal
}

/** What the peer's last header said. */
export interface PeerHeader {
  readonly streamId: string
  /** False for a peer older than XMPP 1.0: it sends no features (RFC 6120 §4.7.5). */
  readonly hasFeatures: boolean
  readonly declaresDialback: boolean
}

/** A stream as far as it can go without proving anything. */
export interface SecuredStream extends PeerHeader {
  readonly features: Features
  /** Absent without TLS. */
  readonly verdict?: CertificateVerdict
  /** DER, leaf first, as the peer showed it. Absent without TLS. */
  readonly chain?: readonly Buffer[]
}

/** What the peer showed in the handshake, and what that is worth for the domain that was dialed. */
export type ShownCertificate = Required<Pick<SecuredStream, 'verdict' | 'chain'>>

export function headerOf({ local, remote, rules }: InitiateOptions): string {
  return writeStreamHeader({ from: local, to: remote, dialback: rules.dialback })
}

/** Sends our header and reads the peer's (RFC 6120 §4.7). */
export async function openStream(
  stream: XmlStream,
  options: InitiateOptions,
  signal = options.signal,
): Promise<PeerHeader> {
  options.trace.waitFor('stream header')
  stream.sendHeader(headerOf(options))
  const token = await stream.read(signal)
  if (token.kind !== 'header') throw unexpected(stream, token)
  return checkHeader(stream, token.tag, options)
}

/** Features and, where rules or peer ask for it, STARTTLS with a judged certificate; first match of the initiating entity's table. */
export async function secureStream(
  stream: XmlStream,
  header: PeerHeader,
  options: InitiateOptions,
): Promise<SecuredStream> {
  const { rules, trace } = options
  if (!header.hasFeatures) {
    if (rules.tls === 'required')
      throw ended(stream, new StreamEnd('tls', 'not-offered', 'the peer speaks a version before 1.0'))
    return { ...header, features: {} }
  }
  const features = await nextFeatures(stream, options)
  if (features.starttls === undefined) {
    if (rules.tls === 'required') throw ended(stream, new StreamEnd('tls', 'not-offered'))
    return { ...header, features }
  }
  if (rules.tls === 'disabled') {
    if (features.starttls.required) throw ended(stream, new StreamEnd('tls', 'demanded'))
    return { ...header, features }
  }
  trace.waitFor('STARTTLS answer')
  stream.send(STARTTLS_REQUEST)
  const answer = await nextElement(stream, options)
  if (answer.tag.namespace !== NS_TLS || (answer.tag.name !== 'proceed' && answer.tag.name !== 'failure')) {
    throw unexpected(stream, answer)
  }
  if (answer.tag.name === 'failure')
    throw aborted(stream, new StreamEnd('tls', 'refused', 'the peer answered STARTTLS with failure'))
  if (stream.bufferedBytes > 0)
    throw aborted(stream, new StreamEnd('tls', 'handshake-failed', 'bytes before the handshake'))
  return await introduce(stream, await encrypt(stream, options), options)
}

/**
 * Direct TLS (XEP-0368 §2): the handshake, and the verdict on the certificate, before anything is said. Rejects with a StreamEnd of kind
 * `tls` where another place may do better, of kind `certificate` where none will.
 */
export async function encryptAtOnce(stream: XmlStream, options: InitiateOptions): Promise<ShownCertificate> {
  try {
    return await encrypt(stream, options, ALPN_XMPP_SERVER)
  } catch (error) {
    throw error instanceof StreamEnd ? directTlsEnd(error) : error
  }
}

/** Our header over TLS, the peer's, and its features. An offer of STARTTLS among them is not looked at: it has no place here. */
export async function introduce(
  stream: XmlStream,
  shown: ShownCertificate,
  options: InitiateOptions,
): Promise<SecuredStream> {
  const header = await openStream(stream, options)
  if (!header.hasFeatures) throw ended(stream, new StreamEnd('sasl', 'no-common-proof', 'no features after TLS'))
  return { ...header, features: await nextFeatures(stream, options), ...shown }
}

async function encrypt(stream: XmlStream, options: InitiateOptions, alpn?: string): Promise<ShownCertificate> {
  const { remote, rules, trace } = options
  trace.waitFor('TLS handshake')
  const servername = domainToAscii(remote)
  const facts = await stream.transport.startTls(
    { role: 'client', servername, context: options.credentials, ...(alpn !== undefined && { alpn }) },
    options.signal,
  )
  if (facts.alpn !== alpn && facts.alpn !== undefined)
    throw aborted(stream, new StreamEnd('tls', 'no-alpn', `the peer chose ${facts.alpn}`))
  stream.restart()
  const shown = peerChain(stream.transport.tlsSocket!)
  trace.note('tls', { ...facts, servername })
  const verdict = await options.judge(shown)
  const { verified, defects, chain, matchedName, method } = verdict
  trace.note('certificate', { verified, defects, chain, matchedName, method })
  const text = verdict.defects.map(defect => defect.text).join('; ')
  // The statement that would settle it could not be had: that may be different the next time.
  if (verdict.cause !== undefined) throw aborted(stream, new StreamEnd('dns', 'bogus', text))
  if (!verdict.verified && (rules.strict || verdict.final)) {
    stream.sendHeader(headerOf(options))
    throw failed(stream, new StreamEnd('certificate', verdict.defects[0]?.code ?? 'unverified', text))
  }
  return { verdict, chain: shown }
}

/**
 * SASL EXTERNAL as the initiating entity (XEP-0178 §3). Resolves with the restarted stream when the peer accepts, with the peer's
 * condition when it refuses and keeps the stream; a peer that closes on refusal makes it reject.
 */
export async function proveExternal(
  stream: XmlStream,
  secured: SecuredStream,
  options: InitiateOptions,
): Promise<SecuredStream | { readonly refused: string }> {
  const { local, trace } = options
  trace.waitFor('SASL EXTERNAL answer')
  const response = options.skipSendingAuthzid ? undefined : local
  stream.send(writeExternalAuth(response))
  let answer = await nextElement(stream, options)
  if (answer.tag.namespace === NS_SASL && answer.tag.name === 'challenge') {
    stream.send(
      `<response xmlns='${NS_SASL}'>${response === undefined ? '=' : Buffer.from(response).toString('base64')}</response>`,
    )
    answer = await nextElement(stream, options)
  }
  if (answer.tag.namespace !== NS_SASL) throw unexpected(stream, answer)
  if (answer.tag.name === 'failure') {
    const condition = childrenOf(toElement(answer)).map(localNameOf)[0] ?? 'not-authorized'
    trace.note('external', { refused: condition })
    return { refused: condition }
  }
  if (answer.tag.name !== 'success') throw unexpected(stream, answer)
  trace.note('external', { accepted: true })
  stream.restart()
  const header = await openStream(stream, options)
  const features = header.hasFeatures ? await nextFeatures(stream, options) : {}
  return { ...secured, ...header, features }
}

function checkHeader(stream: XmlStream, tag: StartTag, { remote, trace }: InitiateOptions): PeerHeader {
  const refuse = (
    condition: 'invalid-namespace' | 'invalid-xml' | 'invalid-from' | 'unsupported-version',
    text: string,
  ): StreamEnd => {
    stream.fail(condition, text)
    return new StreamEnd('stream', 'bad-xml', `${condition}: ${text}`)
  }
  const content = tag.declarations.find(({ prefix }) => prefix === '')?.namespace
  if (tag.namespace !== NS_STREAMS || content !== NS_SERVER)
    throw refuse('invalid-namespace', 'stream or content namespace')
  if (tag.name !== 'stream') throw refuse('invalid-xml', 'the root element is not a stream')
  const streamId = tag.attribute('id')
  if (streamId === undefined || streamId === '') throw refuse('invalid-xml', 'the stream has no id')
  const from = tag.attribute('from')
  if (from !== undefined && from !== '' && prepareDomain(from) !== remote)
    throw refuse('invalid-from', 'the stream is not from the expected domain')
  const version = readVersion(tag.attribute('version'))
  if (version === 'unsupported') throw refuse('unsupported-version', 'version 1.0 or none was expected')
  trace.note('header', { streamId, version })
  const declaresDialback = tag.declarations.some(({ namespace }) => namespace === NS_DIALBACK)
  return { streamId, hasFeatures: version === 'supported', declaresDialback }
}

async function nextFeatures(stream: XmlStream, options: InitiateOptions): Promise<Features> {
  options.trace.waitFor('stream features')
  const token = await nextElement(stream, options)
  if (token.tag.name !== 'features' || token.tag.namespace !== NS_STREAMS) throw unexpected(stream, token)
  const features = readFeatures(toElement(token))
  options.trace.note('features', { ...features })
  return features
}

async function nextElement(stream: XmlStream, options: InitiateOptions): Promise<ElementToken> {
  const token = await stream.read(options.signal)
  if (token.kind !== 'element') throw unexpected(stream, token)
  return token
}

/** Something that has no place here; a stanza on our one-way stream is `not-authorized`, whatever it says. */
function unexpected(stream: XmlStream, token: StreamToken): StreamEnd {
  const stanza = token.tag.namespace === NS_SERVER
  const condition = stanza ? 'not-authorized' : token.kind === 'header' ? 'invalid-xml' : 'unsupported-stanza-type'
  stream.fail(condition, 'not expected at this point')
  return new StreamEnd('stream', 'bad-xml', `unexpected <${token.tag.name}>`)
}

function ended(stream: XmlStream, end: StreamEnd): StreamEnd {
  stream.close(end.reason)
  return end
}

function failed(stream: XmlStream, end: StreamEnd): StreamEnd {
  stream.fail('not-authorized', end.reason.text, end.reason)
  return end
}

function aborted(stream: XmlStream, end: StreamEnd): StreamEnd {
  stream.abort(end.reason)
  return end
}
