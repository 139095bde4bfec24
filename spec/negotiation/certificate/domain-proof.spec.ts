import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { Trace } from '../../../lib/base/trace.js'
import type { Candidate } from '../../../lib/dial/candidates.js'
import type { DnssecState } from '../../../lib/dial/dns-record.js'
import { Resolver } from '../../../lib/dial/resolver.js'
import type { TlsaRecord } from '../../../lib/negotiation/certificate/dane.js'
import {
  DomainProof,
  type DomainProofRequest,
  type DomainVerdict,
} from '../../../lib/negotiation/certificate/domain-proof.js'
import { Posh } from '../../../lib/negotiation/certificate/posh.js'
import { CertificateJudge, type ProofMethod } from '../../../lib/negotiation/certificate/verdict.js'
import { type Fixture, TestAuthority } from '../../support/authority.js'
import { defaultDialSettings } from '../../support/dial-settings.js'
import { ManualClock } from '../../support/manual-clock.js'
import { POSH_PATH, PoshServer, poshDocument } from '../../support/posh-server.js'
import { type Misdeed, ScriptedDns } from '../../support/scripted-dns.js'

const OWNER = '_5269._tcp.xmpp.host.example'
const ALL: readonly ProofMethod[] = ['dane', 'pkix', 'posh']

function tlsa(leaf: Buffer, usage = 3): TlsaRecord {
  return { type: 'TLSA', usage, selector: 0, matchingType: 1, certificate: createHash('sha256').update(leaf).digest() }
}

describe('domain proof', () => {
  const authority = new TestAuthority({ now: new ManualClock().date() })
  const good = authority.issue('peer.example').chain
  const self = authority.issue('peer.example', 'self-signed').chain
  const { signal } = new AbortController()
  let clock: ManualClock
  let dns: ScriptedDns
  let web: PoshServer
  let proof: DomainProof
  let trace: Trace

  before(async () => {
    web = new PoshServer(authority)
    await web.listen()
  })

  after(() => web.close())

  beforeEach(async () => {
    clock = new ManualClock()
    trace = new Trace(clock)
    for (const page of Object.keys(web.pages)) delete web.pages[page]
    web.asked.length = 0
    dns = new ScriptedDns({ 'peer.example': { A: ['127.0.0.1'] } })
    const judge = new CertificateJudge({ anchors: authority.anchors, clock })
    const resolver = new Resolver({ servers: [await dns.listen()], clock, capacity: 100 })
    const settings = { ...defaultDialSettings, privateTargets: true }
    const posh = new Posh({ judge, resolver, clock, dialing: () => ({ settings }), port: web.port })
    proof = new DomainProof({ judge, resolver, posh })
  })

  afterEach(() => dns.close())

  /** Published in DNS: the records of our target, validated unless said otherwise. */
  function publish(records: readonly TlsaRecord[], misdeed: Misdeed = { authentic: true }): void {
    dns.zone[OWNER] = { TLSA: records }
    dns.misdeeds[OWNER] = misdeed
  }

  const list = (leaf: Buffer): void => {
    web.pages[`peer.example${POSH_PATH}`] = poshDocument([leaf])
  }

  function target(
    dnssec: DnssecState = 'secure',
    candidate: Partial<Candidate> = {},
  ): NonNullable<DomainProofRequest['target']> {
    return {
      candidate: {
        host: 'xmpp.host.example',
        port: 5269,
        transport: 'starttls',
        priority: 0,
        weight: 0,
        dnssec,
        isConfigured: false,
        ...candidate,
      },
      port: 5269,
      dnssec,
    }
  }

  function judge(chain: readonly Buffer[], request: Partial<DomainProofRequest> = {}): Promise<DomainVerdict> {
    return proof.judge({ domain: 'peer.example', chain, target: target(), order: ALL, signal, trace, ...request })
  }

  const codes = ({ defects }: DomainVerdict): string[] => defects.map(({ code }) => code)
  const asked = (type: string): string[] => dns.asked.filter(one => one.type === type).map(({ name }) => name)

  describe('DANE', () => {
    it('RFC 7673 §3.3: asks at the port and host that were dialed', async () => {
      publish([tlsa(self[0]!)])
      const verdict = await judge(self)
      expect(verdict).to.include({ verified: true, method: 'dane', final: false })
      expect(codes(verdict)).to.deep.equal([])
      expect(asked('TLSA')).to.deep.equal([OWNER])
      expect(web.asked).to.deep.equal([])
    })

    it('RFC 6698 §4.1: a mismatch is final: neither PKIX nor POSH can heal it', async () => {
      publish([tlsa(self[0]!)])
      list(good[0]!)
      const verdict = await judge(good)
      expect(verdict).to.include({ verified: false, method: 'dane', final: true })
      expect(verdict).not.to.have.property('cause')
      expect(codes(verdict)).to.deep.equal(['dane-mismatch'])
      expect(web.asked).to.deep.equal([])
    })

    for (const [misdeed, reason] of [
      [{ rcode: 2, extendedError: 6 }, 'bogus'],
      [{ rcode: 2 }, 'servfail'],
      [{ rcode: 5 }, 'refused'],
    ] as const) {
      it(`RFC 6698 §4.1: an answer that is ${reason} may hide a mismatch: final, with its cause`, async () => {
        publish([tlsa(good[0]!)], misdeed)
        const verdict = await judge(good)
        expect(verdict).to.include({ verified: false, method: 'dane', final: true, cause: reason })
      })
    }

    it('RFC 6698 §4.1: records that cannot be used are as good as none', async () => {
      publish([{ ...tlsa(self[0]!), usage: 9 }])
      expect(await judge(good)).to.include({ verified: true, method: 'pkix' })
      expect(await judge(self)).to.include({ verified: false, method: 'pkix', final: false })
    })

    it('RFC 6698 §4: records that were not validated count for nothing', async () => {
      publish([tlsa(self[0]!)], {})
      expect(await judge(good)).to.include({ verified: true, method: 'pkix' })
      expect(await judge(self)).to.include({ verified: false, final: false })
    })

    it('RFC 7673 §3.3: a validated denial', async () => {
      dns.misdeeds[OWNER] = { authentic: true }
      expect(await judge(good)).to.include({ verified: true, method: 'pkix' })
    })

    it('RFC 7673 §3.1: nothing is asked unless SRV and address were validated', async () => {
      publish([tlsa(self[0]!)])
      expect(await judge(good, { target: target('insecure') })).to.include({ method: 'pkix', verified: true })
      const insecureAddress = { ...target(), dnssec: 'insecure' as const }
      expect(await judge(good, { target: insecureAddress })).to.include({ method: 'pkix', verified: true })
      const address = target('secure', { host: '192.0.2.1', isConfigured: true })
      expect(await judge(good, { target: address })).to.include({ method: 'pkix', verified: true })
      expect(await judge(good, { target: undefined })).to.include({ method: 'pkix', verified: true })
      expect(asked('TLSA')).to.deep.equal([])
    })

    it('RFC 7673 §4.1: usage 2 takes the domain or the host of the validated SRV answer for a name', async () => {
      const host = authority.issue('xmpp.host.example').chain
      publish([tlsa(host[1]!, 2)])
      expect(await judge(host)).to.include({ verified: true, method: 'dane', matchedName: 'xmpp.host.example' })
      expect(await judge(good)).to.include({ verified: true, method: 'dane', matchedName: 'peer.example' })
      const configured = await judge(host, { target: target('secure', { isConfigured: true }) })
      expect(configured).to.include({ verified: false, method: 'dane', final: true })
      expect(codes(configured)).to.deep.equal(['dane-mismatch', 'wrong-name'])
    })
  })

  describe('PKIX', () => {
    const host = authority.issue('xmpp.host.example').chain

    it('RFC 7673 §4.1: the host of a validated SRV answer is a name, that of another is not', async () => {
      expect(await judge(host)).to.include({ verified: true, method: 'pkix', matchedName: 'xmpp.host.example' })
      for (const other of [target('insecure'), target('secure', { isConfigured: true })]) {
        const verdict = await judge(host, { target: other })
        expect(verdict).to.include({ verified: false, final: false })
        expect(codes(verdict)).to.deep.equal(['wrong-name'])
      }
    })

    it('RFC 7673 §4.1: it stays one when the address was not validated', async () => {
      expect(await judge(host, { target: { ...target(), dnssec: 'insecure' } })).to.include({ verified: true })
    })
  })

  describe('POSH', () => {
    const healed: readonly Fixture[] = ['self-signed', 'unknown-root', 'missing-intermediate', 'wrong-name']
    for (const fixture of healed) {
      it(`RFC 7711 §3: being listed heals ${fixture}`, async () => {
        const { chain } = authority.issue('peer.example', fixture)
        list(chain[0]!)
        const verdict = await judge(chain)
        expect(verdict).to.include({ verified: true, method: 'posh', final: false })
        expect(codes(verdict)).to.deep.equal([])
      })
    }

    for (const fixture of ['expired', 'not-yet-valid', 'client-auth-only'] satisfies Fixture[]) {
      it(`RFC 7711 §3: it does not heal ${fixture}, and is not asked for`, async () => {
        const { chain } = authority.issue('peer.example', fixture)
        list(chain[0]!)
        expect(await judge(chain)).to.include({ verified: false, method: 'pkix', final: false })
        expect(web.asked).to.deep.equal([])
      })
    }

    it('RFC 7711 §3: another certificate is listed: the defects of PKIX remain', async () => {
      list(good[0]!)
      const verdict = await judge(self)
      expect(verdict).to.include({ verified: false, final: false })
      expect(codes(verdict)).to.deep.equal(['self-signed'])
      expect(trace.steps.find(({ step }) => step === 'certificate.posh')?.facts).to.include({ listed: false })
    })

    it('no certificate at all, and one that cannot be read, are not asked for', async () => {
      expect(codes(await judge([]))).to.deep.equal(['malformed'])
      expect(codes(await judge([Buffer.from('no certificate')]))).to.deep.equal(['malformed'])
      expect(web.asked).to.deep.equal([])
    })
  })

  // What is published, what is shown, what may vouch: who decides.
  describe('the order', () => {
    type Published = 'nothing' | 'agrees' | 'contradicts'
    const rows: readonly [Published, 'good' | 'self', 'listed' | 'not', readonly ProofMethod[], string][] = [
      ['agrees', 'good', 'listed', ALL, 'dane'],
      ['agrees', 'self', 'not', ALL, 'dane'],
      ['agrees', 'self', 'listed', ['posh', 'dane'], 'posh'],
      ['agrees', 'good', 'not', ['pkix', 'dane'], 'pkix'],
      ['agrees', 'self', 'not', ['pkix', 'dane'], 'dane'],
      ['agrees', 'self', 'not', ['pkix', 'posh'], 'none'],
      ['contradicts', 'good', 'listed', ALL, 'final'],
      ['contradicts', 'self', 'listed', ALL, 'final'],
      ['contradicts', 'good', 'not', ['pkix', 'dane', 'posh'], 'pkix'],
      ['contradicts', 'self', 'listed', ['pkix', 'dane', 'posh'], 'final'],
      ['contradicts', 'self', 'listed', ['pkix', 'posh', 'dane'], 'posh'],
      ['contradicts', 'good', 'not', ['pkix', 'posh'], 'pkix'],
      ['contradicts', 'self', 'listed', ['posh'], 'posh'],
      ['nothing', 'good', 'not', ALL, 'pkix'],
      ['nothing', 'good', 'listed', ALL, 'pkix'],
      ['nothing', 'self', 'listed', ALL, 'posh'],
      ['nothing', 'self', 'not', ALL, 'none'],
      ['nothing', 'self', 'listed', ['dane', 'pkix'], 'none'],
      ['nothing', 'good', 'not', ['dane', 'posh'], 'none'],
      ['nothing', 'good', 'listed', ['dane'], 'none'],
      ['nothing', 'good', 'listed', [], 'none'],
    ]
    for (const [published, shown, listed, order, expected] of rows) {
      it(`TLSA ${published}, certificate ${shown}, POSH ${listed}, [${order}]: ${expected}`, async () => {
        const chain = shown === 'good' ? good : self
        if (published !== 'nothing')
          publish([tlsa((published === 'agrees') === (shown === 'good') ? good[0]! : self[0]!)])
        if (listed === 'listed') list(chain[0]!)
        const { verified, method, final, defects } = await judge(chain, { order })
        expect(final ? 'final' : verified ? method : 'none').to.equal(expected)
        expect(defects.length === 0).to.equal(verified)
      })
    }
  })

  it('ends with the reason of its signal', async () => {
    const gone = new AbortController()
    dns.misdeeds[OWNER] = { drop: true }
    const ended = judge(good, { signal: gone.signal }).catch((error: unknown) => error)
    await dns.askedTimes(1)
    gone.abort(new Error('the attempt is over'))
    expect(await ended).to.have.property('message', 'the attempt is over')
  })
})
