import { networkInterfaces } from 'node:os'
import type { Endpoint } from '../stream/acceptor.js'

const EVERY_ADDRESS: ReadonlySet<string> = new Set(['::', '0.0.0.0'])

/** Whether dialing this place would reach one of our own listeners. */
export function isOwnListener(endpoints: readonly Endpoint[], address: string, port: number): boolean {
  return endpoints.some(endpoint => {
    if (endpoint.port !== port) return false
    return EVERY_ADDRESS.has(endpoint.address) ? isLocalAddress(address) : endpoint.address === address
  })
}

function isLocalAddress(address: string): boolean {
  if (address.startsWith('127.')) return true
  return Object.values(networkInterfaces()).some(list => list?.some(local => local.address === address))
}
