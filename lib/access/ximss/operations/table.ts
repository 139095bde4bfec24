import type { Operation, Operations } from '../operation.js'
import { notSupported } from '../ximss-error.js'
import { featureOperations } from './features.js'
import { loginOperations } from './login.js'
import { realTimeOperations } from './real-time.js'
import { serviceOperations } from './service.js'

const table: Operations = { ...featureOperations, ...loginOperations, ...serviceOperations, ...realTimeOperations }

/** Known, but not served here: a client can tell them from a typing error. */
const UNSERVED_BEFORE_LOGIN = /^(readStrings|recoverPassword|signup)$/
const UNSERVED_AFTER_LOGIN =
  /^(passwordModify|prefsStore|listKnownValues|cliExecute|rosterList|rosterSet|makeCall|(folder|mailbox|message|calendar|contact|file|task|call)[A-Z]\w*)$/

const refuse = (): never => {
  throw notSupported()
}

/** The operation of this name, or undefined when there is none in the protocol. */
export function operationNamed(name: string): Operation | undefined {
  if (Object.hasOwn(table, name)) return table[name]
  if (UNSERVED_BEFORE_LOGIN.test(name)) return { when: 'always', run: refuse }
  if (UNSERVED_AFTER_LOGIN.test(name)) return { when: 'after-login', run: refuse }
  return undefined
}
