import type { Clock } from '../../base/clock.js'
import type { Log } from '../../base/log.js'
import { writeMessage } from './data-message.js'
import type { Client, Outcome } from './operation.js'
import { operationNamed } from './operations/table.js'
import type { Request } from './request.js'
import {
  badCredentials,
  badParameter,
  notAfterLogin,
  outOfSequence,
  requiresLogin,
  unknownCommand,
  XimssError,
} from './ximss-error.js'

export interface RequestRunnerOptions {
  readonly client: Client
  readonly clock: Clock
  readonly log: Log
  /** Sends a message to the client. */
  readonly say: (text: string) => void
  /** Called after each response, and when a request has to wait for the next one. */
  readonly settled: () => void
}

/** Executes the requests of one connection, one at a time, and answers each of them exactly once. */
export class RequestRunner {
  readonly #options: RequestRunnerOptions
  #running: { readonly request: Request; readonly since: Date } | undefined

  constructor(options: RequestRunnerOptions) {
    this.#options = options
  }

  /** The request that runs now. No other may be given meanwhile. */
  get running(): { readonly request: Request; readonly since: Date } | undefined {
    return this.#running
  }

  /** Executes a request; it may still be running afterwards. */
  run(request: Request): void {
    const { clock } = this.#options
    const started = clock.now()
    this.#running = { request, since: clock.date() }
    let outcome: Outcome | Promise<Outcome>
    try {
      outcome = this.#start(request)
    } catch (error) {
      this.#fail(request, started, error)
      return
    }
    if (outcome instanceof Promise) {
      outcome.then(
        value => this.#succeed(request, started, value),
        (error: unknown) => this.#fail(request, started, error),
      )
    } else this.#succeed(request, started, outcome)
  }

  #start(request: Request): Outcome | Promise<Outcome> {
    const { client } = this.#options
    this.#checkExchange(request)
    if (request.id === undefined) throw badParameter('id')
    const operation = operationNamed(request.name)
    if (operation === undefined) throw unknownCommand()
    if (client.user === undefined && operation.when === 'after-login') throw requiresLogin()
    if (client.user !== undefined && operation.when === 'before-login') throw notAfterLogin()
    return operation.run(client, request)
  }

  /** While an exchange is under way its next step is expected; anything else cancels it, and is itself not done. */
  #checkExchange(request: Request): void {
    const { client } = this.#options
    const { exchange } = client
    if (exchange === undefined || (request.name === 'auth' && request.id === exchange.loginId)) return
    client.exchange = undefined
    client.countFailedLogin()
    this.#say(exchange.loginId, badCredentials())
    if (request.name !== 'bye') throw outOfSequence()
  }

  #succeed(request: Request, started: number, outcome: Outcome): void {
    this.#running = undefined
    if (outcome !== 'continues') this.#say(request.id ?? '', undefined, this.#exeTime(request, started))
    this.#settle(request, true)
  }

  #fail(request: Request, started: number, error: unknown): void {
    this.#running = undefined
    if (!(error instanceof XimssError)) {
      this.#options.log.error('ximss-operation-failed', { operation: request.name.slice(0, 40), error })
    }
    const told = error instanceof XimssError ? error : new XimssError(599, 'internal failure')
    this.#say(request.id ?? '', told, this.#exeTime(request, started))
    this.#settle(request, false)
  }

  #settle(request: Request, ok: boolean): void {
    this.#options.log.debug('ximss-request', { operation: request.name.slice(0, 40), ok })
    this.#options.settled()
  }

  #exeTime(request: Request, started: number): string | undefined {
    return request.wantsTime ? String(Math.round(this.#options.clock.now() - started)) : undefined
  }

  #say(id: string, error: XimssError | undefined, exeTime?: string): void {
    const attributes = { errorText: error?.message, errorNum: error && String(error.number), exeTime }
    this.#options.say(writeMessage({ name: 'response', attributes }, id))
  }
}
