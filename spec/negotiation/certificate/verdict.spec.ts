import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'chai'
import type { CertificateRequest, IssuedCertificate } from '../../../lib/negotiation/certificate/issue.js'
import { TrustAnchors } from '../../../lib/negotiation/certificate/trust.js'
import {
  CertificateJudge,
  type CertificateVerdict,
  judgeCertificate,
} from '../../../lib/negotiation/certificate/verdict.js'
import { FIXTURES, type Fixture, type LeafRequest, TestAuthority } from '../../support/authority.js'
import { ManualClock } from '../../support/manual-clock.js'

const authority = new TestAuthority({ now: new Date('2026-06-01T12:00:00Z') })
const { now, root, intermediate } = authority
const peer = (request?: LeafRequest) => authority.makeLeaf('peer.example', request)
const issuer = (request: Partial<CertificateRequest> = {}) =>
  authority.make({ subject: 'Other Intermediate', ca: true, issuer: root, ...request })

function judge(chain: readonly IssuedCertificate[], anchors = authority.anchors, at = now): CertificateVerdict {
  return judgeCertificate(
    chain.map(one => one.der),
    { anchors, domain: 'peer.example', now: at },
  )
}

const codes = (verdict: CertificateVerdict): string[] => verdict.defects.map(defect => defect.code).sort()

function expectCodes(chain: readonly IssuedCertificate[], ...expected: string[]): void {
  const verdict = judge(chain)
  expect(codes(verdict), JSON.stringify(verdict.defects)).to.deep.equal(expected.sort())
  expect(verdict.verified).to.equal(expected.length === 0)
}

/** Breaks the last byte of the signature. */
function broken(certificate: IssuedCertificate): IssuedCertificate {
  const der = Buffer.from(certificate.der)
  der[der.length - 1]! ^= 1
  return { ...certificate, der }
}

const ecKey = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey
const rsaKey = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).privateKey

describe('certificate verdict', () => {
  describe('fixtures of the test authority', () => {
    const EXPECTED: Readonly<Record<Fixture, string | undefined>> = {
      expired: 'expired',
      'not-yet-valid': 'not-yet-valid',
      'self-signed': 'self-signed',
      'unknown-root': 'unknown-root',
      'wrong-name': 'wrong-name',
      'client-auth-only': 'usage',
      'missing-intermediate': 'missing-intermediate',
      'name-constraint': 'name-constraint',
      'server-auth-only': undefined,
      both: undefined,
    }
    for (const fixture of FIXTURES) {
      it(`RFC 6120 §13.7.2: ${fixture} is ${EXPECTED[fixture] ?? 'verified'}`, () => {
        const { chain } = authority.issue('peer.example', fixture)
        const verdict = judgeCertificate(chain, { anchors: authority.anchors, domain: 'peer.example', now })
        expect(codes(verdict)).to.deep.equal(EXPECTED[fixture] === undefined ? [] : [EXPECTED[fixture]])
      })
    }
  })

  describe('what is told', () => {
    it('RFC 6120 §13.7.2: a verified chain comes with its path, anchor last, and the name that matched', () => {
      const verdict = judge([peer(), intermediate])
      expect(verdict.path.map(one => one.subject)).to.deep.equal([
        'CN=peer.example',
        'CN=Test Intermediate',
        'CN=Test Root',
      ])
      expect(verdict.matchedName).to.equal('peer.example')
      expect(verdict.leaf?.extendedKeyUsage).to.deep.equal(['serverAuth', 'clientAuth'])
    })

    it('RFC 6120 §13.7.2: texts are for the admin of the peer', () => {
      const text = (leaf: IssuedCertificate) => judge([leaf, intermediate]).defects[0]?.text
      expect(text(peer({ notBefore: new Date('2026-01-01'), notAfter: new Date('2026-01-02') }))).to.equal(
        'expired on 2026-01-02',
      )
      expect(text(peer({ names: { dns: ['other.example'] } }))).to.equal(
        'is not for peer.example, but for other.example',
      )
      expect(text(peer({ extendedKeyUsage: ['clientAuth'] }))).to.include('clientAuth, without serverAuth')
    })

    it('RFC 6120 §13.7.2: all defects are listed, not only the first', () => {
      const old = { notBefore: authority.day(-9), notAfter: authority.day(-2) } as const
      expectCodes([peer({ ...old, names: { dns: ['other.example'] } }), intermediate], 'expired', 'wrong-name')
      expectCodes(
        [peer({ ...old, issuer: 'self', extendedKeyUsage: ['clientAuth'], names: {} })],
        'expired',
        'self-signed',
        'usage',
        'wrong-name',
      )
      const stranger = new TestAuthority({ now, name: 'Unknown' })
      expectCodes(
        [peer({ ...old, issuer: stranger.intermediate }), stranger.intermediate, stranger.root],
        'expired',
        'unknown-root',
      )
      expectCodes([peer({ ...old, key: ecKey('prime192v1') })], 'expired', 'weak-key', 'missing-intermediate')
    })

    it('RFC 6120 §13.7.2: no certificate is a verdict too', () => expectCodes([], 'malformed'))
  })

  describe('dates', () => {
    const leaf = peer({ notBefore: now, notAfter: now })
    const atMinute = (minutes: number) =>
      codes(judge([leaf, intermediate], authority.anchors, new Date(now.getTime() + minutes * 60_000)))

    it('RFC 5280 §4.1.2.5: two clocks may differ by five minutes', () => {
      expect([atMinute(-5), atMinute(5)]).to.deep.equal([[], []])
      expect([atMinute(-6), atMinute(6)]).to.deep.equal([['not-yet-valid'], ['expired']])
    })

    it('RFC 5280 §6.1.3: an authority that expired is told by name', () => {
      const old = issuer({ notBefore: authority.day(-9), notAfter: authority.day(-2) })
      expectCodes([peer({ issuer: old }), old], 'expired')
      expect(judge([peer({ issuer: old }), old]).defects[0]?.text).to.equal(
        'issuer CN=Other Intermediate expired on 2026-05-30',
      )
    })
  })

  describe('purpose', () => {
    it('RFC 5280 §4.2.1.12: no extended key usage, any, or serverAuth will do', () => {
      const plain = authority.make({ subject: 'x', names: { dns: ['peer.example'] }, issuer: intermediate })
      expectCodes([plain, intermediate])
      expectCodes([peer({ extendedKeyUsage: ['any'] }), intermediate])
      expectCodes([peer({ extendedKeyUsage: ['serverAuth'] }), intermediate])
    })

    it('RFC 5280 §4.2.1.3: key usage must allow signatures', () => {
      expectCodes([peer({ keyUsage: [] }), intermediate])
      expectCodes([peer({ keyUsage: ['keyEncipherment', 'decipherOnly'] }), intermediate], 'usage')
    })

    it('RFC 5280 §4.2.1.12: an authority limited to other purposes issues no servers', () => {
      const clients = issuer({ extendedKeyUsage: ['clientAuth'] })
      expectCodes([peer({ issuer: clients }), clients], 'usage')
      const servers = issuer({ extendedKeyUsage: ['serverAuth'] })
      expectCodes([peer({ issuer: servers }), servers])
    })

    it('RFC 5280 §4.2.1.9: an authority does not act as a server', () =>
      expectCodes([peer({ ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] }), intermediate], 'usage'))
  })

  describe('authorities', () => {
    it('RFC 5280 §6.1.4 k: an intermediate without cA', () => {
      const lesser = issuer({ ca: false, keyUsage: ['keyCertSign'] })
      expectCodes([peer({ issuer: lesser }), lesser], 'not-a-ca')
    })

    it('RFC 5280 §6.1.4 k: the certificate of a server used as an authority', () => {
      const server = authority.makeLeaf('other.example')
      expectCodes([peer({ issuer: server }), server, intermediate], 'not-a-ca', 'path-length')
    })

    it('RFC 5280 §6.1.4 n: an authority that may not sign certificates', () => {
      const mute = issuer({ keyUsage: ['cRLSign'] })
      expectCodes([peer({ issuer: mute }), mute], 'not-a-ca')
    })

    it('RFC 5280 §6.1.4 m: path length', () => {
      const below = issuer({ issuer: intermediate })
      expectCodes([peer({ issuer: below }), below, intermediate], 'path-length')
      const wide = issuer({ subject: 'Wide', pathLength: 1 })
      const deep = issuer({ issuer: wide })
      expectCodes([peer({ issuer: deep }), deep, wide])
    })
  })

  describe('critical extensions', () => {
    const extension = { oid: '1.2.3.4', value: Buffer.from([5, 0]) }

    it('RFC 5280 §4.2: an unknown one is refused when critical, wherever it stands', () => {
      expectCodes([peer({ extensions: [{ ...extension, critical: false }] }), intermediate])
      expectCodes([peer({ extensions: [{ ...extension, critical: true }] }), intermediate], 'critical-extension')
      const odd = issuer({ extensions: [{ ...extension, critical: true }] })
      expectCodes([peer({ issuer: odd }), odd], 'critical-extension')
    })

    it('RFC 5280 §4.2: an extension must not appear twice', () => {
      const twice = [extension, extension].map(one => ({ ...one, critical: false }))
      expectCodes([peer({ extensions: twice }), intermediate], 'malformed')
    })
  })

  describe('strength', () => {
    const rsa1024 = rsaKey(1024)
    const rsa2048 = rsaKey(2048)
    const rsaIssuer = issuer({ key: rsa2048 })

    it('RFC 9325 §4.2: keys of 2048 bits RSA, P-256, P-384 and Ed25519 are accepted', () => {
      expectCodes([peer({ key: rsa2048 }), intermediate])
      expectCodes([peer({ key: ecKey('secp384r1') }), intermediate])
      expectCodes([peer({ key: generateKeyPairSync('ed25519').privateKey }), intermediate])
      const edwards = issuer({ key: generateKeyPairSync('ed25519').privateKey })
      expectCodes([peer({ issuer: edwards }), edwards])
    })

    it('RFC 9325 §4.2: weaker keys are refused in every certificate', () => {
      expectCodes([peer({ key: rsa1024 }), intermediate], 'weak-key')
      expectCodes([peer({ key: ecKey('prime192v1') }), intermediate], 'weak-key')
      const weak = issuer({ key: rsa1024 })
      expectCodes([peer({ issuer: weak }), weak], 'weak-key')
    })

    it('RFC 9325 §4.4: signatures over SHA-1 and MD5 are refused', () => {
      expectCodes([peer({ issuer: rsaIssuer }), rsaIssuer])
      expectCodes([peer({ hash: 'sha384' }), intermediate])
      expectCodes([peer({ hash: 'sha1' }), intermediate], 'weak-signature')
      expectCodes([peer({ hash: 'sha1', issuer: rsaIssuer }), rsaIssuer], 'weak-signature')
      expectCodes([peer({ hash: 'md5', issuer: rsaIssuer }), rsaIssuer], 'weak-signature')
      const old = issuer({ hash: 'sha1' })
      expectCodes([peer({ issuer: old }), old], 'weak-signature')
    })

    it('RFC 9325 §4.4: how an anchor signed itself does not matter', () => {
      const old = authority.make({ subject: 'Old Root', ca: true, hash: 'sha1' })
      expect(codes(judge([peer({ issuer: old })], TrustAnchors.fromDer([old.der])))).to.deep.equal([])
    })

    it('RFC 5280 §6.1.3 a: a signature that the issuer did not make', () => {
      expectCodes([broken(peer()), intermediate], 'bad-signature')
      const bent = broken(issuer())
      expectCodes([peer({ issuer: bent }), bent], 'bad-signature')
    })
  })

  describe('malformed', () => {
    it('RFC 9525 §6.3: a name with NUL makes the certificate malformed, and no prefix of it counts', () => {
      expectCodes([peer({ names: { dns: ['peer.example\0.evil.example'] } }), intermediate], 'malformed')
      expectCodes([peer({ names: { dns: ['peer.example'], xmpp: ['peer.example\0'] } }), intermediate], 'malformed')
    })

    it('RFC 9525 §6.4: common names do not count, nor what stands in other fields', () => {
      const names = authority.make({ subject: 'peer.example', issuer: intermediate })
      expectCodes([names, intermediate], 'wrong-name')
      const organization = authority.make({
        subject: [['2.5.4.10', 'x/CN=peer.example\nCN=peer.example']],
        issuer: intermediate,
      })
      expectCodes([organization, intermediate], 'wrong-name')
      expect(judge([organization, intermediate]).leaf?.subject).not.to.include('\n')
    })

    it('RFC 5280 §4.1: bytes after a certificate, BER lengths, and no certificate at all', () => {
      const leaf = peer()
      const refused = (der: Buffer) => expectCodes([{ ...leaf, der }, intermediate], 'malformed')
      refused(Buffer.concat([leaf.der, Buffer.from([0])]))
      refused(Buffer.from('-----BEGIN CERTIFICATE-----'))
      refused(Buffer.alloc(0))
      refused(Buffer.from(leaf.certPem))
      const indefinite = Buffer.concat([Buffer.from([0x30, 0x80]), leaf.der.subarray(4), Buffer.alloc(2)])
      refused(indefinite)
    })

    it('RFC 5280 §4.1: one that cannot be read among good ones', () => {
      const verdict = judge([peer(), intermediate, { ...root, der: Buffer.from([0x30, 0]) }])
      expect(codes(verdict)).to.deep.equal(['malformed'])
      expect(verdict.defects[0]?.text).to.include('certificate 3 of the chain')
    })
  })

  describe('CertificateJudge', () => {
    const clock = new ManualClock()
    const current = new TestAuthority({ now: clock.date() })
    const { chain } = current.issue('peer.example')

    it('RFC 6120 §13.7.2: judges by its clock, and the same chain anew each time', () => {
      const judge = new CertificateJudge({ anchors: current.anchors, clock })
      expect(judge.judge(chain, 'peer.example').verified).to.equal(true)
      expect(judge.judge(chain, 'other.example').verified).to.equal(false)
      clock.advance(2 * 86_400_000)
      expect(codes(judge.judge(chain, 'peer.example'))).to.include('expired')
    })

    it('RFC 7671 §5.2: other anchors can stand in for one chain', () => {
      const judge = new CertificateJudge({ anchors: TrustAnchors.fromDer([]), clock: new ManualClock() })
      expect(judge.judge(chain, 'peer.example').verified).to.equal(false)
      expect(judge.judge(chain, 'peer.example', { anchors: current.anchors }).verified).to.equal(true)
    })
  })
})
