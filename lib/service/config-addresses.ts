import { isIP } from 'node:net'
import { z } from 'zod'
import { readRoute } from '../dial/dns-override.js'
import { proxyWithoutPassword, readProxy } from '../dial/proxy.js'
import { readServer } from '../dial/system-servers.js'
import { domainToAscii, prepareDomain } from '../stanza/domain.js'
import { list, type OptionType, text } from './config-types.js'

/** A domain as it stands in addresses (RFC 7622 §3.2), in canonical form. */
export const domainName: z.ZodType<string> = z.string('not a domain name').transform((name, context) => {
  const prepared = prepareDomain(name)
  if (prepared === undefined) context.addIssue('not a domain name')
  return prepared ?? z.NEVER
})

/** An IP address to listen on. */
export const localAddress: z.ZodType<string> = z
  .string('not an IP address')
  .refine(address => isIP(address) !== 0, 'not an IP address')

/** The path of a file. */
export const filePath: z.ZodType<string> = z
  .string('not a path')
  .refine(path => path !== '' && !path.includes('\0'), 'not a path')

/** A text that `readServer` reads. */
export const nameServer: z.ZodType<string> = z.string('not a name server').superRefine((server, context) => {
  if (server.startsWith('tls://')) context.addIssue('DNS over TLS is not available in this version')
  else if (readServer(server) === undefined) context.addIssue('not a name server')
})

/** Which domains an override is for: `name`, `*.suffix` or `*`; names become A-labels, which is how they are looked up. */
export const namePattern: z.ZodType<string, string> = z.string('not a pattern').transform((pattern, context) => {
  if (pattern === '*') return pattern
  const wild = pattern.startsWith('*.') ? '*.' : ''
  const prepared = prepareDomain(pattern.slice(wild.length))
  if (prepared === undefined) context.addIssue('not a pattern')
  return prepared === undefined ? z.NEVER : wild + domainToAscii(prepared)
})

/** A text that `readRoute` reads. */
export const overrideTarget: z.ZodType<string> = z
  .string('not a target')
  .refine(target => readRoute(target) !== undefined, 'not a target')

/** A text that `readProxy` reads, or none; its password is never shown. */
export function optionalProxy(): OptionType<string> {
  const url = text('socks5://[user:password@]host:port, or nothing', value =>
    value === '' || readProxy(value) !== undefined ? undefined : 'not a SOCKS5 proxy',
  )
  return { ...url, show: proxyWithoutPassword }
}

/** IP addresses of this machine, none or one of each family. */
export function sourceAddresses(): OptionType<readonly string[]> {
  const addresses = list('IP addresses, one of each family at most', localAddress)
  const schema = addresses.schema.refine(
    all => new Set(all.map(isIP)).size === all.length,
    'two addresses of the same family',
  )
  return { ...addresses, schema }
}
