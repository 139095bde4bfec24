import { rootCertificates } from 'node:tls'
import { expect } from 'chai'
import { parseCertificate } from '../../../lib/negotiation/certificate/parse.js'
import { certificatesOf } from '../../../lib/negotiation/certificate/pem.js'
import { TrustAnchors } from '../../../lib/negotiation/certificate/trust.js'
import { TestAuthority } from '../../support/authority.js'

const authority = new TestAuthority()

describe('trust anchors', () => {
  it('RFC 5280 §6.1.1 d: every root that Node brings along can be read and found', () => {
    const anchors = TrustAnchors.system()
    for (const der of rootCertificates.flatMap(certificatesOf)) {
      const root = parseCertificate(der)
      expect(anchors.has(root), root.facts.subject).to.equal(true)
      expect(anchors.withSubject(root.subjectKey).filter(one => one.der.equals(der))).to.have.length(1)
    }
  })

  it('RFC 5280 §6.1.1 d: certificates of an admin come on top of those of the system, or alone', () => {
    const root = parseCertificate(authority.root.der)
    expect(TrustAnchors.system().has(root)).to.equal(false)
    expect(TrustAnchors.system(`a comment\n${authority.caPem}`).withSubject(root.subjectKey)).to.have.length(1)
    expect(TrustAnchors.fromPem(authority.caPem + authority.caPem).withSubject(root.subjectKey)).to.have.length(1)
  })

  it('RFC 7468 §5: a text of an admin that holds no certificate, or a broken one, is an error at once', () => {
    expect(() => TrustAnchors.fromPem('nothing')).to.throw('no certificate')
    expect(() => TrustAnchors.system(authority.caPem.replace('MII', 'AAA'))).to.throw('DER')
  })

  it('RFC 5280 §6.1.1 d: what cannot be read among given certificates is never found', () => {
    const anchors = TrustAnchors.fromDer([Buffer.from('x'), authority.root.der])
    expect(anchors.has(parseCertificate(authority.root.der))).to.equal(true)
    expect(anchors.has(parseCertificate(authority.intermediate.der))).to.equal(false)
  })
})
