import { constants, createPrivateKey, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Clock } from '../../base/clock.js'
import type { Log } from '../../base/log.js'
import { domainToAscii } from '../../stanza/domain.js'
import { readIfThere, writePrivateFile } from './files.js'
import { selfSigned } from './issue.js'
import { type Certificate, parseCertificate } from './parse.js'
import { certificatesOf } from './pem.js'
import type { CertificateJudge, Defect } from './verdict.js'

/** Days a self-signed certificate is valid. */
const SELF_SIGNED_DAYS = 3650
const DAY = 86_400_000

/** What the admin wants to know of a certificate in use. */
export interface OwnCertificateFacts {
  readonly domain: string
  /** Every name it carries, of any kind. */
  readonly names: readonly string[]
  readonly subject: string
  readonly issuer: string
  readonly notAfter: Date
  /** Whole days, negative when expired. */
  readonly daysLeft: number
  readonly selfSigned: boolean
  readonly fingerprint: string
  /** Why a peer that verifies strictly would refuse it; empty when nothing is known against it. */
  readonly defects: readonly Defect[]
}

export interface OwnCertificatesOptions {
  /** Holds `NAME.crt` (full chain, leaf first) and `NAME.key` per domain, NAME in A-labels. */
  readonly directory: string
  /** Canonical domains served here. */
  readonly domains: readonly string[]
  /** Make a certificate for a domain that has none; otherwise that domain has no TLS. */
  readonly selfSigned: boolean
  readonly clock: Clock
  readonly log: Log
  /** Looks at our certificates with the eyes of a strict peer. */
  readonly judge?: CertificateJudge
}

/** What is wrong with the files of one domain. */
export interface CredentialProblem {
  readonly domain: string
  readonly text: string
}

/** Some files cannot be used. Names no secret. */
export class CredentialError extends Error {
  override name = 'CredentialError'
  readonly problems: readonly CredentialProblem[]

  constructor(problems: readonly CredentialProblem[]) {
    super(problems.map(({ domain, text }) => `${domain}: ${text}`).join('; '))
    this.problems = problems
  }
}

interface Credential {
  readonly context: SecureContext
  readonly chain: readonly Certificate[]
  /** The texts of both files, to see whether anything changed. */
  readonly source: string
}

/** The certificates we show, one per domain, and their TLS contexts for both roles. */
export class OwnCertificates {
  readonly #options: OwnCertificatesOptions
  #domains: readonly string[]
  #credentials: ReadonlyMap<string, Credential> = new Map()

  private constructor(options: OwnCertificatesOptions) {
    this.#options = options
    this.#domains = options.domains
  }

  /**
   * Loads the files of every domain, and makes what is missing when that is allowed.
   * @throws CredentialError naming everything that is wrong
   */
  static async load(options: OwnCertificatesOptions): Promise<OwnCertificates> {
    const own = new OwnCertificates(options)
    await own.reload()
    return own
  }

  /**
   * Reads all files again, for `domains` when the served domains changed. Either everything is good and is used from now on, or nothing
   * changes. Connections that exist keep what they have.
   * @returns the domains whose certificate changed
   * @throws CredentialError naming everything that is wrong
   */
  async reload(domains: readonly string[] = this.#domains): Promise<string[]> {
    const { log } = this.#options
    const next = new Map<string, Credential>()
    const problems: CredentialProblem[] = []
    for (const domain of domains) {
      try {
        const credential = await this.#load(domain)
        if (credential) next.set(domain, credential)
      } catch (error) {
        problems.push({ domain, text: error instanceof Error ? error.message : String(error) })
      }
    }
    if (problems.length > 0) {
      log.error('certificates-refused', { problems })
      throw new CredentialError(problems)
    }
    const changed = [...next]
      .filter(([domain, { source }]) => this.#credentials.get(domain)?.source !== source)
      .map(([domain]) => domain)
    this.#domains = domains
    this.#credentials = next
    if (changed.length > 0) log.info('certificates-loaded', { domains: changed })
    return changed
  }

  /**
   * For connections in either role in which we speak for `domain`; undefined when it has no certificate or is not served. TLS 1.2 or newer,
   * no tickets, no renegotiation (RFC 9325 §3). A context that an SNI callback chooses brings its certificate only: these options then come
   * from the context the handshake began with.
   */
  contextFor(domain: string): SecureContext | undefined {
    return this.#credentials.get(domain)?.context
  }

  /** The chain we show for `domain`, DER, leaf first; undefined when there is none. */
  chainFor(domain: string): readonly Buffer[] | undefined {
    return this.#credentials.get(domain)?.chain.map(certificate => certificate.der)
  }

  factsFor(domain: string): OwnCertificateFacts | undefined {
    const chain = this.#credentials.get(domain)?.chain
    const leaf = chain?.[0]?.facts
    if (!chain || !leaf) return undefined
    const now = this.#options.clock.date().getTime()
    return {
      domain,
      names: [...leaf.dnsNames, ...leaf.srvNames, ...leaf.xmppAddrs],
      subject: leaf.subject,
      issuer: leaf.issuer,
      notAfter: leaf.notAfter,
      daysLeft: Math.floor((leaf.notAfter.getTime() - now) / DAY),
      selfSigned: leaf.selfIssued,
      fingerprint: leaf.fingerprint,
      defects:
        this.#options.judge?.judge(
          chain.map(certificate => certificate.der),
          domain,
        ).defects ?? [],
    }
  }

  /** Facts of every domain that has a certificate. */
  all(): OwnCertificateFacts[] {
    return this.#domains.map(domain => this.factsFor(domain)).filter(facts => facts !== undefined)
  }

  async #load(domain: string): Promise<Credential | undefined> {
    const name = fileNameOf(domain)
    const certFile = join(this.#options.directory, `${name}.crt`)
    const keyFile = join(this.#options.directory, `${name}.key`)
    let [cert, key] = await Promise.all([readIfThere(certFile), readIfThere(keyFile)])
    if (cert === undefined && key === undefined) {
      if (this.#credentials.has(domain)) throw new Error(`${name}.crt and ${name}.key are gone`)
      if (!this.#options.selfSigned) return undefined
      const made = selfSigned(name, this.#options.clock.date(), SELF_SIGNED_DAYS)
      await writePrivateFile(keyFile, (key = made.keyPem))
      await writePrivateFile(certFile, (cert = made.certPem))
      this.#options.log.warn('certificate-self-signed', { domain, file: certFile })
    }
    if (cert === undefined || key === undefined)
      throw new Error(`${name}.${cert === undefined ? 'crt' : 'key'} is missing`)
    return readCredential(cert, key, name)
  }
}

/** A domain as part of a file name. It comes from the configuration, and still must not lead out of the directory. */
function fileNameOf(domain: string): string {
  const name = domainToAscii(domain)
  if (!/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(name)) throw new Error('no domain name that can have a certificate file')
  return name
}

function readKey(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    // OpenSSL's message is left out: nothing of the file may get into a log.
    throw new Error(`${file} is not an unencrypted private key in PEM`)
  }
}

function readCredential(cert: string, key: string, name: string): Credential {
  const chain = certificatesOf(cert).map(parseCertificate)
  const leaf = chain[0]
  if (!leaf) throw new Error(`${name}.crt has no certificate in PEM`)
  if (!leaf.x509.checkPrivateKey(readKey(key, `${name}.key`))) {
    throw new Error(`${name}.key is not the key of the first certificate in ${name}.crt`)
  }
  const context = createSecureContext({
    cert,
    key,
    // Chains are judged by us; with an empty store the library adds nothing to what we send, and names no authorities to the peer.
    ca: [],
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  })
  return { context, chain, source: `${cert}\0${key}` }
}
