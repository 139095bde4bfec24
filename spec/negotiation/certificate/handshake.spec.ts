import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, TLSSocket, connect as tlsConnect } from 'node:tls'
import { expect } from 'chai'
import type { CertificateNames } from '../../../lib/negotiation/certificate/issue.js'
import { peerChain } from '../../../lib/negotiation/certificate/peer-chain.js'
import { judgeCertificate } from '../../../lib/negotiation/certificate/verdict.js'
import { type Credentials, TestAuthority } from '../../support/authority.js'

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
type Version = (typeof VERSIONS)[number]

const authority = new TestAuthority()
const { intermediate, root } = authority
const stranger = new TestAuthority({ name: 'Unknown' })

interface Shown {
  /** What the TLS server saw of the client. */
  readonly byClient: readonly Buffer[]
  /** What the TLS client saw of the server. */
  readonly byServer: readonly Buffer[]
}

/** One handshake over a live connection, as STARTTLS does it, in which both sides show certificates (or the client none). */
async function handshake(version: Version, server: Credentials, client: Credentials | undefined): Promise<Shown> {
  const listener: Server = createServer()
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const outgoing = connect(address.port, '127.0.0.1')
  const [incoming] = (await once(listener, 'connection')) as [Socket]
  const limits: SecureContextOptions = { minVersion: version, maxVersion: version, ca: [] }
  const accepted = new TLSSocket(incoming, {
    isServer: true,
    requestCert: true,
    rejectUnauthorized: false,
    secureContext: createSecureContext({ ...limits, cert: server.cert, key: server.key }),
  })
  const dialed = tlsConnect({
    socket: outgoing,
    servername: 'peer.example',
    rejectUnauthorized: false,
    secureContext: createSecureContext({ ...limits, ...(client ? { cert: client.cert, key: client.key } : {}) }),
  })
  try {
    const [byClient, byServer] = await Promise.all([
      once(accepted, 'secure').then(() => peerChain(accepted)),
      once(dialed, 'secureConnect').then(() => peerChain(dialed)),
    ])
    return { byClient, byServer }
  } finally {
    dialed.destroy()
    accepted.destroy()
    outgoing.destroy()
    incoming.destroy()
    listener.close()
    await once(listener, 'close')
  }
}

const leaf = (request: Parameters<TestAuthority['makeLeaf']>[1] = {}) => authority.makeLeaf('peer.example', request)
const none: { names: CertificateNames } = { names: { dns: ['peer.example'] } }
const plain = (request: object) => authority.make({ subject: 'peer.example', ...none, ...request })
const unknown = (request: object) =>
  authority.credentials(plain({ issuer: stranger.intermediate, ...request }), stranger.intermediate, stranger.root)
const server = { extendedKeyUsage: ['serverAuth'] } as const
const client = { extendedKeyUsage: ['clientAuth'] } as const
const both = { extendedKeyUsage: ['serverAuth', 'clientAuth'] } as const
const expired = { notBefore: authority.day(-9), notAfter: authority.day(-2) }

const ROWS: readonly (readonly [title: string, credentials: Credentials, ...codes: string[]])[] = [
  ['trusted, both usages', authority.issue('peer.example', 'both')],
  ['trusted, no usage extension', authority.credentials(plain({ issuer: intermediate }), intermediate)],
  ['trusted, serverAuth only', authority.issue('peer.example', 'server-auth-only')],
  ['trusted, clientAuth only', authority.issue('peer.example', 'client-auth-only'), 'usage'],
  ['self-signed, serverAuth only', authority.credentials(leaf({ issuer: 'self', ...server })), 'self-signed'],
  ['self-signed, both usages', authority.issue('peer.example', 'self-signed'), 'self-signed'],
  ['self-signed, no usage extension', authority.credentials(plain({})), 'self-signed'],
  ['unknown root, serverAuth only', unknown(server), 'unknown-root'],
  ['unknown root, both usages', unknown(both), 'unknown-root'],
  ['unknown root, clientAuth only', unknown(client), 'unknown-root', 'usage'],
  ['intermediate not sent', authority.issue('peer.example', 'missing-intermediate'), 'missing-intermediate'],
  ['intermediate not sent, serverAuth only', authority.credentials(leaf(server)), 'missing-intermediate'],
  [
    'intermediate of an unknown root not sent',
    authority.credentials(leaf({ issuer: stranger.intermediate, ...server })),
    'missing-intermediate',
  ],
  ['expired', authority.issue('peer.example', 'expired'), 'expired'],
  ['expired, serverAuth only', authority.credentials(leaf({ ...expired, ...server }), intermediate), 'expired'],
  ['expired, under an unknown root', unknown({ ...expired, ...server }), 'expired', 'unknown-root'],
  ['not yet valid', authority.issue('peer.example', 'not-yet-valid'), 'not-yet-valid'],
  ['trusted, another name', authority.issue('peer.example', 'wrong-name'), 'wrong-name'],
  ['trusted, a name outside the constraints', authority.issue('peer.example', 'name-constraint'), 'name-constraint'],
]

const codes = (chain: readonly Buffer[]) =>
  judgeCertificate(chain, { anchors: authority.anchors, domain: 'peer.example', now: authority.now })
    .defects.map(defect => defect.code)
    .sort()

describe('certificates in a handshake', () => {
  for (const version of VERSIONS) {
    for (const [title, credentials, ...expected] of ROWS) {
      it(`RFC 6120 §13.7.2: ${version}, ${title}: ${expected.join(', ') || 'verified'} in both roles`, async () => {
        const { byClient, byServer } = await handshake(version, credentials, credentials)
        expect(byClient).to.deep.equal(credentials.chain)
        expect(byServer).to.deep.equal(credentials.chain)
        expect(codes(byClient)).to.deep.equal(expected.sort())
        expect(codes(byServer)).to.deep.equal(expected.sort())
      })
    }

    it(`RFC 6120 §13.7.2: ${version}, a client without a certificate shows an empty chain`, async () => {
      const { byClient } = await handshake(version, authority.issue('peer.example'), undefined)
      expect(byClient).to.deep.equal([])
    })

    it(`RFC 8446 §4.4.2: ${version}, disorder, duplicates and strangers arrive as they were sent`, async () => {
      const one = leaf()
      for (const rest of [
        [root, intermediate],
        [stranger.root, intermediate],
        [intermediate, intermediate, one],
      ]) {
        const credentials = authority.credentials(one, ...rest)
        const { byClient, byServer } = await handshake(version, credentials, credentials)
        expect(byClient).to.deep.equal(credentials.chain)
        expect(byServer).to.deep.equal(credentials.chain)
        expect(codes(byClient)).to.deep.equal([])
      }
    })
  }
})
