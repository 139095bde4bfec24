import type { KeyObject } from 'node:crypto'
import {
  type CertificateRequest,
  type IssuedCertificate,
  issueCertificate,
} from '../../lib/negotiation/certificate/issue.js'
import { toPem } from '../../lib/negotiation/certificate/pem.js'
import { TrustAnchors } from '../../lib/negotiation/certificate/trust.js'

const DAY = 86_400_000

/** Ways in which an issued certificate differs from a good one with both usages. The first eight must not verify. */
export const FIXTURES = [
  'expired',
  'not-yet-valid',
  'self-signed',
  'unknown-root',
  'wrong-name',
  'client-auth-only',
  'missing-intermediate',
  'name-constraint',
  'server-auth-only',
  'both',
] as const

export type Fixture = (typeof FIXTURES)[number]

/** What a TLS endpoint needs to show a certificate. */
export interface Credentials {
  /** PEM, leaf first. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** PEM of the root of the authority, whether or not it vouches for this certificate. */
  readonly ca: string
  /** DER, leaf first, as it will be sent. */
  readonly chain: readonly Buffer[]
  readonly privateKey: KeyObject
}

export type LeafRequest = Omit<Partial<CertificateRequest>, 'issuer'> & { readonly issuer?: IssuedCertificate | 'self' }

/** A certificate authority made at run time: a root, and an intermediate that signs. */
export class TestAuthority {
  readonly root: IssuedCertificate
  readonly intermediate: IssuedCertificate
  readonly anchors: TrustAnchors
  readonly now: Date
  readonly #issued = new Map<string, Credentials>()
  #stranger: TestAuthority | undefined

  constructor({ now = new Date(), name = 'Test' }: { now?: Date; name?: string } = {}) {
    this.now = now
    this.root = this.make({ subject: `${name} Root`, ca: true })
    this.intermediate = this.make({ subject: `${name} Intermediate`, ca: true, issuer: this.root, pathLength: 0 })
    this.anchors = TrustAnchors.fromDer([this.root.der])
  }

  get caPem(): string {
    return this.root.certPem
  }

  /** Any certificate, valid from yesterday to tomorrow unless said otherwise. */
  make(request: Partial<CertificateRequest> & Pick<CertificateRequest, 'subject'>): IssuedCertificate {
    return issueCertificate({ notBefore: this.day(-1), notAfter: this.day(1), ...request })
  }

  /** A certificate of a server: names of all three kinds, both usages, signed by the intermediate unless said otherwise. */
  makeLeaf(domain: string, { issuer = this.intermediate, ...request }: LeafRequest = {}): IssuedCertificate {
    return this.make({
      subject: domain,
      names: { dns: [domain], srv: [`_xmpp-server.${domain}`], xmpp: [domain] },
      extendedKeyUsage: ['serverAuth', 'clientAuth'],
      ...(issuer === 'self' ? {} : { issuer }),
      ...request,
    })
  }

  /** The credentials of a fixture; made once per domain and fixture. */
  issue(domain: string, fixture: Fixture = 'both'): Credentials {
    const id = `${domain} ${fixture}`
    let credentials = this.#issued.get(id)
    if (!credentials) this.#issued.set(id, (credentials = this.#make(domain, fixture)))
    return credentials
  }

  /** Joins a leaf and what is sent after it. */
  credentials(leaf: IssuedCertificate, ...others: readonly IssuedCertificate[]): Credentials {
    const chain = [leaf, ...others].map(one => one.der)
    return {
      cert: chain.map(der => toPem('CERTIFICATE', der)).join(''),
      key: leaf.keyPem,
      ca: this.caPem,
      chain,
      privateKey: leaf.privateKey,
    }
  }

  /** `days` from the authority's now. */
  day(days: number): Date {
    return new Date(this.now.getTime() + days * DAY)
  }

  #make(domain: string, fixture: Fixture): Credentials {
    const usual = (request: LeafRequest = {}) => this.credentials(this.makeLeaf(domain, request), this.intermediate)
    switch (fixture) {
      case 'both':
        return usual()
      case 'server-auth-only':
        return usual({ extendedKeyUsage: ['serverAuth'] })
      case 'client-auth-only':
        return usual({ extendedKeyUsage: ['clientAuth'] })
      case 'expired':
        return usual({ notBefore: this.day(-30), notAfter: this.day(-2) })
      case 'not-yet-valid':
        return usual({ notBefore: this.day(2), notAfter: this.day(30) })
      case 'wrong-name': {
        const other = `not-${domain}`
        return usual({ subject: other, names: { dns: [other], srv: [`_xmpp-server.${other}`], xmpp: [other] } })
      }
      case 'missing-intermediate':
        return this.credentials(this.makeLeaf(domain))
      case 'self-signed':
        return this.credentials(this.makeLeaf(domain, { issuer: 'self' }))
      case 'unknown-root': {
        this.#stranger ??= new TestAuthority({ now: this.now, name: 'Unknown' })
        const { intermediate, root } = this.#stranger
        return this.credentials(this.makeLeaf(domain, { issuer: intermediate }), intermediate, root)
      }
      case 'name-constraint': {
        const limits = { permitted: { dns: ['elsewhere.example'] } }
        const narrow = this.make({ subject: 'Test Narrow', ca: true, issuer: this.root, nameConstraints: limits })
        return this.credentials(this.makeLeaf(domain, { issuer: narrow }), narrow)
      }
    }
  }
}
