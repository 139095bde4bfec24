import type { Rules, TlsPolicy } from '../negotiation/rules.js'

/** The settings that decide how a domain has to prove itself when no rule says otherwise. */
export interface FederationSettings {
  readonly tlsPolicy: TlsPolicy
  readonly strictValidation: boolean
  readonly dialbackEnabled: boolean
}

/** What a permission entry says of a domain in place of the general settings; what it leaves out they decide. */
export interface Demands {
  readonly tls?: TlsPolicy
  /** The only proof that counts: a certificate, or Server Dialback. */
  readonly proof?: 'external' | 'dialback'
  /** See `Rules.strict`. */
  readonly strict?: boolean
}

/** What one direction of a domain pair follows; facts in, rules out. Demands of a proof take the other one away, they never bring one back. */
export function federationRules(
  { tlsPolicy, strictValidation, dialbackEnabled }: FederationSettings,
  { tls, proof, strict }: Demands = {},
): Rules {
  return {
    tls: tls ?? tlsPolicy,
    strict: strict ?? strictValidation,
    external: proof !== 'dialback',
    dialback: dialbackEnabled && proof !== 'external',
  }
}
