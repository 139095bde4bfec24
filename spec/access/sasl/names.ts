import type { AccountNameReader } from '../../../lib/access/sasl/exchange.js'

/** Accounts of north.example; names are told apart without regard to case, and spaces are refused. */
export const readNorthName: AccountNameReader = name => {
  const [local = '', domain = 'north.example', ...rest] = name.toLowerCase().split('@')
  if (rest.length > 0 || local === '' || local.includes(' ') || domain !== 'north.example') return undefined
  return { local, domain }
}
