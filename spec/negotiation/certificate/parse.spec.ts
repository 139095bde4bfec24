import { expect } from 'chai'
import { selfSigned } from '../../../lib/negotiation/certificate/issue.js'
import { parseCertificate } from '../../../lib/negotiation/certificate/parse.js'
import { TestAuthority } from '../../support/authority.js'

const authority = new TestAuthority({ now: new Date('2026-06-01T12:00:00Z') })

describe('certificate parser', () => {
  it('RFC 6120 §13.7.1.2.1: reads the names from a certificate a domain made for itself', () => {
    const { facts } = parseCertificate(selfSigned('peer.example', authority.now, 90).der)
    expect(facts).to.deep.include({
      subject: 'CN=peer.example',
      issuer: 'CN=peer.example',
      notBefore: new Date('2026-05-31T12:00:00Z'),
      notAfter: new Date('2026-08-30T12:00:00Z'),
      dnsNames: ['peer.example'],
      srvNames: ['_xmpp-server.peer.example'],
      xmppAddrs: [],
      ca: false,
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['serverAuth', 'clientAuth'],
      signature: 'ecdsa-sha256',
      keyType: 'ec',
      curve: 'prime256v1',
      selfIssued: true,
    })
    expect(facts.subjectKeyId).to.equal(facts.authorityKeyId)
    expect(facts.fingerprint).to.match(/^[0-9a-f]{64}$/)
  })

  it('RFC 5280 §4.2: reads the extensions of an authority', () => {
    const { der } = authority.make({
      subject: [
        ['2.5.4.10', 'Some, Body'],
        ['2.5.4.3', 'A'],
      ],
      ca: true,
      pathLength: 3,
      keyUsage: ['keyCertSign', 'decipherOnly'],
      nameConstraints: { permitted: { dns: ['example'] }, excluded: { directory: ['x'] } },
      extensions: [{ oid: '1.2.3', critical: true, value: Buffer.from([5, 0]) }],
    })
    const { facts, constraints } = parseCertificate(der)
    expect(facts).to.deep.include({
      subject: 'O=Some\\, Body, CN=A',
      ca: true,
      pathLength: 3,
      keyUsage: ['keyCertSign', 'decipherOnly'],
      nameConstrained: true,
      unknownCritical: ['1.2.3'],
    })
    expect(constraints?.permitted.map(name => [name.kind, name.text])).to.deep.equal([['dns', 'example']])
    expect(constraints?.excluded.map(name => name.kind)).to.deep.equal(['directory'])
  })

  it('RFC 5280 §4.1.2.5: reads dates before 1950 no earlier than written, and after 2049', () => {
    const { der } = authority.make({
      subject: 'x',
      notBefore: new Date('1999-12-31T23:59:59Z'),
      notAfter: new Date('2050-01-01T00:00:00Z'),
    })
    const { facts } = parseCertificate(der)
    expect([facts.notBefore.getUTCFullYear(), facts.notAfter.getUTCFullYear()]).to.deep.equal([1999, 2050])
  })

  it('RFC 5280 §4.2.1.6: names of kinds that do not count are left out', () => {
    const { der } = authority.make({
      subject: 'x',
      names: { uri: ['a'], email: ['b'], ip: [Buffer.alloc(4)], dns: ['c', 'd\ne'] },
    })
    const { facts } = parseCertificate(der)
    expect([facts.dnsNames, facts.srvNames, facts.xmppAddrs]).to.deep.equal([['c'], [], []])
  })

  it('RFC 5280 §4.1.2.4: very long names are cut for display', () => {
    const { facts } = parseCertificate(authority.make({ subject: 'x'.repeat(5000) }).der)
    expect(facts.subject.length).to.be.below(310)
  })
})
