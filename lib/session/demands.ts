import type { Proof } from '../negotiation/rules.js'
import type { EndReason } from '../stream/end-reason.js'
import type { Gate } from './context.js'
import type { OutgoingStream } from './outgoing-stream.js'

/** Whether a pair proven so may stay proven, where an entry for the domain demands a proof. */
export function isProofAllowed(gate: Exclude<Gate, { refused: unknown }>, proof: Proof): boolean {
  return gate.proof === undefined || (gate.proof === 'dialback') === (proof === 'dialback')
}

/**
 * Why a stream that we opened may not be used for a remote domain, or not any more, as policy stands now; `proof` when a pair of that domain
 * has been proven on it.
 */
export function unmetDemand(gate: Gate, stream: OutgoingStream, remote: string, proof?: Proof): EndReason | undefined {
  if ('refused' in gate) return gate.refused
  const { tls, strict } = gate.rules
  const isPlain = stream.stream.transport.tls === undefined
  const isUnverified = strict && !stream.isVerifiedFor(remote)
  const isWrongProof = proof !== undefined && !isProofAllowed(gate, proof)
  const isUnmet = (tls === 'required' && isPlain) || isUnverified || isWrongProof
  return isUnmet ? { kind: 'policy', detail: 'demand-not-met' } : undefined
}
