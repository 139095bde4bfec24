import { isIPv4, isIPv6 } from 'node:net'
import tr46 from 'tr46'
import { isRightToLeft, obeysBidiRule } from './precis/bidi.js'
import { isLabel } from './precis/classes.js'
import { mapWidth } from './precis/mapping.js'

/** RFC 7622 §3.2: octets of a domainpart. Longer text is refused before anything looks at it. */
const MOST_OCTETS = 1023
/** RFC 1035 §2.3.4, as text without the final dot. Every character takes at least one octet there, also as A-label. */
const MOST_NAME = 253
/** 63 characters, each of them one or two units of a string. */
const MOST_LABEL_UNITS = 126

/** Lower-case NR-LDH labels (RFC 5890 §2.3.1) of at most 63 octets, but no `--` in the third place, hence no A-labels. */
const PLAIN = /^(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/
/** Resolvers of the old school read a name that ends so as an IPv4 address (`1.2` is 1.0.0.2 to them); it is no host name. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/

const IDNA = {
  checkBidi: true,
  checkHyphens: true,
  checkJoiners: true,
  useSTD3ASCIIRules: true,
  transitionalProcessing: false,
} as const

/**
 * The canonical form of a domainpart (RFC 7622 §3.2): lower case, ordinary width, NFC, U-labels, no trailing dot; or an IP
 * literal. Names follow IDNA2008 (RFC 5891, RFC 5892, RFC 5893) and fit into DNS. Equal domains have equal canonical forms,
 * and the canonical form of a canonical form is itself. `undefined` when `text` is no domainpart.
 */
export function prepareDomain(text: string): string | undefined {
  if (text.length <= MOST_NAME && PLAIN.test(text)) return plainName(text)
  if (text.length > MOST_OCTETS) return undefined
  if (text.startsWith('[')) return prepareIpv6(text)
  const mapped = lower(mapWidth(text).replaceAll('\u3002', '.')).normalize('NFC').replace(/\.$/, '')
  if (mapped.length <= MOST_NAME && PLAIN.test(mapped)) return plainName(mapped)
  return internationalName(mapped)
}

/**
 * The A-label form of a canonical domain, for DNS, SNI and certificates (RFC 5890 §2.3.2.1); IP literals stay as they are.
 * Throws a RangeError for text that has no such form, which `prepareDomain` never returns.
 */
export function domainToAscii(domain: string): string {
  if (!/[^\x00-\x7F]/.test(domain)) return domain
  const ascii = toALabels(domain)
  if (ascii === undefined) throw new RangeError('domain without A-label form')
  return ascii
}

/** True for a canonical domain that is an IPv4 address or a bracketed IPv6 address. */
export function isIpLiteral(domain: string): boolean {
  return domain.startsWith('[') || isIPv4(domain)
}

/** True when `domain`, in any spelling, can name a remote server: a valid domain name, no IP literal, no port, not in Tor (RFC 7686 §2). */
export function isUsableRemoteName(domain: string): boolean {
  const name = prepareDomain(domain)
  return name !== undefined && !isIpLiteral(name) && !isOnionName(name)
}

/** True for a canonical domain in Tor, which must not be asked for in DNS (RFC 7686 §2). */
export function isOnionName(domain: string): boolean {
  return domain === 'onion' || domain.endsWith('.onion')
}

function plainName(name: string): string | undefined {
  return ENDS_IN_NUMBER.test(name) && !isIPv4(name) ? undefined : name
}

/** The URL parser gives the one spelling of RFC 5952 §4; zone identifiers mean nothing to another host. */
function prepareIpv6(text: string): string | undefined {
  const address = text.slice(1, -1)
  if (!text.endsWith(']') || address.includes('%') || !isIPv6(address)) return undefined
  return new URL(`http://${text}`).hostname
}

/** Lower case only where IDNA2008 wants it: Cherokee, alone, is valid in upper case (RFC 5892 §2.2). */
function lower(text: string): string {
  return text.replace(/[A-Z]|(?=\p{Changes_When_Casefolded})[\p{Lu}\p{Lt}]/gu, character => character.toLowerCase())
}

function internationalName(mapped: string): string | undefined {
  if ([...mapped].length > MOST_NAME) return undefined
  const labels: string[] = []
  for (const label of mapped.split('.')) {
    const unicode = label.startsWith('xn--') ? toULabel(label) : label
    if (unicode === undefined || unicode.length > MOST_LABEL_UNITS || !isLabel(unicode)) return undefined
    labels.push(unicode)
  }
  const name = labels.join('.')
  // RFC 5893 §1.4: one right-to-left label puts all labels of the name under the rule.
  if (isRightToLeft(name) && !labels.every(obeysBidiRule)) return undefined
  if (Buffer.byteLength(name) > MOST_OCTETS || ENDS_IN_NUMBER.test(name)) return undefined
  return toALabels(name) === undefined ? undefined : name
}

/** RFC 5891 §5.4: an A-label stands for a U-label only when that one gives the same A-label back. */
function toULabel(label: string): string | undefined {
  if (label.length > 63) return undefined
  const { domain, error } = tr46.toUnicode(label, IDNA)
  return !error && toALabels(domain) === label ? domain : undefined
}

function toALabels(name: string): string | undefined {
  return tr46.toASCII(name, { ...IDNA, verifyDNSLength: true }) ?? undefined
}
