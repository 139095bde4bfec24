import { headerExtras, type ScriptedParty, scriptedKey } from './scripted-party.js'
import { child, DIALBACK, describeEvent, ScriptedStream, type XmlNode } from './scripted-stream.js'

/** Where an attempt of a scripted peer ended. */
export type ScriptedEnd = 'dns' | 'tcp' | 'tls' | 'certificate' | 'sasl' | 'dialback' | 'stream'

/** What a scripted initiating entity saw of one attempt. */
export interface Attempted {
  readonly proof: 'none' | 'external' | 'dialback'
  readonly encrypted: boolean
  /** Why it ended without proof. */
  readonly end?: ScriptedEnd
  readonly detail?: string
  /** Live when something was proven, closed otherwise. */
  readonly stream: ScriptedStream | undefined
}

class Ended extends Error {
  readonly end: ScriptedEnd

  constructor(end: ScriptedEnd, detail: string) {
    super(detail)
    this.end = end
  }
}

interface Reached {
  readonly id: string
  readonly features: XmlNode
  readonly declaresDialback: boolean
}

/** As an initiating entity does: TLS where the policy wants it, EXTERNAL, else dialback; each only where it is offered. */
export async function scriptedAttempt(me: ScriptedParty, to: string): Promise<Attempted> {
  if (me.settings.tls === 'disabled' && me.isDirectTls(to)) {
    return { proof: 'none', encrypted: false, end: 'dns', detail: 'no-service', stream: undefined }
  }
  const socket = me.dial(to)
  if (socket === undefined) return { proof: 'none', encrypted: false, end: 'tcp', detail: 'refused', stream: undefined }
  const stream = new ScriptedStream(socket)
  try {
    const proof = await prove(me, to, stream, await reach(me, to, stream))
    return { proof, encrypted: stream.encrypted, stream }
  } catch (error) {
    if (!(error instanceof Ended)) throw error
    stream.close()
    return { proof: 'none', encrypted: stream.encrypted, end: error.end, detail: error.message, stream }
  }
}

/** Asks whoever answers for `pair.to` whether a key is its own (XEP-0220 §2.2). */
export async function scriptedVerification(
  me: ScriptedParty,
  to: string,
  id: string,
  key: string,
): Promise<'valid' | 'invalid' | 'remote-server-not-found' | 'remote-connection-failed' | 'remote-server-timeout'> {
  const socket = me.dial(to)
  if (socket === undefined) return 'remote-connection-failed'
  const stream = new ScriptedStream(socket)
  try {
    await reach(me, to, stream)
    stream.send(`<db:verify ${DIALBACK} from='${me.domain}' to='${to}' id='${id}'>${key}</db:verify>`)
    const { attributes } = await nextElement(stream, 'verify', 'dialback')
    const fits = attributes.from === to && attributes.to === me.domain && attributes.id === id
    const type = attributes.type
    return fits && (type === 'valid' || type === 'invalid') ? type : 'remote-server-timeout'
  } catch (error) {
    if (!(error instanceof Ended)) throw error
    return error.end === 'tls' || error.end === 'certificate' ? 'remote-connection-failed' : 'remote-server-timeout'
  } finally {
    stream.close()
  }
}

async function reach(me: ScriptedParty, to: string, stream: ScriptedStream): Promise<Reached> {
  if (me.isDirectTls(to)) return await overTls(me, to, stream)
  const { tls } = me.settings
  const plain = await exchangeHeaders(me, to, stream)
  const starttls = child(plain.features, 'starttls')
  if (starttls === undefined) {
    if (tls === 'required') throw new Ended('tls', 'not offered')
    return plain
  }
  if (tls === 'disabled') {
    if (child(starttls, 'required') !== undefined) throw new Ended('tls', 'demanded')
    return plain
  }
  stream.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
  await nextElement(stream, 'proceed', 'tls')
  return await overTls(me, to, stream)
}

async function overTls(me: ScriptedParty, to: string, stream: ScriptedStream): Promise<Reached> {
  const { strict } = me.settings
  const alpn = me.isDirectTls(to) ? ['xmpp-server'] : []
  try {
    await stream.startTls('client', me.certificates.context(me.domain, me.settings), to, alpn)
  } catch (error) {
    throw new Ended('tls', `handshake: ${(error as Error).message}`)
  }
  if (strict && !me.certificates.isGood(to, stream.peerFingerprint)) {
    stream.open({ from: me.domain, to })
    stream.send("<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
    throw new Ended('certificate', 'not a good one')
  }
  return await exchangeHeaders(me, to, stream)
}

async function prove(
  me: ScriptedParty,
  to: string,
  stream: ScriptedStream,
  reached: Reached,
): Promise<'external' | 'dialback'> {
  const { settings, domain, certificates, secret } = me
  const { features, id, declaresDialback } = reached
  const mechanisms = child(features, 'mechanisms')
  const external = mechanisms?.children.some(({ text }) => text === 'EXTERNAL') === true
  if (external && settings.certificate !== 'missing' && certificates.isGood(to, stream.peerFingerprint)) {
    const authzid = Buffer.from(domain).toString('base64')
    stream.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>${authzid}</auth>`)
    await nextElement(stream, 'success', 'sasl')
    stream.restart()
    await exchangeHeaders(me, to, stream)
    return 'external'
  }
  const offered = child(features, 'dialback') !== undefined || (mechanisms === undefined && declaresDialback)
  if (!settings.dialback || !offered) throw new Ended('sasl', 'no common proof')
  stream.send(`<db:result ${DIALBACK} from='${domain}' to='${to}'>${scriptedKey(secret, to, domain, id)}</db:result>`)
  const { attributes, children } = await nextElement(stream, 'result', 'dialback')
  if (attributes.from !== to || attributes.to !== domain) throw new Ended('dialback', 'answer with other names')
  if (attributes.type !== 'valid') throw new Ended('dialback', children[0]?.children[0]?.name ?? 'invalid')
  return 'dialback'
}

async function exchangeHeaders(me: ScriptedParty, to: string, stream: ScriptedStream): Promise<Reached> {
  stream.open({ from: me.domain, to }, headerExtras(me))
  const header = await nextElement(stream, 'stream', 'stream')
  const features = await nextElement(stream, 'features', 'stream')
  const declaresDialback = Object.values(header.attributes).includes('jabber:server:dialback')
  return { id: header.attributes.id ?? '', features, declaresDialback }
}

async function nextElement(stream: ScriptedStream, name: string, step: ScriptedEnd): Promise<XmlNode> {
  const event = await stream.read()
  if ((event.kind === 'header' || event.kind === 'element') && event.node.name === name) return event.node
  const isError = event.kind === 'element' && event.node.name === 'error'
  throw new Ended(isError ? 'stream' : step, describeEvent(event))
}
