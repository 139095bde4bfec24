import { BlockList, isIPv4, isIPv6 } from 'node:net'

type Range = readonly [address: string, prefix: number]

/** Ranges nobody federates over by name alone: IANA special-purpose registries (RFC 6890) and multicast. */
const RANGES: readonly Range[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
]

/** RFC 6052 §2.1: an IPv4 address behind a translator counts as itself. Mapped ones (RFC 4291 §2.5.5.2) Node compares itself. */
const TRANSLATED = '64:ff9b::'

const forbidden = blockListOf(RANGES)
const loopback = blockListOf([
  ['127.0.0.0', 8],
  ['::1', 128],
])

/**
 * Whether an address is loopback, unspecified, link-local, multicast, private, for documentation or reserved, also in
 * IPv4-mapped and translated form. Anything that is no address is forbidden too.
 */
export function isForbiddenTarget(address: string): boolean {
  if (isIPv4(address)) return forbidden.check(address, 'ipv4')
  return !isIPv6(address) || address.includes('%') || forbidden.check(address, 'ipv6')
}

/** Names of the very machine that resolves (RFC 6761 §6.3), and those that old resolvers read as an IPv4 address. */
const FORBIDDEN_NAME = /(?:^|\.)(?:localhost|[0-9]+|0x[0-9a-f]*)$/

/** Whether a folded name, which somebody else will resolve, stands for an address that is forbidden or cannot be told. */
export function isForbiddenName(name: string): boolean {
  return FORBIDDEN_NAME.test(name)
}

/** Whether an address is this very machine (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3). */
export function isLoopback(address: string): boolean {
  if (isIPv4(address)) return loopback.check(address, 'ipv4')
  return isIPv6(address) && loopback.check(address, 'ipv6')
}

function blockListOf(ranges: readonly Range[]): BlockList {
  const list = new BlockList()
  for (const [address, prefix] of ranges) {
    list.addSubnet(address, prefix, isIPv4(address) ? 'ipv4' : 'ipv6')
    if (isIPv4(address)) list.addSubnet(TRANSLATED + address, 96 + prefix, 'ipv6')
  }
  return list
}
