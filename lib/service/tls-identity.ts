import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { SecureContext } from 'node:tls'
import { AdminProblem } from '../base/admin-problem.js'
import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { DomainVerdict } from '../negotiation/certificate/domain-proof.js'
import { OwnCertificates } from '../negotiation/certificate/own-certificates.js'
import { TrustAnchors } from '../negotiation/certificate/trust.js'
import { CertificateJudge, type CertificateVerdict } from '../negotiation/certificate/verdict.js'
import type { Credentials, RemoteCertificate } from '../session/context.js'
import { tlsDirectory } from './config-paths.js'
import type { RemoteProof } from './remote-proof.js'
import type { Settings } from './settings.js'

/** Files that change together are read once, so long after the last change. */
const SETTLE_MS = 1000
/** A certificate that ends sooner is something for the admin to look at. */
const WARN_DAYS = 21

export interface TlsIdentityOptions {
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Log
}

/** Who we are to others and whom we believe: our certificates, the trusted authorities, the judge of both. All of it can be read again. */
export class TlsIdentity {
  readonly #options: TlsIdentityOptions
  readonly #certificates: OwnCertificates
  #judge: CertificateJudge
  /** Whether a strict peer would accept our certificate, per domain. */
  #verified = new Map<string, boolean>()
  #remoteProof: RemoteProof | undefined
  #watcher: FSWatcher | undefined
  #cancelSettle: (() => void) | undefined

  private constructor(options: TlsIdentityOptions, certificates: OwnCertificates, judge: CertificateJudge) {
    this.#options = options
    this.#certificates = certificates
    this.#judge = judge
  }

  /** Reads, and where allowed makes, everything; rejects with a text that says which file is wrong. */
  static async load(options: TlsIdentityOptions): Promise<TlsIdentity> {
    const { settings, clock, log } = options
    const judge = await newJudge(options)
    const certificates = await OwnCertificates.load({
      get directory() {
        return tlsDirectory(settings)
      },
      get selfSigned() {
        return settings.get('tls.selfSigned')
      },
      domains: settings.get('xmpp.domains'),
      clock,
      log,
    })
    const identity = new TlsIdentity(options, certificates, judge)
    identity.#warn()
    return identity
  }

  contextFor(domain: string): SecureContext | undefined {
    return this.#certificates.contextFor(domain)
  }

  credentials(domain: string): Credentials | undefined {
    const context = this.#certificates.contextFor(domain)
    if (context === undefined) return undefined
    let verified = this.#verified.get(domain)
    if (verified === undefined) {
      verified = this.judge(this.#certificates.chainFor(domain) ?? [], domain).verified
      this.#verified.set(domain, verified)
    }
    return { context, verified }
  }

  judge(chain: readonly Buffer[], domain: string): CertificateVerdict {
    return this.#judge.judge(chain, domain)
  }

  /** Judges the certificate of a server that we call, by all proofs that count. */
  judgeRemote(certificate: RemoteCertificate): Promise<DomainVerdict> {
    if (this.#remoteProof === undefined) throw new Error('the proofs for remote domains are not set up yet')
    return this.#remoteProof.judge(this.#judge, certificate)
  }

  /** Hands in what needs the network, which is set up after this. */
  useRemoteProof(proof: RemoteProof): void {
    this.#remoteProof = proof
  }

  /** Reads certificates and authorities again: all of it is used from now on, or nothing changes. */
  async reload(): Promise<void> {
    const judge = await newJudge(this.#options)
    await this.#certificates.reload(this.#options.settings.get('xmpp.domains'))
    this.#judge = judge
    this.#verified = new Map()
    this.#warn()
  }

  /** Reads again by itself when a file in the directory of the certificates changes. */
  watch(): void {
    this.unwatch()
    const { settings, clock, log } = this.#options
    try {
      this.#watcher = watch(tlsDirectory(settings), () => {
        this.#cancelSettle?.()
        this.#cancelSettle = clock.after(SETTLE_MS, () => {
          // What is wrong has been logged by then, and the old certificates stay.
          this.reload().catch(() => {})
        })
      })
      this.#watcher.on('error', error => log.warn('certificates-not-watched', { problem: error.message }))
    } catch (error) {
      log.warn('certificates-not-watched', { problem: error instanceof Error ? error.message : String(error) })
    }
  }

  unwatch(): void {
    this.#cancelSettle?.()
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #warn(): void {
    const { log, settings } = this.#options
    const mends = 'our admin'
    for (const domain of settings.get('xmpp.domains')) {
      const facts = this.#certificates.factsFor(domain)
      if (facts === undefined) {
        log.warn('certificate-missing', { domain, problem: 'no TLS can be offered for this domain', mends })
        continue
      }
      const { verified, defects } = this.judge(this.#certificates.chainFor(domain) ?? [], domain)
      const problem = defects.map(defect => defect.text).join('; ')
      if (!verified)
        log.warn('certificate-not-accepted', {
          domain,
          problem: `servers that check will refuse it: ${problem}`,
          mends,
        })
      else if (facts.daysLeft <= WARN_DAYS)
        log.warn('certificate-ends-soon', { domain, daysLeft: facts.daysLeft, mends })
    }
  }
}

async function newJudge({ settings, clock }: TlsIdentityOptions): Promise<CertificateJudge> {
  const texts = await Promise.all(settings.get('tls.trust').map(file => readTrusted(file, settings)))
  return new CertificateJudge({ anchors: TrustAnchors.system(...texts), clock })
}

async function readTrusted(file: string, settings: Settings): Promise<string> {
  try {
    const text = await readFile(file, 'utf8')
    TrustAnchors.fromPem(text)
    return text
  } catch (error) {
    const source = settings.source('tls.trust')
    const hint = source === 'stored' ? '; start with --set tls.trust= and run `comity property unset tls.trust`' : ''
    const problem = error instanceof Error ? error.message : String(error)
    throw new AdminProblem(`tls.trust: ${file} cannot be used: ${problem} (from: ${source})${hint}`)
  }
}
