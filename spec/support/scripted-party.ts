import { createHash, createHmac, X509Certificate } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Fixture, TestAuthority } from './authority.js'
import { DIALBACK } from './scripted-stream.js'

/** One side of the policy matrix. */
export interface PeerSettings {
  readonly tls: 'disabled' | 'optional' | 'required'
  readonly certificate: 'missing' | 'invalid' | 'valid'
  readonly dialback: boolean
  readonly strict: boolean
  /** Which certificate it is, where `certificate` says too little; it must agree with that. */
  readonly fixture?: Fixture
}

const FIXTURES = { missing: null, invalid: 'expired', valid: 'both' } as const satisfies Record<string, Fixture | null>

/** The certificate fixture of a side: the base fixture of its state unless it names another. */
export function fixtureOf({ certificate, fixture }: PeerSettings): Fixture | null {
  return fixture ?? FIXTURES[certificate]
}

/** The fixtures that verify. */
export const GOOD_FIXTURES: readonly Fixture[] = ['both', 'server-auth-only']

/** Which certificates exist and which of them are good: a scripted peer knows, where a server has to judge. */
export class ScriptedCertificates {
  readonly #authority: TestAuthority
  readonly #contexts = new Map<string, SecureContext>()
  readonly #good = new Map<string, readonly string[]>()

  constructor(authority: TestAuthority) {
    this.#authority = authority
  }

  context(domain: string, settings: PeerSettings): SecureContext | undefined {
    const fixture = fixtureOf(settings)
    if (fixture === null) return undefined
    const name = `${domain} ${fixture}`
    let context = this.#contexts.get(name)
    if (context === undefined) {
      const { cert, key } = this.#authority.issue(domain, fixture)
      this.#contexts.set(name, (context = createSecureContext({ cert, key })))
    }
    return context
  }

  isGood(domain: string, fingerprint: string | undefined): boolean {
    let good = this.#good.get(domain)
    if (good === undefined) {
      good = GOOD_FIXTURES.map(
        fixture => new X509Certificate(this.#authority.issue(domain, fixture).cert).fingerprint256,
      )
      this.#good.set(domain, good)
    }
    return fingerprint !== undefined && good.includes(fingerprint)
  }
}

/** Who a scripted peer is and what it works with. */
export interface ScriptedParty {
  readonly domain: string
  readonly settings: PeerSettings
  readonly certificates: ScriptedCertificates
  readonly secret: string
  /** A connection to whoever answers for a domain. */
  dial(domain: string): Duplex | undefined
  /** Whether that begins with TLS (XEP-0368). */
  readonly isDirectTls: (domain: string) => boolean
}

/** The dialback key of XEP-0185 §3, in few lines of its own. */
export function scriptedKey(secret: string, receiving: string, originating: string, id: string): string {
  const inner = createHash('sha256').update(secret, 'utf8').digest('hex')
  return createHmac('sha256', inner).update([receiving, originating, id].join(' ')).digest('hex')
}

/** What a peer says on its header besides the names: the version, and dialback when it speaks it. */
export function headerExtras({ settings }: ScriptedParty): string {
  return settings.dialback ? `${DIALBACK} version='1.0'` : "version='1.0'"
}
