import { createHash, createPublicKey } from 'node:crypto'
import { expect } from 'chai'
import { type DaneVerdict, judgeDane, type TlsaRecord } from '../../../lib/negotiation/certificate/dane.js'
import type { IssuedCertificate } from '../../../lib/negotiation/certificate/issue.js'
import { CertificateJudge } from '../../../lib/negotiation/certificate/verdict.js'
import { type LeafRequest, TestAuthority } from '../../support/authority.js'
import { ManualClock } from '../../support/manual-clock.js'

const clock = new ManualClock()
const authority = new TestAuthority({ now: clock.date() })
const stranger = new TestAuthority({ now: clock.date(), name: 'Unknown' })
const judge = new CertificateJudge({ anchors: authority.anchors, clock })

const SELECTORS = [0, 1] as const
const MATCHING = [0, 1, 2] as const
type Usage = 0 | 1 | 2 | 3

function tlsa(usage: number, selector: number, matchingType: number, { der }: { der: Buffer }): TlsaRecord {
  const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----`
  const selected = selector === 0 ? der : createPublicKey(pem).export({ type: 'spki', format: 'der' })
  const hash = matchingType === 1 ? 'sha256' : 'sha512'
  const certificate = matchingType === 0 ? selected : createHash(hash).update(selected).digest()
  return { type: 'TLSA', usage, selector, matchingType, certificate }
}

const peer = (request?: LeafRequest) => authority.makeLeaf('peer.example', request)
const unknown = (request?: LeafRequest) => peer({ issuer: stranger.intermediate, ...request })

interface Case {
  readonly chain: readonly IssuedCertificate[]
  readonly records: readonly TlsaRecord[]
  readonly extraNames?: readonly string[]
}

function dane({ chain, records, extraNames = [] }: Case): DaneVerdict {
  return judgeDane(
    chain.map(({ der }) => der),
    records,
    { judge, domain: 'peer.example', extraNames },
  )
}

const codes = ({ defects }: DaneVerdict): string[] => defects.map(({ code }) => code)

describe('DANE', () => {
  describe('every usage, selector and matching type', () => {
    const leaf = peer()
    const foreign = unknown()
    const other = peer()
    const named: Readonly<Record<Usage, IssuedCertificate>> = {
      0: authority.intermediate,
      1: leaf,
      2: stranger.intermediate,
      3: foreign,
    }
    const good: Readonly<Record<Usage, readonly IssuedCertificate[]>> = {
      0: [leaf, authority.intermediate],
      1: [leaf, authority.intermediate],
      2: [foreign, stranger.intermediate],
      3: [foreign],
    }
    for (const usage of [0, 1, 2, 3] as const) {
      for (const selector of SELECTORS) {
        for (const matchingType of MATCHING) {
          const title = `${usage} ${selector} ${matchingType}`
          it(`RFC 6698 §2.1: ${title} agrees`, () => {
            const record = tlsa(usage, selector, matchingType, named[usage])
            const verdict = dane({ chain: good[usage], records: [record] })
            expect(verdict).to.include({ applies: true, verified: true, record })
            expect(verdict.defects).to.deep.equal([])
          })

          it(`RFC 6698 §2.1: ${title} contradicts`, () => {
            const verdict = dane({ chain: good[usage], records: [tlsa(usage, selector, matchingType, other)] })
            expect(verdict).to.include({ applies: true, verified: false })
            expect(codes(verdict)[0]).to.equal('dane-mismatch')
          })
        }
      }
    }
  })

  describe('usage 3', () => {
    const bad: Readonly<Record<string, LeafRequest>> = {
      'an expired': { notBefore: authority.day(-9), notAfter: authority.day(-2) },
      'a self-signed': { issuer: 'self' },
      'a clientAuth only': { extendedKeyUsage: ['clientAuth'] },
      'a foreign': { names: { dns: ['elsewhere.example'] } },
      "an authority's": { issuer: 'self', ca: true },
    }
    for (const [which, request] of Object.entries(bad)) {
      it(`RFC 7671 §5.1: nothing but the key counts: ${which} certificate is good`, () => {
        const leaf = peer(request)
        expect(dane({ chain: [leaf], records: [tlsa(3, 1, 1, leaf)] })).to.include({ verified: true })
      })
    }

    it('RFC 7671 §5.1: only the leaf counts, not what else was sent', () => {
      const verdict = dane({
        chain: [unknown(), authority.intermediate],
        records: [tlsa(3, 1, 1, authority.intermediate)],
      })
      expect(codes(verdict)).to.deep.equal(['dane-mismatch'])
    })

    it('RFC 6698 §2.1: selector 1 outlives a renewal with the same key, selector 0 does not', () => {
      const old = peer()
      const renewed = peer({ key: old.privateKey })
      expect(dane({ chain: [renewed], records: [tlsa(3, 1, 1, old)] }).verified).to.equal(true)
      expect(dane({ chain: [renewed], records: [tlsa(3, 0, 1, old)] }).verified).to.equal(false)
    })

    it('a leaf that cannot be read agrees with nothing', () => {
      const der = Buffer.concat([peer().der, Buffer.from([0])])
      const verdict = judgeDane([der], [tlsa(3, 0, 1, peer())], { judge, domain: 'peer.example' })
      expect(codes(verdict)).to.deep.equal(['dane-mismatch', 'malformed'])
      expect(codes(judgeDane([], [tlsa(3, 0, 1, peer())], { judge, domain: 'peer.example' }))[0]).to.equal(
        'dane-mismatch',
      )
    })
  })

  describe('usage 2', () => {
    const { root, intermediate } = stranger

    it('RFC 7671 §5.2: a root that was sent, named by its digest', () => {
      const verdict = dane({ chain: [unknown(), intermediate, root], records: [tlsa(2, 0, 1, root)] })
      expect(verdict).to.include({ verified: true })
      expect(verdict.verdict?.path.at(-1)?.subject).to.contain('Unknown Root')
    })

    it('RFC 7671 §5.2.2: a digest of what was not sent names nothing', () => {
      const verdict = dane({ chain: [unknown(), intermediate], records: [tlsa(2, 0, 1, root)] })
      expect(codes(verdict)).to.deep.equal(['dane-mismatch'])
    })

    it('RFC 7671 §5.2.2: the whole certificate in the record need not be sent', () => {
      expect(dane({ chain: [unknown(), intermediate], records: [tlsa(2, 0, 0, root)] }).verified).to.equal(true)
      expect(dane({ chain: [unknown()], records: [tlsa(2, 0, 0, intermediate)] }).verified).to.equal(true)
      expect(dane({ chain: [unknown()], records: [tlsa(2, 0, 0, root)] }).verified).to.equal(false)
    })

    it('RFC 7671 §5.2.3: nor does that of a whole key', () => {
      expect(dane({ chain: [unknown(), intermediate], records: [tlsa(2, 1, 0, root)] }).verified).to.equal(true)
      expect(dane({ chain: [unknown()], records: [tlsa(2, 1, 0, intermediate)] }).verified).to.equal(true)
      expect(dane({ chain: [unknown()], records: [tlsa(2, 1, 0, root)] }).verified).to.equal(false)
    })

    it('RFC 7671 §5.2: being sent is not enough, the authority must have issued the chain', () => {
      const verdict = dane({ chain: [peer({ issuer: 'self' }), intermediate], records: [tlsa(2, 0, 1, intermediate)] })
      expect(codes(verdict)).to.deep.equal(['dane-mismatch', 'self-signed'])
    })

    it('RFC 7671 §5.2: names and dates count', () => {
      const records = [tlsa(2, 0, 1, intermediate)]
      const expired = unknown({ notBefore: authority.day(-9), notAfter: authority.day(-2) })
      expect(codes(dane({ chain: [expired, intermediate], records }))).to.deep.equal(['dane-mismatch', 'expired'])
      const foreign = unknown({ names: { dns: ['xmpp.host.example'] } })
      expect(codes(dane({ chain: [foreign, intermediate], records }))).to.deep.equal(['dane-mismatch', 'wrong-name'])
      const extraNames = ['xmpp.host.example']
      expect(dane({ chain: [foreign, intermediate], records, extraNames }).verified).to.equal(true)
    })
  })

  describe('usages 0 and 1', () => {
    it('RFC 6698 §2.1.1: PKIX has to verify as well', () => {
      const leaf = unknown()
      const chain = [leaf, stranger.intermediate, stranger.root]
      for (const record of [tlsa(1, 1, 1, leaf), tlsa(0, 0, 1, stranger.intermediate), tlsa(0, 0, 1, stranger.root)])
        expect(codes(dane({ chain, records: [record] }))).to.deep.equal(['dane-mismatch', 'unknown-root'])
      const foreign = peer({ names: { dns: ['elsewhere.example'] } })
      const records = [tlsa(1, 1, 1, foreign)]
      expect(codes(dane({ chain: [foreign, authority.intermediate], records }))).to.deep.equal([
        'dane-mismatch',
        'wrong-name',
      ])
    })

    it('RFC 6698 §2.1.1: usage 0 may name the anchor, which is not sent, and does not name a leaf', () => {
      const leaf = peer()
      const chain = [leaf, authority.intermediate]
      expect(dane({ chain, records: [tlsa(0, 0, 1, authority.root)] }).verified).to.equal(true)
      expect(codes(dane({ chain, records: [tlsa(0, 0, 1, leaf)] }))).to.deep.equal(['dane-mismatch'])
    })

    it('RFC 6698 §2.1.1: usage 0 finds the path that leads through what it names', () => {
      const cross = authority.make({
        subject: 'Test Intermediate',
        ca: true,
        issuer: authority.root,
        key: authority.intermediate.privateKey,
        pathLength: 0,
      })
      const chain = [peer(), authority.intermediate, cross]
      for (const named of [authority.intermediate, cross])
        expect(dane({ chain, records: [tlsa(0, 0, 1, named)] }).verified).to.equal(true)
    })

    it('RFC 6698 §2.1.1: an authority that was sent along and is on no path does not count', () => {
      const chain = [peer(), authority.intermediate, stranger.intermediate]
      expect(codes(dane({ chain, records: [tlsa(0, 0, 1, stranger.intermediate)] }))).to.deep.equal(['dane-mismatch'])
    })
  })

  describe('records that cannot be used', () => {
    const leaf = peer()
    const whole = tlsa(3, 1, 1, leaf)
    const unusable: Readonly<Record<string, TlsaRecord>> = {
      'an unknown usage': { ...whole, usage: 4 },
      'the private usage': { ...whole, usage: 255 },
      'an unknown selector': { ...whole, selector: 2 },
      'an unknown matching type': { ...whole, matchingType: 3 },
      'a digest too short': { ...whole, certificate: whole.certificate.subarray(1) },
      'a digest of the other size': { ...whole, matchingType: 2 },
      'no data': { ...whole, certificate: Buffer.alloc(0) },
      'no certificate where one should be': { ...whole, selector: 0, matchingType: 0 },
      'no key where one should be': { ...whole, matchingType: 0 },
    }
    for (const [which, record] of Object.entries(unusable)) {
      it(`RFC 6698 §4.1: ${which}: as if it were not there`, () => {
        expect(dane({ chain: [leaf], records: [record] })).to.deep.equal({
          applies: false,
          verified: false,
          defects: [],
        })
        const both = [record, tlsa(3, 1, 1, peer())]
        expect(dane({ chain: [leaf], records: both })).to.include({ applies: true, verified: false })
      })
    }

    it('RFC 6698 §4.1: no record at all', () => {
      expect(dane({ chain: [leaf], records: [] }).applies).to.equal(false)
    })
  })

  describe('several records', () => {
    it('RFC 7671 §8.1: one that agrees is enough, as while a key is changed', () => {
      const leaf = unknown()
      const records = [tlsa(3, 1, 1, peer()), tlsa(2, 0, 1, stranger.root), tlsa(3, 1, 1, leaf)]
      const verdict = dane({ chain: [leaf], records })
      expect(verdict).to.include({ verified: true, record: records[2] })
    })

    it('RFC 7671 §9: of one usage and selector only the strongest digest counts', () => {
      const leaf = peer()
      const stale = tlsa(3, 1, 2, peer())
      expect(dane({ chain: [leaf], records: [tlsa(3, 1, 1, leaf), stale] }).verified).to.equal(false)
      expect(dane({ chain: [leaf], records: [tlsa(3, 1, 0, leaf), stale] }).verified).to.equal(true)
      expect(dane({ chain: [leaf], records: [tlsa(3, 0, 1, leaf), stale] }).verified).to.equal(true)
    })

    it('the one that came closest tells what is wrong', () => {
      const leaf = unknown({ names: { dns: ['elsewhere.example'] } })
      const records = [tlsa(3, 1, 1, peer()), tlsa(2, 0, 1, stranger.intermediate)]
      const verdict = dane({ chain: [leaf, stranger.intermediate], records })
      expect(verdict.record).to.equal(records[1])
      expect(codes(verdict)).to.deep.equal(['dane-mismatch', 'wrong-name'])
    })
  })
})
