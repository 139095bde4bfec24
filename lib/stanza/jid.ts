import { LRUCache } from 'lru-cache'
import { prepareDomain } from './domain.js'
import { enforceOpaque, enforceUsername } from './precis/profiles.js'

/** RFC 7622 §3.2 to §3.4: octets of each part, in canonical form. */
const MOST_OCTETS = 1023
/** Characters of a part as written; decomposed text may shrink, but not by half. Refused unread when longer. */
const MOST_WRITTEN = 2 * MOST_OCTETS
const MOST_TEXT = 3 * MOST_WRITTEN + 2
/** Characters the cache keeps for each address it has room for, on the average. */
const CACHED_CHARACTERS = 256

/** ASCII that the IdentifierClass and RFC 7622 §3.3.1 admit to a localpart, lower-cased. */
const PLAIN_LOCAL = /^[!#-%(-.0-9;=?[-~]+$/
const PLAIN_RESOURCE = /^[ -~]+$/
const EXCLUDED_FROM_LOCAL = /["&'/:<>@]/

/** An XMPP address (RFC 7622) in canonical form, immutable. Made by `Jids`, which alone checks what goes in. */
export class Jid {
  /** `''` when absent. */
  readonly local: string
  /** U-labels; see `domainToAscii`. */
  readonly domain: string
  /** `''` when absent. */
  readonly resource: string
  /** The address without its resourcepart; the same object when it has none. */
  readonly bare: Jid
  readonly isBare: boolean
  readonly #text: string

  /** The parts are canonical already; `bare` is their bare address when there is a resource and that address is at hand. */
  constructor(local: string, domain: string, resource: string, bare?: Jid) {
    this.local = local
    this.domain = domain
    this.resource = resource
    this.isBare = resource === ''
    this.bare = this.isBare ? this : (bare ?? new Jid(local, domain, ''))
    const account = local === '' ? domain : `${local}@${domain}`
    this.#text = this.isBare ? account : `${account}/${resource}`
  }

  /** The address with another resourcepart; `undefined` when `resource` is none (RFC 7622 §3.4). */
  withResource(resource: string): Jid | undefined {
    const prepared = prepareResource(resource)
    return prepared === undefined ? undefined : new Jid(this.local, this.domain, prepared, this.bare)
  }

  /** RFC 7622 §4: canonical forms are compared octet by octet. */
  equals(other: Jid): boolean {
    return this === other || this.#text === other.#text
  }

  /** The full canonical form. */
  toString(): string {
    return this.#text
  }
}

/** Reads addresses and keeps the ones read last, so that equal addresses are one object while both spellings are cached. */
export class Jids {
  readonly #cache: LRUCache<string, Jid>

  /** `capacity` is the number of spellings kept. */
  constructor(capacity = 10_000) {
    this.#cache = new LRUCache({
      max: capacity,
      maxSize: Math.max(capacity * CACHED_CHARACTERS, 2 * MOST_TEXT),
      sizeCalculation: (jid, spelling) => spelling.length + jid.toString().length,
    })
  }

  /** The address that `text` spells; `undefined` when it is malformed (`jid-malformed`, RFC 6120 §8.3.3.8). */
  parse(text: string): Jid | undefined {
    if (text.length > MOST_TEXT) return undefined
    const known = this.#cache.get(text)
    if (known !== undefined) return known
    // A part of a longer string keeps all of it in memory: what may be cached is cut loose first.
    const spelling = Buffer.from(text).toString()
    // Half of a surrogate pair does not survive UTF-8, and would come back as a character that a resourcepart may hold.
    if (spelling !== text) return undefined
    const jid = this.#read(spelling)
    if (jid !== undefined) this.#cache.set(spelling, jid)
    return jid
  }

  /** The address with these parts, `''` standing for an absent localpart or resourcepart. */
  from(local: string, domain: string, resource = ''): Jid | undefined {
    if (/[/@]/.test(local) || /[/@]/.test(domain)) return undefined
    const account = local === '' ? domain : `${local}@${domain}`
    return this.parse(resource === '' ? account : `${account}/${resource}`)
  }

  /** RFC 7622 §3.1: the resourcepart begins after the first slash, the domainpart after the first `@` before that. */
  #read(text: string): Jid | undefined {
    const slash = text.indexOf('/')
    const account = slash < 0 ? text : text.slice(0, slash)
    const at = account.indexOf('@')
    const local = at < 0 ? '' : prepareLocal(account.slice(0, at))
    const domain = prepareDomain(account.slice(at + 1))
    const resource = slash < 0 ? '' : prepareResource(text.slice(slash + 1))
    if (local === undefined || domain === undefined || resource === undefined) return undefined
    const bare = this.#intern(new Jid(local, domain, ''))
    return resource === '' ? bare : this.#intern(new Jid(local, domain, resource, bare))
  }

  #intern(jid: Jid): Jid {
    const text = jid.toString()
    const known = this.#cache.get(text)
    if (known === undefined) this.#cache.set(text, jid)
    return known ?? jid
  }
}

/** RFC 7622 §3.3: UsernameCaseMapped, without the characters that §3.3.1 excludes. */
function prepareLocal(text: string): string | undefined {
  if (text.length > MOST_WRITTEN) return undefined
  const lower = text.toLowerCase()
  if (PLAIN_LOCAL.test(lower)) return withinLimit(lower)
  const local = enforceUsername(text)
  return local === undefined || EXCLUDED_FROM_LOCAL.test(local) ? undefined : withinLimit(local)
}

/** RFC 7622 §3.4: OpaqueString. A leading space is part of the resource (erratum 4560). */
function prepareResource(text: string): string | undefined {
  if (text.length > MOST_WRITTEN) return undefined
  const resource = PLAIN_RESOURCE.test(text) ? text : enforceOpaque(text)
  return resource === undefined ? undefined : withinLimit(resource)
}

function withinLimit(part: string): string | undefined {
  return Buffer.byteLength(part) <= MOST_OCTETS ? part : undefined
}
