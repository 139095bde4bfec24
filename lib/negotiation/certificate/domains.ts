import { domainToAscii, isIpLiteral, prepareDomain } from '../../stanza/domain.js'

/** A domain name as names are compared: A-labels, lower case, no dot at the end; undefined when it is none, or an address. */
export function comparable(domain: string): string | undefined {
  const name = prepareDomain(domain)
  return name === undefined || isIpLiteral(name) ? undefined : domainToAscii(name)
}

/** The domain an XmppAddr speaks for, in that form. */
export function domainOfXmppAddr(text: string): string | undefined {
  return comparable(text.replace(/\/.*$/, '').replace(/^[^@]*@/, ''))
}
