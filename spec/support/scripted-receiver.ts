import type { Duplex } from 'node:stream'
import { scriptedVerification } from './scripted-initiator.js'
import { headerExtras, type ScriptedParty, scriptedKey } from './scripted-party.js'
import { DIALBACK, describeEvent, ScriptedStream, type XmlNode } from './scripted-stream.js'

/** Points at which a scripted peer can be made to misbehave; each is reached when the other side waits for the answer to it. */
export const STEPS = ['header', 'features', 'starttls', 'tls', 'sasl', 'dialback', 'established'] as const
export type Step = (typeof STEPS)[number]

/** One connection as its receiving end saw it. */
export class Visit {
  readonly stream: ScriptedStream
  proof: 'none' | 'external' | 'dialback' = 'none'
  /** Whether it asked for a key to be verified. */
  asked = false
  readonly stanzas: XmlNode[] = []
  /** What had no place where it came; a correct peer leaves this empty. */
  readonly faults: string[] = []
  /** The stream error that the other side sent. */
  error: string | undefined
  id = ''
  from = ''

  constructor(stream: ScriptedStream) {
    this.stream = stream
  }
}

export interface ReceiverOptions extends ScriptedParty {
  /** True when it has dealt with the step in a way of its own; nothing more is done for that connection. */
  readonly interrupt?: (step: Step, visit: Visit) => boolean
  /** Refuses EXTERNAL though it was offered: keeping the stream, or closing it. */
  readonly refuseExternal?: 'keep' | 'close'
}

/** A receiving entity that keeps the rules: what it offers follows from its settings and from what the other side has shown. */
export class ScriptedReceiver {
  readonly visits: Visit[] = []
  readonly #me: ReceiverOptions
  readonly #unread: XmlNode[] = []
  #waiting: { readonly from: string; resolve(stanza: XmlNode): void }[] = []
  #lastId = 0

  constructor(options: ReceiverOptions) {
    this.#me = options
  }

  readonly serve = (socket: Duplex): void => {
    const visit = new Visit(new ScriptedStream(socket))
    this.visits.push(visit)
    this.#serve(visit).catch((error: unknown) => {
      visit.faults.push(String(error))
      visit.stream.cut()
    })
  }

  /** The next stanza that comes from a domain, or has come and was not asked for yet. */
  next(from: string): Promise<XmlNode> {
    const index = this.#unread.findIndex(stanza => domainOf(stanza) === from)
    if (index >= 0) return Promise.resolve(this.#unread.splice(index, 1)[0]!)
    return new Promise(resolve => this.#waiting.push({ from, resolve }))
  }

  async #serve(visit: Visit): Promise<void> {
    const { stream } = visit
    const { certificates, domain, settings, isDirectTls } = this.#me
    if (isDirectTls(domain))
      await stream.startTls('server', certificates.context(domain, settings), '', ['xmpp-server'])
    for (;;) {
      const event = await stream.read()
      switch (event.kind) {
        case 'header':
          if (this.#welcome(visit, event.node)) return
          break
        case 'element':
          if (await this.#element(visit, event.node)) return
          break
        case 'footer':
          return stream.close()
        case 'closed':
          return
        case 'bad-xml':
          visit.faults.push(describeEvent(event))
          return stream.cut()
      }
    }
  }

  #welcome(visit: Visit, { attributes }: XmlNode): boolean {
    const { settings, certificates, domain } = this.#me
    const { stream } = visit
    this.#lastId++
    visit.id = `scripted-${this.#lastId}`
    visit.from = attributes.from ?? ''
    const good = stream.encrypted && certificates.isGood(visit.from, stream.peerFingerprint)
    if (this.#interrupted('tls', visit, stream.encrypted && visit.proof === 'none')) return true
    stream.open({ from: domain, to: visit.from, id: visit.id }, headerExtras(this.#me))
    if (this.#interrupted('header', visit, !stream.encrypted)) return true
    if (stream.encrypted && visit.proof === 'none' && !good && stream.peerFingerprint !== undefined) {
      if (settings.strict && settings.certificate === 'valid') {
        stream.fail('not-authorized')
        return true
      }
    }
    const dialback =
      settings.dialback && (stream.encrypted || settings.tls !== 'required')
        ? "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
        : ''
    if (stream.encrypted) {
      const external = good && visit.proof === 'none'
      stream.features(
        (external
          ? "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
          : '') + dialback,
      )
    } else {
      const required = settings.tls === 'required' ? '<required/>' : ''
      const starttls = this.#offersTls ? `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>${required}</starttls>` : ''
      stream.features(starttls + dialback)
      if (this.#interrupted('features', visit, true)) return true
    }
    return this.#interrupted('established', visit, visit.proof === 'external')
  }

  get #offersTls(): boolean {
    return this.#me.settings.tls !== 'disabled' && this.#me.settings.certificate !== 'missing'
  }

  #interrupted(step: Step, visit: Visit, reached: boolean): boolean {
    return reached && this.#me.interrupt?.(step, visit) === true
  }

  /** True when the connection is done with. */
  async #element(visit: Visit, node: XmlNode): Promise<boolean> {
    const { stream } = visit
    switch (node.name) {
      case 'starttls': {
        if (this.#interrupted('starttls', visit, true)) return true
        if (!this.#offersTls || stream.encrypted) visit.faults.push('STARTTLS was not offered')
        stream.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        const { certificates, domain, settings } = this.#me
        await stream.startTls('server', certificates.context(domain, settings))
        return false
      }
      case 'auth':
        return this.#external(visit, node)
      case 'result':
        return await this.#dialback(visit, node)
      case 'verify':
        this.#authoritative(visit, node)
        return false
      case 'message':
      case 'iq':
      case 'presence': {
        if (visit.proof === 'none') visit.faults.push('a stanza before proof')
        visit.stanzas.push(node)
        const index = this.#waiting.findIndex(({ from }) => from === domainOf(node))
        if (index < 0) this.#unread.push(node)
        else this.#waiting.splice(index, 1)[0]!.resolve(node)
        return false
      }
      case 'error':
        visit.error = node.children[0]?.name ?? ''
        return false
      default:
        visit.faults.push(`<${node.name}> is unknown`)
        return false
    }
  }

  #external(visit: Visit, node: XmlNode): boolean {
    const { stream } = visit
    if (this.#interrupted('sasl', visit, true)) return true
    const { refuseExternal, certificates } = this.#me
    const good = stream.encrypted && certificates.isGood(visit.from, stream.peerFingerprint)
    if (!good || Buffer.from(node.text, 'base64').toString() !== visit.from)
      visit.faults.push('EXTERNAL was not offered')
    if (refuseExternal !== undefined) {
      stream.send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
      if (refuseExternal === 'close') stream.close()
      return refuseExternal === 'close'
    }
    visit.proof = 'external'
    stream.restart()
    stream.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    return false
  }

  async #dialback(visit: Visit, { attributes, text }: XmlNode): Promise<boolean> {
    const { stream } = visit
    if (this.#interrupted('dialback', visit, true)) return true
    const from = attributes.from ?? ''
    const names = `from='${this.#me.domain}' to='${from}'`
    const refuse = (condition: string): boolean => {
      const error = `<error type='cancel'><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
      stream.send(`<db:result ${DIALBACK} ${names} type='error'>${error}</db:result>`)
      return false
    }
    if (!this.#allowsDialback(stream)) return refuse('policy-violation')
    const answer = await scriptedVerification(this.#me, from, visit.id, text)
    if (answer !== 'valid' && answer !== 'invalid') return refuse(answer)
    if (answer === 'valid') visit.proof = 'dialback'
    stream.send(`<db:result ${DIALBACK} ${names} type='${answer}'/>`)
    if (answer === 'invalid') stream.close()
    return answer === 'invalid' || this.#interrupted('established', visit, true)
  }

  #authoritative(visit: Visit, { attributes, text }: XmlNode): void {
    visit.asked = true
    const { domain, secret } = this.#me
    const { from = '', id = '' } = attributes
    const names = `from='${domain}' to='${from}' id='${id}'`
    if (!this.#allowsDialback(visit.stream)) {
      const error = "<error type='cancel'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
      return visit.stream.send(`<db:verify ${DIALBACK} ${names} type='error'>${error}</db:verify>`)
    }
    const type = text === scriptedKey(secret, from, domain, id) ? 'valid' : 'invalid'
    visit.stream.send(`<db:verify ${DIALBACK} ${names} type='${type}'/>`)
  }

  #allowsDialback(stream: ScriptedStream): boolean {
    const { settings } = this.#me
    return settings.dialback && (stream.encrypted || settings.tls !== 'required')
  }
}

function domainOf({ attributes }: XmlNode): string {
  return (attributes.from ?? '').replace(/^[^/]*@/, '').replace(/\/.*$/, '')
}
