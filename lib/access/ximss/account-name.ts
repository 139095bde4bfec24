import type { Jid } from '../../stanza/jid.js'
import type { AccountName } from '../../store/accounts.js'
import type { XimssServices } from './services.js'

type Known = Pick<XimssServices, 'jids' | 'domains'>

/** The account that `olga` or `olga@north.example` means; undefined for a name that can mean none here. */
export function readAccountName(name: string, targetDomain: string, { jids, domains }: Known): AccountName | undefined {
  const jid = jids.parse(name.includes('@') ? name : `${name}@${targetDomain}`)
  if (jid === undefined || !jid.isBare || jid.local === '' || !domains.includes(jid.domain)) return undefined
  return { local: jid.local, domain: jid.domain }
}

/** The bare JID of an account. */
export function accountJid({ local, domain }: AccountName, { jids }: Pick<XimssServices, 'jids'>): Jid {
  const jid = jids.from(local, domain)
  if (jid === undefined) throw new Error('an account whose name is no address')
  return jid
}

/** The served domain that `name` spells in any way, as an A-label too. */
export function servedDomain(name: string, { jids, domains }: Known): string | undefined {
  const domain = jids.parse(name)?.toString()
  return domain !== undefined && domains.includes(domain) ? domain : undefined
}
