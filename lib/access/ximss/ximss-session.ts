import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Log } from '../../base/log.js'
import type { Jid } from '../../stanza/jid.js'
import type { Congestion, Refusal } from '../../stanza/route.js'
import type { Stanza } from '../../stanza/stanza.js'
import { StanzaError } from '../../stanza/stanza-error.js'
import { SaslMechanisms } from '../sasl/mechanisms.js'
import type { RegisteredSession, SessionRow } from '../session-registry.js'
import { type Appetite, UserSession } from '../user-session.js'
import { readAccountName, servedDomain } from './account-name.js'
import { Connection, type TlsChoice } from './connection.js'
import { type DataMessage, writeMessage } from './data-message.js'
import { Framing } from './framing.js'
import { GuardedAccounts } from './guarded-accounts.js'
import type { LoginGuard } from './login-guard.js'
import type { Client, RunningExchange } from './operation.js'
import { ReaderPressure } from './reader-pressure.js'
import { readRequest } from './request.js'
import { RequestRunner } from './request-runner.js'
import type { XimssServices } from './services.js'
import { toDataMessage } from './translation/inbound.js'

type State = 'Connected' | 'Authenticating' | 'Authenticated' | 'Closing' | 'Closed'

export interface XimssSessionOptions {
  readonly id: number
  readonly services: XimssServices
  readonly guard: LoginGuard
  /** TLS from the first byte. */
  readonly tlsAtOnce: boolean
  /** Called when nothing is left of the connection. */
  readonly gone: () => void
}

/** Until a client says what it takes part in it gets messages: the oldest ones know of nothing else. */
const UNBOUND: Appetite = { messages: true, presence: false, iqs: false }

/** How much longer than its stanza a message to the client may be: times as long, and characters on top. */
const MOST_GROWTH = 4
const FREE_GROWTH = 65_536

/** Random bytes of a session's public id. */
const URL_ID_BYTES = 18

/**
 * One XIMSS connection: its messages in, its session, its idle time, its end.
 *
 * There is no queue of requests: while one runs the socket is not read, and what the last read brought waits as bytes.
 */
export class XimssSession implements Client, RegisteredSession {
  readonly id: number
  readonly services: XimssServices
  readonly accounts: GuardedAccounts
  user: UserSession | undefined
  targetDomain: string
  readonly #log: Log
  readonly #connection: Connection
  readonly #pressure: ReaderPressure
  readonly #framing: Framing
  readonly #runner: RequestRunner
  readonly #connectedSince: Date
  readonly #gone: () => void
  #state: State = 'Connected'
  #exchange: RunningExchange | undefined
  #mechanisms: SaslMechanisms | undefined
  #isNewForm = false
  #clientId: string | undefined
  #failedLogins = 0
  #idleMs: number
  #lastHeard: number
  #cancelIdle: (() => void) | undefined
  readonly #cancelLogin: () => void
  #afterResponse: (() => void) | undefined
  #inputEnded = false
  #isPumping = false

  constructor(socket: Socket, { id, services, guard, tlsAtOnce, gone }: XimssSessionOptions) {
    const { clock, limits } = services
    this.id = id
    this.services = services
    this.#gone = gone
    this.#log = services.log.child({ tag: `XIMSS-${String(id).padStart(5, '0')}` })
    this.targetDomain = services.domains[0]
    this.#framing = new Framing(limits.messageBytesBeforeLogin)
    this.#runner = new RequestRunner({
      client: this,
      clock,
      log: this.#log,
      say: text => this.#say(text),
      settled: () => this.#settled(),
    })
    this.#pressure = new ReaderPressure(clock)
    this.#connectedSince = clock.date()
    this.#idleMs = limits.idleMs
    this.#lastHeard = clock.now()
    this.#connection = new Connection(socket, {
      clock,
      limits,
      events: {
        data: chunk => {
          this.#framing.push(chunk)
          this.#pump()
        },
        drained: () => this.#pump(),
        eased: () => this.#pressure.ease(),
        ended: () => {
          this.#inputEnded = true
          this.#pump()
        },
        closed: reason => this.#closed(reason),
      },
    })
    const { address } = this.#connection
    this.accounts = new GuardedAccounts({ accounts: services.accounts, guard, address, log: this.#log })
    this.#cancelLogin = clock.after(limits.loginTimeoutMs, () => this.close('no login in time'))
    this.#watchIdle()
    this.#log.info('ximss-connected', { address, tls: tlsAtOnce })
    if (tlsAtOnce) this.#startTls()
  }

  row(): SessionRow {
    const { running } = this.#runner
    return {
      id: this.id,
      address: this.#connection.address,
      account: this.user?.jid.bare.toString() ?? '',
      connectedSince: this.#connectedSince,
      status: running?.request.name.slice(0, 40) ?? this.#state,
      runningSince: running?.since,
    }
  }

  close(text: string): void {
    if (!this.#isOpen) return
    this.#say(writeMessage({ name: 'bye', attributes: { errorText: text } }))
    this.#end(text)
  }

  get address(): string {
    return this.#connection.address
  }

  // What operations see.

  get isSecure(): boolean {
    return this.#connection.secure
  }

  get mayShowPassword(): boolean {
    return this.isSecure || (this.services.clearTextOnLoopback && this.#connection.loopback)
  }

  get mechanisms(): SaslMechanisms {
    this.#mechanisms ??= new SaslMechanisms({
      accounts: this.accounts,
      readName: name => readAccountName(name, this.targetDomain, this.services),
      fakeSaltSecret: this.services.fakeSaltSecret,
      isPlainAllowed: this.isSecure,
      log: this.#log,
    })
    return this.#mechanisms
  }

  get exchange(): RunningExchange | undefined {
    return this.#exchange
  }

  set exchange(exchange: RunningExchange | undefined) {
    this.#exchange = exchange
    if (this.user === undefined && this.#isOpen) this.#state = exchange === undefined ? 'Connected' : 'Authenticating'
  }

  send(message: DataMessage): void {
    this.#say(writeMessage(message, this.#runner.running?.request.id ?? ''))
  }

  logIn(account: Jid, version: string | undefined): void {
    // The client may have gone while its password was looked at.
    if (!this.#isOpen) return
    const user = this.#newUser(account, `ximss-${randomBytes(6).toString('hex')}`, UNBOUND)
    if (user === undefined) throw new Error('no free resource')
    this.user = user
    this.#state = 'Authenticated'
    this.#isNewForm = isFromVersion61(version)
    this.#cancelLogin()
    this.#framing.limit = this.services.limits.messageBytes
    const name = account.toString()
    this.#log.info('ximss-login', { account: name, address: this.#connection.address, tls: this.isSecure })
    const urlID = `${this.id}-${randomBytes(URL_ID_BYTES).toString('base64url')}-${this.services.node}`
    this.send({ name: 'session', attributes: { urlID, userName: name, version: this.services.version } })
  }

  countFailedLogin(): void {
    this.#failedLogins++
    this.#log.info('ximss-login-failed', { address: this.#connection.address, attempt: this.#failedLogins })
    if (this.#failedLogins < this.services.limits.failedLogins) return
    this.#afterResponse = () => this.close('too many failed logins')
  }

  rebind(clientId: string): boolean {
    const old = this.user
    const wanted = old?.jid.withResource(clientId)
    if (old === undefined || wanted === undefined) return false
    // Asked for again, it stays what it was, also with the suffix it got.
    if (clientId === this.#clientId || wanted.equals(old.jid)) return true
    const user = this.#newUser(old.jid.bare, clientId, old.appetite)
    if (user === undefined) return false
    this.user = user
    this.#clientId = clientId
    const { presence } = old
    old.end()
    if (presence !== undefined) user.submit(presence)
    return true
  }

  setIdleTime(seconds: number): void {
    this.#idleMs = Math.min(seconds * 1000, this.services.limits.idleMs)
    this.#watchIdle()
  }

  setClientName(name: string): void {
    this.#log.info('ximss-client-name', { name: name.slice(0, 100) })
  }

  endAfterResponse(): void {
    this.#afterResponse = () => this.#end('bye')
  }

  startTlsAfterResponse(): void {
    // A command that came in clear text must never be taken for one that came under TLS.
    if (this.#framing.buffered) this.#refuse('data behind starttls', 'ximss-starttls-injection')
    else this.#afterResponse = () => this.#startTls()
  }

  // Requests.

  get #isOpen(): boolean {
    return this.#state !== 'Closing' && this.#state !== 'Closed'
  }

  /** No further request is taken while one runs, nor while the client does not read the responses. */
  get #isBusy(): boolean {
    return this.#runner.running !== undefined || this.#connection.full
  }

  #pump(): void {
    // A request that is done at once settles within the loop that started it.
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#isOpen && !this.#isBusy && this.#take());
    this.#isPumping = false
    if (!this.#isOpen) return
    if (this.#isBusy) this.#connection.pause()
    else if (this.#inputEnded) this.#end('closed by client')
    else this.#connection.resume()
  }

  /** Takes the next message; false when there is none. */
  #take(): boolean {
    const frame = this.#framing.next()
    if (frame === undefined) return false
    if (frame.kind === 'overflow') {
      this.#refuse('message too long', 'ximss-message-too-long')
      return false
    }
    const request = readRequest(frame.bytes)
    if ('problem' in request) {
      this.#refuse(`XML error: ${request.problem}`, 'ximss-bad-xml')
      return false
    }
    this.#lastHeard = this.services.clock.now()
    this.#runner.run(request)
    return true
  }

  #settled(): void {
    const afterResponse = this.#afterResponse
    this.#afterResponse = undefined
    if (this.#isOpen) afterResponse?.()
    this.#pump()
  }

  #refuse(text: string, event: string): void {
    this.#log.warn(event, { address: this.#connection.address, text })
    this.close(text)
  }

  // The session in real-time traffic.

  #newUser(account: Jid, resource: string, appetite: Appetite): UserSession | undefined {
    const { clock, routes, route, broadcast } = this.services
    const show = (stanza: Stanza): Refusal | undefined => this.#show(stanza)
    const congestion = (): Congestion | undefined =>
      this.#connection.crowded && !this.#pressure.isSpent ? this.#pressure : undefined
    const options = { account, resource, clock, routes, route, show, appetite, congestion }
    return UserSession.open(broadcast === undefined ? options : { ...options, broadcast })
  }

  #show(stanza: Stanza): Refusal | undefined {
    let text: string
    try {
      const message = toDataMessage(stanza, this.#isNewForm)
      if (message === undefined) return undefined
      text = writeMessage(message)
    } catch (error) {
      this.#log.error('ximss-show-failed', { kind: stanza.kind, error })
      return new StanzaError('internal-server-error')
    }
    if (text.length > FREE_GROWTH && text.length > MOST_GROWTH * stanza.size + FREE_GROWTH) {
      return new StanzaError('not-acceptable', { text: 'this grows too large for the client it is for' })
    }
    if (!this.#connection.hasRoom(text.length)) {
      return new StanzaError('resource-constraint', { text: 'the client does not take what it is sent' })
    }
    this.#say(text)
    return undefined
  }

  // The connection.

  #say(text: string): void {
    this.#connection.write(`${text}\0`)
  }

  #startTls(): void {
    const choice = this.#tlsChoice()
    if (choice === undefined) {
      this.close('TLS is not available')
      return
    }
    this.#connection.startTls(choice, () => {
      this.#mechanisms = undefined
      this.targetDomain = servedDomain(this.#connection.serverName ?? '', this.services) ?? this.targetDomain
      this.#log.info('ximss-tls', { address: this.#connection.address })
    })
  }

  #tlsChoice(): TlsChoice | undefined {
    const { contextFor } = this.services
    const fallback = contextFor(this.targetDomain)
    if (fallback === undefined) return undefined
    const byName = (name: string): SecureContext | undefined => {
      const domain = servedDomain(name, this.services)
      return domain === undefined ? undefined : contextFor(domain)
    }
    return { fallback, byName }
  }

  #watchIdle(): void {
    const { clock } = this.services
    this.#cancelIdle?.()
    const left = this.#lastHeard + this.#idleMs - clock.now()
    // One timer for all messages: it looks when it fires whether something was heard in between.
    this.#cancelIdle = clock.after(Math.max(0, left), () => {
      if (clock.now() - this.#lastHeard >= this.#idleMs) this.close('idle for too long')
      else this.#watchIdle()
    })
  }

  #end(reason: string): void {
    if (!this.#isOpen) return
    this.#state = 'Closing'
    this.#leave()
    this.#connection.end(reason)
  }

  #closed(reason: string): void {
    this.#pressure.ease()
    this.#state = 'Closed'
    this.#leave()
    this.#log.info('ximss-closed', { address: this.#connection.address, reason })
    this.#gone()
  }

  #leave(): void {
    this.#cancelIdle?.()
    this.#cancelLogin()
    this.user?.end()
  }
}

/** Clients written for 6.1 or later read the first child of `readIM`, older ones its text. */
function isFromVersion61(version: string | undefined): boolean {
  const [, major, minor] = /^(\d{1,4})(?:\.(\d{1,4}))?/.exec(version ?? '') ?? []
  return Number(major) > 6 || (Number(major) === 6 && Number(minor) >= 1)
}
