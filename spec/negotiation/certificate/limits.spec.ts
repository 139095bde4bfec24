import { expect } from 'chai'
import fc from 'fast-check'
import type { IssuedCertificate } from '../../../lib/negotiation/certificate/issue.js'
import { judgeCertificate } from '../../../lib/negotiation/certificate/verdict.js'
import { TestAuthority } from '../../support/authority.js'

const authority = new TestAuthority()
const { anchors, now } = authority
const judge = (chain: readonly Buffer[]) => judgeCertificate(chain, { anchors, domain: 'peer.example', now })
const texts = (chain: readonly Buffer[]) => judge(chain).defects.map(({ code, text }) => `${code}: ${text}`)

/** Authorities that certify each other: every one has a certificate from every other, as far as ten certificates go. */
function tangle(size: number): IssuedCertificate[] {
  const heads = Array.from({ length: size }, (_, at) => authority.make({ subject: `Loop ${at}`, ca: true }))
  return heads.flatMap(head =>
    heads
      .filter(other => other !== head)
      .map(issuer =>
        authority.make({ subject: `Loop ${heads.indexOf(head)}`, ca: true, key: head.privateKey, issuer }),
      ),
  )
}

describe('certificate limits', () => {
  it('RFC 5280 §6.1: 1000 certificates are refused unread', () => {
    const [leaf] = authority.issue('peer.example').chain
    const chain = [leaf!, ...Array.from({ length: 999 }, () => Buffer.from('not even DER'))]
    expect(texts(chain)).to.deep.equal(['malformed: 1000 certificates were sent, at most 10 are accepted'])
  })

  it('RFC 5280 §6.1: a certificate of a megabyte is refused unread', () => {
    expect(texts([Buffer.alloc(1_048_576, 0x30)])).to.deep.equal([
      'malformed: 1048576 bytes of certificates were sent, at most 65536 are accepted',
    ])
  })

  it('RFC 4158 §5.2: a loop of two authorities ends', () => {
    const loop = tangle(2)
    const leaf = authority.makeLeaf('peer.example', { issuer: loop[0]! })
    const verdict = judge([leaf, ...loop].map(one => one.der))
    expect(verdict.defects.map(defect => defect.code)).to.deep.equal(['unknown-root'])
  })

  it('RFC 4158 §5.2: a tangle of cross-certificates ends', () => {
    const loop = tangle(4).slice(0, 9)
    const leaf = authority.makeLeaf('peer.example', { issuer: loop[0]! })
    const verdict = judge([leaf, ...loop].map(one => one.der))
    expect(verdict.verified).to.equal(false)
    expect(verdict.path.length).to.be.at.most(10)
  })

  it('RFC 4158 §5.2: nine authorities of one name end', () => {
    const all = Array.from({ length: 9 }, () => authority.make({ subject: 'Same', ca: true }))
    const chained = all.map((one, at) =>
      authority.make({ subject: 'Same', ca: true, key: one.privateKey, issuer: all[(at + 1) % all.length]! }),
    )
    const leaf = authority.makeLeaf('peer.example', { issuer: chained[0]! })
    expect(judge([leaf, ...chained].map(one => one.der)).defects.map(defect => defect.code)).to.include('unknown-root')
  })

  it('RFC 5280 §4.2.1.10: names times constraints are bounded', () => {
    const many = (letter: string, count: number) => ({
      dns: Array.from({ length: count }, (_, at) => `${letter}${at}.example`),
    })
    const narrow = authority.make({
      subject: 'Narrow',
      ca: true,
      issuer: authority.root,
      nameConstraints: { permitted: { dns: ['example'] }, excluded: many('x', 1000) },
    })
    const leaf = authority.makeLeaf('peer.example', {
      issuer: narrow,
      names: { dns: ['peer.example', ...many('a', 1000).dns] },
    })
    expect(texts([leaf.der, narrow.der])).to.deep.equal([
      'name-constraint: has too many names to check against name constraints',
    ])
  })

  it('RFC 5280 §4.2.1.6: names that are costly to read are bounded', () => {
    const xmpp = (count: number) => Array.from({ length: count }, (_, at) => `bücher${at}.example`)
    const { der } = authority.makeLeaf('peer.example', { names: { xmpp: [...xmpp(99), 'peer.example'] } })
    expect(texts([der, authority.intermediate.der])).to.deep.equal([])
    const over = authority.makeLeaf('peer.example', { names: { xmpp: xmpp(101) } })
    expect(texts([over.der])).to.deep.equal(['malformed: cannot be read: too many names of other kinds'])
  })

  it('RFC 4158 §5.2: nine authorities that nothing tells apart, none of which signed', () => {
    // Without key identifiers every one of them is a possible issuer of every other.
    const anonymous = (certificate: Buffer): Buffer => {
      const der = Buffer.from(certificate)
      for (const oid of [0x0e, 0x23]) der[der.indexOf(Buffer.from([0x55, 0x1d, oid])) + 2] = oid + 0x50
      return der
    }
    const all = Array.from({ length: 9 }, () => authority.make({ subject: 'Same', ca: true }))
    const leaf = authority.makeLeaf('peer.example', { issuer: all[0]! })
    const verdict = judge([leaf, ...all].map(one => anonymous(one.der)))
    expect(verdict.defects.map(defect => defect.code)).to.include.members(['unknown-root', 'bad-signature'])
  })

  it('RFC 5280 §4.1: deep nesting is malformed, not the end of the stack', () => {
    let der = Buffer.from([5, 0])
    for (let depth = 0; depth < 9000; depth++) {
      const length = der.length
      const head =
        length < 128 ? [0x30, length] : length < 256 ? [0x30, 0x81, length] : [0x30, 0x82, length >> 8, length & 255]
      der = Buffer.concat([Buffer.from(head), der])
    }
    expect(texts([der])).to.deep.equal(['malformed: cannot be read: not DER'])
  })

  it('RFC 5280 §4.1: whatever bytes change, there is a verdict, and it is not "verified"', () => {
    const { chain } = authority.issue('peer.example')
    const change = fc.record({ which: fc.nat(1), at: fc.nat(), byte: fc.integer({ min: 1, max: 255 }) })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), changes => {
        const copies = chain.map(der => Buffer.from(der))
        for (const { which, at, byte } of changes) copies[which]![at % copies[which]!.length]! ^= byte
        fc.pre(copies.some((der, at) => !der.equals(chain[at]!)))
        const verdict = judge(copies)
        expect(verdict.verified).to.equal(false)
        expect(verdict.defects).not.to.deep.equal([])
      }),
      { numRuns: 1500 },
    )
  })

  it('RFC 5280 §4.1: truncated, joined, repeated or random bytes give a verdict', () => {
    const { chain } = authority.issue('peer.example')
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.tuple(fc.nat(1), fc.nat(600), fc.nat(600)).map(([which, from, to]) => chain[which]!.subarray(from, to)),
    )
    const certificate = fc.array(piece, { maxLength: 4 }).map(pieces => Buffer.concat(pieces))
    fc.assert(
      fc.property(certificate, fc.boolean(), (der, asLeaf) => {
        fc.pre(!chain.some(one => one.equals(der)))
        const verdict = judge(asLeaf ? [der, chain[1]!] : [chain[0]!, der])
        expect(verdict.defects.map(defect => defect.code)).to.include('malformed')
      }),
      { numRuns: 1000 },
    )
  })
})
