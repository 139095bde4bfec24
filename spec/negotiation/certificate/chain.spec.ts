import { expect } from 'chai'
import type { CertificateRequest, IssuedCertificate } from '../../../lib/negotiation/certificate/issue.js'
import { TrustAnchors } from '../../../lib/negotiation/certificate/trust.js'
import { type CertificateVerdict, judgeCertificate } from '../../../lib/negotiation/certificate/verdict.js'
import { type LeafRequest, TestAuthority } from '../../support/authority.js'

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

describe('certificate chain', () => {
  describe('paths', () => {
    it('RFC 4158 §2: order, duplicates, strangers and the root itself do not matter', () => {
      const leaf = peer()
      const second = issuer()
      const third = issuer({ subject: 'Third', issuer: second })
      const low = peer({ issuer: third })
      const stranger = new TestAuthority({ now, name: 'Unknown' })
      expectCodes([leaf, intermediate, root])
      expectCodes([low, root, second, third])
      expectCodes([low, third, third, second, low])
      expectCodes([leaf, stranger.root, stranger.intermediate, intermediate])
    })

    it('RFC 4158 §2: a root that is sent is not trusted for being sent', () => {
      const stranger = new TestAuthority({ now, name: 'Test' })
      expectCodes([peer({ issuer: stranger.intermediate }), stranger.intermediate, stranger.root], 'unknown-root')
    })

    it('RFC 4158 §2: a missing intermediate above another one', () => {
      const second = issuer({ issuer: intermediate, subject: 'Second' })
      expectCodes([peer({ issuer: second }), second], 'unknown-root')
    })

    it('RFC 4158 §2: cross-signed, one path expired and one good', () => {
      const { privateKey } = intermediate
      const cross = (from: IssuedCertificate, days: number) =>
        authority.make({
          subject: 'Test Intermediate',
          ca: true,
          key: privateKey,
          issuer: from,
          notBefore: authority.day(-9),
          notAfter: authority.day(days),
        })
      const other = authority.make({ subject: 'Other Root', ca: true })
      const anchors = TrustAnchors.fromDer([root.der, other.der])
      const verdict = (...sent: IssuedCertificate[]) => codes(judge([peer(), ...sent], anchors))
      expect(verdict(cross(other, -2), cross(root, 2))).to.deep.equal([])
      expect(verdict(cross(root, 2), cross(other, -2))).to.deep.equal([])
      expect(verdict(cross(other, -2))).to.deep.equal(['expired'])
    })

    it('RFC 4158 §2: a cross-signed copy of a trusted root', () => {
      const gone = authority.make({ subject: 'Gone Root', ca: true })
      const copy = issuer({ subject: 'Test Root', key: root.privateKey, issuer: gone })
      expectCodes([peer(), intermediate, copy])
    })

    it('RFC 5280 §6.1: an authority that changed its key and signed the new one itself', () => {
      const renewed = issuer({ subject: 'Test Intermediate', issuer: intermediate })
      expectCodes([peer({ issuer: renewed }), renewed, intermediate])
    })

    it('RFC 5280 §6.1.1 d: a server certificate can itself be the anchor', () => {
      const own = peer({ issuer: 'self' })
      expect(codes(judge([own], TrustAnchors.fromDer([own.der])))).to.deep.equal([])
      expect(codes(judge([peer({ issuer: 'self' })], TrustAnchors.fromDer([own.der])))).to.deep.equal(['self-signed'])
    })

    it('RFC 5280 §7.1: names of authorities compare without case and spacing', () => {
      const spoken = issuer({ subject: '  OTHER   intermediate' })
      const written = issuer({ subject: 'Other Intermediate', key: spoken.privateKey })
      expectCodes([peer({ issuer: spoken }), written])
    })
  })

  describe('name constraints', () => {
    type Limits = NonNullable<CertificateRequest['nameConstraints']>
    const under = (nameConstraints: Limits, leaf: LeafRequest, ...expected: string[]) => {
      const narrow = issuer({ nameConstraints })
      expectCodes([peer({ issuer: narrow, ...leaf }), narrow], ...expected)
    }

    it('RFC 5280 §4.2.1.10: a permitted tree holds the domain and what is below it', () => {
      under({ permitted: { dns: ['example'] } }, {})
      under({ permitted: { dns: ['PEER.example'] } }, {})
      under({ permitted: { dns: ['.example'] } }, {})
      under({ permitted: { dns: ['.peer.example'] } }, {}, 'name-constraint')
      under({ permitted: { dns: ['eer.example'] } }, {}, 'name-constraint')
      under({ permitted: { dns: ['other.example'] } }, {}, 'name-constraint')
    })

    it('RFC 5280 §4.2.1.10: an excluded tree', () => {
      under({ excluded: { dns: ['other.example'] } }, {})
      under({ excluded: { dns: ['example'] } }, {}, 'name-constraint')
      under({ permitted: { dns: ['example'] }, excluded: { dns: ['peer.example'] } }, {}, 'name-constraint')
    })

    it('RFC 5280 §4.2.1.10: a wildcard may not reach into an excluded tree', () => {
      under({ excluded: { dns: ['bad.example'] } }, { names: { dns: ['*.example'] } }, 'name-constraint')
      under({ excluded: { dns: ['a.bad.example'] } }, { names: { dns: ['*.example'] } })
    })

    it('RFC 4985 §4: SRVName and XmppAddr do not lead out of DNS constraints', () => {
      const limits = { permitted: { dns: ['elsewhere.example'] } }
      under(limits, { names: { srv: ['_xmpp-server.peer.example'] } }, 'name-constraint')
      under(limits, { names: { xmpp: ['peer.example'] } }, 'name-constraint')
    })

    it('RFC 5280 §4.2.1.10: a kind that is not supported matters only where it applies', () => {
      const limits = { excluded: { ip: [Buffer.alloc(8)] } }
      under(limits, {})
      under(limits, { names: { dns: ['peer.example'], ip: [Buffer.from([192, 0, 2, 1])] } }, 'name-constraint')
      under({ permitted: { xmpp: ['peer.example'] } }, {}, 'name-constraint')
    })

    it('RFC 5280 §4.2.1.10: directory names bind the subject', () => {
      under({ permitted: { directory: ['PEER.example'] } }, {})
      under({ permitted: { directory: ['Somebody'] } }, {}, 'name-constraint')
      under({ excluded: { directory: ['peer.example'] } }, {}, 'name-constraint')
    })

    it('RFC 5280 §6.1.3 b: constraints of a trust anchor bind too', () => {
      const narrow = authority.make({
        subject: 'Narrow Root',
        ca: true,
        nameConstraints: { permitted: { dns: ['a.example'] } },
      })
      const verdict = judge([peer({ issuer: narrow })], TrustAnchors.fromDer([narrow.der]))
      expect(codes(verdict)).to.deep.equal(['name-constraint'])
    })
  })
})
