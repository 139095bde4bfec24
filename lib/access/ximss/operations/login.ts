import type { SaslStep } from '../../sasl/exchange.js'
import { NOBODY } from '../../sasl/exchange.js'
import { accountJid, readAccountName } from '../account-name.js'
import type { Client, Operations, Outcome, RunningExchange } from '../operation.js'
import type { Request } from '../request.js'
import { badCredentials, badParameter, outOfSequence, XimssError } from '../ximss-error.js'

/** Longest password and name looked at, in characters. */
const MOST_CHARACTERS = 1024

/** `login`, in clear text or by a SASL method, and `auth`, the next step of the latter. */
export const loginOperations: Operations = {
  login: {
    when: 'before-login',
    run: (client, request) => {
      const method = request.attribute('method')
      return method === undefined ? loginInClear(client, request) : startExchange(client, request, method)
    },
  },

  auth: {
    when: 'before-login',
    run: (client, request) => {
      const { exchange: running } = client
      if (running === undefined) throw outOfSequence()
      return goOn(client, running, decode(request.attribute('value') ?? ''))
    },
  },
}

async function loginInClear(client: Client, request: Request): Promise<Outcome> {
  const name = request.required('authData')
  const password = request.required('password')
  if (!client.mayShowPassword) throw new XimssError(504, 'login in clear text requires TLS')
  const isReadable = name.length <= MOST_CHARACTERS && password.length <= MOST_CHARACTERS
  const account = isReadable ? readAccountName(name, client.targetDomain, client.services) : undefined
  const { local, domain } = account ?? NOBODY
  // Asked for unknown names as well, so that they take as long.
  const isProven = isReadable && (await client.accounts.verifyPassword(local, domain, password))
  if (!isProven || account === undefined) return fail(client)
  client.logIn(accountJid(account, client.services), request.attribute('version'))
  return undefined
}

async function startExchange(client: Client, request: Request, method: string): Promise<Outcome> {
  const exchange = client.mechanisms.start(method)
  if (exchange === undefined) throw badParameter('method')
  const running: RunningExchange = { loginId: request.id ?? '', version: request.attribute('version'), exchange }
  client.exchange = running
  client.accounts.beginExchange()
  const initial = request.attribute('authData')
  if (initial !== undefined) return goOn(client, running, decode(initial))
  // RFC 4422 §3.3: these mechanisms let the client speak first; without an initial response it is asked to.
  return challenge(client, Buffer.alloc(0))
}

async function goOn(client: Client, running: RunningExchange, data: Buffer | undefined): Promise<Outcome> {
  if (running.proven !== undefined) {
    if (data === undefined || data.length > 0) return fail(client)
    return finish(client, running)
  }
  if (!client.accounts.admitsStep) return fail(client)
  const step: SaslStep =
    data === undefined ? { kind: 'failure', condition: 'incorrect-encoding' } : await running.exchange.respond(data)
  if (step.kind === 'challenge') return challenge(client, step.data)
  client.accounts.endExchange(step.kind === 'success')
  if (step.kind === 'failure') return fail(client)
  running.proven = step.account
  // RFC 4422 §3.6: where success has no room for the server's last words they are one more challenge, answered by nothing.
  return step.data === undefined ? finish(client, running) : challenge(client, step.data)
}

function finish(client: Client, { proven, version }: RunningExchange): Outcome {
  client.exchange = undefined
  if (proven !== undefined) client.logIn(accountJid(proven, client.services), version)
  return undefined
}

function challenge(client: Client, data: Buffer): Outcome {
  client.send({ name: 'challenge', attributes: { value: data.toString('base64') } })
  return 'continues'
}

/** Whatever was wrong, it looks the same and waits as long. */
async function fail(client: Client): Promise<never> {
  const { clock, limits } = client.services
  client.exchange = undefined
  await new Promise<void>(resolve => {
    clock.after(limits.failedLoginDelayMs, resolve)
  })
  client.countFailedLogin()
  throw badCredentials()
}

/** RFC 4648 §4, padded, nothing else in it; `=` alone is the empty initial response (RFC 6120 §6.4.2). */
function decode(text: string): Buffer | undefined {
  if (text === '' || text === '=') return Buffer.alloc(0)
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text)
  return isBase64 ? Buffer.from(text, 'base64') : undefined
}
