import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type IssuedCertificate, issueCertificate } from '../../negotiation/certificate/issue.js'

const DAY = 86_400_000

/** A certificate authority that lives as long as the demo does. */
export class DemoAuthority {
  readonly #notBefore: Date
  readonly #notAfter: Date
  readonly #root: IssuedCertificate

  constructor(now: Date) {
    this.#notBefore = new Date(now.getTime() - DAY)
    this.#notAfter = new Date(now.getTime() + 30 * DAY)
    this.#root = issueCertificate({
      subject: 'Comity Demo Root',
      ca: true,
      notBefore: this.#notBefore,
      notAfter: this.#notAfter,
    })
  }

  get rootPem(): string {
    return this.#root.certPem
  }

  /** Writes the certificate of a domain where a service looks for it. */
  async issueInto(directory: string, domain: string): Promise<void> {
    const leaf = issueCertificate({
      subject: domain,
      names: { dns: [domain], srv: [`_xmpp-server.${domain}`] },
      extendedKeyUsage: ['serverAuth'],
      issuer: this.#root,
      notBefore: this.#notBefore,
      notAfter: this.#notAfter,
    })
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeFile(join(directory, `${domain}.crt`), leaf.certPem)
    await writeFile(join(directory, `${domain}.key`), leaf.keyPem, { mode: 0o600 })
  }
}
