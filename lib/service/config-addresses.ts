import { isIP } from 'node:net'
import { z } from 'zod'
import { readRoute } from '../dial/dns-override.js'
import { readServer } from '../dial/system-servers.js'
import { domainToAscii, prepareDomain } from '../stanza/domain.js'

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
