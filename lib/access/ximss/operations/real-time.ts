import type { Stanza } from '../../../stanza/stanza.js'
import type { UserSession } from '../../user-session.js'
import type { Client, Operations, Outcome } from '../operation.js'
import type { Request } from '../request.js'
import { readIq } from '../translation/iq.js'
import { readMessage } from '../translation/message.js'
import { readPresence } from '../translation/presence.js'
import { badParameter, requiresLogin, tooManyRequests } from '../ximss-error.js'

/** Binding to real-time traffic, and the three kinds of it. */
export const realTimeOperations: Operations = {
  signalBind: {
    when: 'after-login',
    run(client, request) {
      const clientId = request.attribute('clientID')
      if (clientId && !client.rebind(clientId)) throw badParameter('clientID')
      userOf(client).appetite = { messages: request.flag('readIM'), presence: request.flag('presence'), iqs: true }
      return undefined
    },
  },

  signalUnbind: {
    when: 'after-login',
    run(client) {
      const user = userOf(client)
      user.appetite = { messages: false, presence: false, iqs: false }
      user.becomeUnavailable()
      return undefined
    },
  },

  sendIM: { when: 'after-login', run: (client, request) => submit(client, request, readMessage) },
  presenceSet: { when: 'after-login', run: (client, request) => submit(client, request, readPresence) },
  iqSend: { when: 'after-login', run: (client, request) => submit(client, request, readIq) },
}

type Reader = (request: Request, jids: Client['services']['jids']) => Stanza

/**
 * Success means taken, not delivered: what fails later comes back as a stanza of type `error`. Where it cannot go on quickly enough
 * the response waits, and the client's next requests with it.
 */
function submit(client: Client, request: Request, read: Reader): Outcome | Promise<Outcome> {
  const user = userOf(client)
  if (user.submit(readBounded(read, client, request)) !== undefined) throw tooManyRequests()
  const { pressure } = user
  return pressure === undefined ? undefined : new Promise(resolve => pressure.onRelief(() => resolve(undefined)))
}

function readBounded(read: Reader, { services }: Client, request: Request): Stanza {
  try {
    return read(request, services.jids)
  } catch (error) {
    // To stand on its own the stanza would have to repeat the declarations of the request beyond measure.
    if (error instanceof RangeError) throw badParameter('namespaces')
    throw error
  }
}

function userOf({ user }: Client): UserSession {
  if (user === undefined) throw requiresLogin()
  return user
}
