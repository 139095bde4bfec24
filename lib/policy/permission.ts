import type { Rules } from '../negotiation/rules.js'
import { isIpLiteral, prepareDomain } from '../stanza/domain.js'
import { type Demands, type FederationSettings, federationRules } from './federation-policy.js'

/** Which way stanzas go: from the remote domain to us, from us to it, or both. */
export const PERMISSION_DIRECTIONS = ['in', 'out', 'both'] as const

export type PermissionDirection = (typeof PERMISSION_DIRECTIONS)[number]

/** What an entry says of a remote domain; `pattern` and `direction` together name it. */
export interface PermissionEntry {
  /** As `readPattern` gives it. */
  readonly pattern: string
  readonly direction: PermissionDirection
  readonly action: 'allow' | 'block'
  /** Empty for a block. */
  readonly demands: Demands
  /** For the admin; never told to strangers. */
  readonly reason: string
  /** From then on the entry does not count. */
  readonly expires?: Date
}

/** `blacklist`: every domain but those blocked; `whitelist`: only those allowed. */
export type PermissionMode = 'blacklist' | 'whitelist'

/** What may be done: rules to follow, and the one proof that was demanded; or why nothing may be done. */
export type Permission =
  | { readonly rules: Rules; readonly proof?: 'external' | 'dialback' }
  | {
      readonly refused: { readonly kind: 'policy'; readonly detail: 'blocked' | 'not-listed'; readonly text?: string }
    }

/** Reads `name`, `*.suffix` or `*`; every spelling of a name (case, A-label, full-width dot) gives the same pattern. Undefined when it is none. */
export function readPattern(text: string): string | undefined {
  const trimmed = text.trim()
  if (trimmed === '*') return trimmed
  const wild = trimmed.startsWith('*.') ? '*.' : ''
  const name = prepareDomain(trimmed.slice(wild.length))
  return name === undefined || (wild !== '' && isIpLiteral(name)) ? undefined : wild + name
}

/** Whether an entry counts at this moment. */
export function isExpired({ expires }: PermissionEntry, at: Date): boolean {
  return expires !== undefined && expires.getTime() <= at.getTime()
}

/** The entries that count at one moment, ready to be looked up. */
export class PermissionIndex {
  /** When the next of them stops counting. */
  readonly nextExpiry: Date | undefined
  readonly #recursive: boolean
  readonly #incoming = new Map<string, PermissionEntry>()
  readonly #outgoing = new Map<string, PermissionEntry>()

  /** `recursive`: an entry for a name covers its sub-domains too. */
  constructor(entries: Iterable<PermissionEntry>, recursive: boolean, at: Date) {
    this.#recursive = recursive
    let next: Date | undefined
    for (const entry of entries) {
      if (isExpired(entry, at)) continue
      if (entry.expires !== undefined && (next === undefined || entry.expires < next)) next = entry.expires
      if (entry.direction !== 'out') keepStronger(this.#incoming, entry)
      if (entry.direction !== 'in') keepStronger(this.#outgoing, entry)
    }
    this.nextExpiry = next
  }

  /** The entry with the longest pattern that covers a canonical name; for `b.a`: `b.a`, `*.a`, `a`, `*`. */
  find(remote: string, direction: 'in' | 'out'): PermissionEntry | undefined {
    const entries = direction === 'in' ? this.#incoming : this.#outgoing
    const exact = entries.get(remote)
    if (exact !== undefined) return exact
    for (let dot = remote.indexOf('.'); dot >= 0; dot = remote.indexOf('.', dot + 1)) {
      const above =
        entries.get(`*${remote.slice(dot)}`) ?? (this.#recursive ? entries.get(remote.slice(dot + 1)) : undefined)
      if (above !== undefined) return above
    }
    return entries.get('*')
  }
}

/** What follows from the entry found for a domain, or from none. */
export function permissionBy(
  entry: PermissionEntry | undefined,
  mode: PermissionMode,
  settings: FederationSettings,
): Permission {
  if (entry === undefined) {
    return mode === 'whitelist'
      ? { refused: { kind: 'policy', detail: 'not-listed' } }
      : { rules: federationRules(settings) }
  }
  if (entry.action === 'block') {
    const text = entry.reason === '' ? {} : { text: entry.reason }
    return { refused: { kind: 'policy', detail: 'blocked', ...text } }
  }
  const { proof } = entry.demands
  return { rules: federationRules(settings, entry.demands), ...(proof !== undefined && { proof }) }
}

/** Of two entries with one pattern a block counts; of two of one kind that which names the direction. */
function keepStronger(entries: Map<string, PermissionEntry>, entry: PermissionEntry): void {
  const other = entries.get(entry.pattern)
  if (other === undefined || rank(entry) > rank(other)) entries.set(entry.pattern, entry)
}

function rank({ action, direction }: PermissionEntry): number {
  return (action === 'block' ? 2 : 0) + (direction === 'both' ? 0 : 1)
}
