import type { Operations } from '../operation.js'
import { badParameter } from '../ximss-error.js'

/** What concerns the session itself. */
export const serviceOperations: Operations = {
  noop: { when: 'always', run: () => undefined },

  bye: {
    when: 'always',
    run(client) {
      client.endAfterResponse()
      return undefined
    },
  },

  // Clients set options of servers that have more of them, so the unknown ones succeed.
  setSessionOption: {
    when: 'after-login',
    run(client, request) {
      if (request.required('name') !== 'idleTimeout') return undefined
      const value = request.required('value')
      if (!/^\d{1,10}$/.test(value) || Number(value) < 1) throw badParameter('value')
      client.setIdleTime(Number(value))
      return undefined
    },
  },

  setClientName: {
    when: 'after-login',
    run(client, request) {
      client.setClientName(request.required('name'))
      return undefined
    },
  },

  readTime: {
    when: 'after-login',
    run(client) {
      const now = client.services.clock.date()
      const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000)
      client.send({ name: 'currentTime', attributes: { gmtTime: ximssTime(now), localTime: ximssTime(local) } })
      return undefined
    },
  },

  prefsRead: {
    when: 'after-login',
    run(client) {
      client.send({ name: 'prefs', attributes: {} })
      return undefined
    },
  },
}

/** `YYYYMMDDThhmmss`, without a zone. */
function ximssTime(date: Date): string {
  return date.toISOString().replaceAll(/[-:]|\.\d+Z$/g, '')
}
