import { readExternalResponse, type SaslFailure, writeSaslFailure } from '../negotiation/sasl-external.js'
import { prepareDomain } from '../stanza/domain.js'
import { DomainPair } from '../stanza/domain-pair.js'
import { textOf, toElement } from '../xml/element.js'
import { NS_SASL } from '../xml/namespaces.js'
import type { ElementToken } from '../xml/token.js'
import type { IncomingHost } from './incoming-host.js'

const MOST_FAILURES = 3

/** SASL EXTERNAL as the receiving entity (RFC 6120 §6, XEP-0178 §3). */
export class IncomingExternal {
  readonly #session: IncomingHost
  #failures = 0
  #challenged = false

  constructor(session: IncomingHost) {
    this.#session = session
  }

  receive(token: ElementToken): void {
    const session = this.#session
    switch (token.tag.name) {
      case 'auth':
        if (session.saslDone) return session.stream.fail('policy-violation', 'already authenticated')
        this.#challenged = false
        return this.#auth(token)
      case 'response':
        if (!this.#challenged) return this.#refuse('malformed-request')
        this.#challenged = false
        return this.#authorize(textOf(toElement(token)).trim())
      case 'abort':
        this.#challenged = false
        return this.#refuse('aborted')
      default:
        return session.stream.fail('invalid-xml', `<${token.tag.name}> is not for the initiating entity to send`)
    }
  }

  #auth(token: ElementToken): void {
    const session = this.#session
    if (!session.encrypted) return this.#refuse('encryption-required')
    const { remote, rules } = session
    const offered = remote !== undefined && rules?.external === true && session.peerShowedCertificate
    if (!offered || token.tag.attribute('mechanism') !== 'EXTERNAL') return this.#refuse('invalid-mechanism')
    const response = textOf(toElement(token)).trim()
    if (response !== '') return this.#authorize(response)
    this.#challenged = true
    session.stream.send(`<challenge xmlns='${NS_SASL}'/>`)
  }

  #authorize(response: string): void {
    const session = this.#session
    const { local, remote, context } = session
    if (local === undefined || remote === undefined) return this.#refuse('not-authorized')
    const identity = readExternalResponse(response)
    if (identity === undefined) return this.#refuse('incorrect-encoding')
    if (identity === '' ? context.settings.requireAuthzid : prepareDomain(identity) !== remote)
      return this.#refuse('invalid-authzid')
    if (!session.judge(remote).verified) return this.#refuse('not-authorized')
    const gate = context.gate(local, remote, 'incoming')
    if ('refused' in gate) {
      this.#refuse('not-authorized')
      return session.stream.fail('policy-violation', 'refused by policy')
    }
    if (!gate.rules.external) return this.#refuse('invalid-mechanism')
    session.prove(new DomainPair(local, remote), 'external')
    session.stream.send(`<success xmlns='${NS_SASL}'/>`)
    session.restartAfterSasl()
  }

  #refuse(condition: SaslFailure): void {
    const session = this.#session
    session.log.info('s2s-in-sasl-refused', { remote: session.remote, condition })
    session.stream.send(writeSaslFailure(condition))
    this.#failures++
    if (this.#failures >= MOST_FAILURES)
      session.stream.fail('policy-violation', 'too many failed attempts to authenticate')
  }
}
