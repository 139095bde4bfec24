export type TlsPolicy = 'disabled' | 'optional' | 'required'

/** How a domain pair was proven on a stream, strongest first. */
export type Proof = 'external' | 'certificate' | 'dialback'

/** What policy allows for one domain pair in one direction; plain data, computed before anything is asked of the network. */
export interface Rules {
  readonly tls: TlsPolicy
  /** A peer certificate that was seen and does not verify ends the attempt. */
  readonly strict: boolean
  readonly external: boolean
  readonly dialback: boolean
}
