import { Resolver } from 'node:dns'
import { isIP } from 'node:net'
import type { ServerAddress } from './dns-record.js'

const DNS_PORT = 53

/** The DNS servers that the machine is set up with, as they are now. */
export function systemServers(): readonly ServerAddress[] {
  return new Resolver().getServers().flatMap(text => readServer(text) ?? [])
}

/** Reads `address` or `address:port`, IPv6 with a port as `[address]:port`; undefined when it is neither. */
export function readServer(text: string): ServerAddress | undefined {
  if (isIP(text) !== 0) return { address: text, port: DNS_PORT }
  const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text)
  const address = parts?.[1] ?? parts?.[2] ?? ''
  const port = Number(parts?.[3] ?? DNS_PORT)
  if (isIP(address) === 0 || port < 1 || port > 65535) return undefined
  return { address, port }
}
