import type { Rules, TlsPolicy } from '../negotiation/rules.js'

/** The settings that decide how a domain has to prove itself when no rule says otherwise. */
export interface FederationSettings {
  readonly tlsPolicy: TlsPolicy
  readonly strictValidation: boolean
  readonly dialbackEnabled: boolean
}

/** What both directions of every domain pair follow; facts in, rules out. */
export function federationRules({ tlsPolicy, strictValidation, dialbackEnabled }: FederationSettings): Rules {
  return { tls: tlsPolicy, strict: strictValidation, external: true, dialback: dialbackEnabled }
}
