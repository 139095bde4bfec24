import type { Clock } from '../base/clock.js'
import type { Resolver } from '../dial/resolver.js'
import { DomainProof, type DomainVerdict } from '../negotiation/certificate/domain-proof.js'
import { Posh } from '../negotiation/certificate/posh.js'
import type { PoshDialing } from '../negotiation/certificate/posh-fetch.js'
import type { CertificateJudge } from '../negotiation/certificate/verdict.js'
import type { RemoteCertificate } from '../session/context.js'
import type { Settings } from './settings.js'

export interface RemoteProofOptions {
  readonly settings: Settings
  readonly clock: Clock
  readonly resolver: Resolver
  /** How web servers are dialed: as far as stanzas may go, and no further. */
  readonly dialing: () => PoshDialing
}

/** Judges the certificates of servers that we call, by the proofs and in the order that `xmpp.server.certificate.proofs` says. */
export class RemoteProof {
  readonly #options: RemoteProofOptions
  /** What the judge of the moment has found out; another judge, after a reload, starts afresh. */
  #proof: { readonly judge: CertificateJudge; readonly of: DomainProof } | undefined

  constructor(options: RemoteProofOptions) {
    this.#options = options
  }

  judge(judge: CertificateJudge, { domain, chain, target, signal, trace }: RemoteCertificate): Promise<DomainVerdict> {
    if (this.#proof?.judge !== judge) this.#proof = { judge, of: this.#proofBy(judge) }
    const order = this.#options.settings.get('xmpp.server.certificate.proofs')
    return this.#proof.of.judge({ domain, chain, target, order, signal, trace })
  }

  #proofBy(judge: CertificateJudge): DomainProof {
    const { resolver, clock, dialing } = this.#options
    return new DomainProof({ judge, resolver, posh: new Posh({ judge, resolver, clock, dialing }) })
  }
}
