import { createHash, createPublicKey } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server } from 'node:tls'
import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.js'
import { Trace } from '../../lib/base/trace.js'
import { findCandidates } from '../../lib/dial/candidates.js'
import type { DialTarget } from '../../lib/dial/dial-target.js'
import { dial } from '../../lib/dial/dialer.js'
import type { DnsAnswer, DnsType } from '../../lib/dial/dns-record.js'
import { Resolver } from '../../lib/dial/resolver.js'
import { DomainProof, type DomainVerdict } from '../../lib/negotiation/certificate/domain-proof.js'
import { peerChain } from '../../lib/negotiation/certificate/peer-chain.js'
import { Posh } from '../../lib/negotiation/certificate/posh.js'
import { CertificateJudge } from '../../lib/negotiation/certificate/verdict.js'
import { type Credentials, TestAuthority } from '../support/authority.js'
import { defaultDialSettings } from '../support/dial-settings.js'
import { type SignedZone, Unbound } from './unbound.js'

const DAY = 86_400_000
const LOOPBACK = '127.0.0.1'

describe('DNSSEC and DANE with Unbound and zones that ldns signed', () => {
  const authority = new TestAuthority()
  // What Direct TLS servers show: by PKIX nothing, and everything.
  const self = authority.issue('signed.example', 'self-signed')
  const good = authority.issue('signed.example')
  const { signal } = new AbortController()
  const servers: Server[] = []
  let unbound: Unbound
  let resolver: Resolver
  let proof: DomainProof

  before(async () => {
    const [selfPort, goodPort] = [await show(self), await show(good)]
    unbound = await Unbound.open(zones(selfPort, goodPort))
    resolver = new Resolver({ servers: [unbound.server], clock: systemClock, capacity: 100 })
    const judge = new CertificateJudge({ anchors: authority.anchors, clock: systemClock })
    const posh = new Posh({ judge, resolver, clock: systemClock, dialing: () => ({ settings: defaultDialSettings }) })
    proof = new DomainProof({ judge, resolver, posh })
  })

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(await unbound.log())
  })

  after(async () => {
    await unbound?.close()
    await Promise.all(servers.map(server => new Promise<void>(resolve => server.close(() => resolve()))))
  })

  function zones(selfPort: number, goodPort: number): SignedZone[] {
    const now = Date.now()
    const current = { from: new Date(now - DAY), until: new Date(now + DAY) }
    const agrees = `TLSA 3 1 1 ${keyDigest(self)}`
    const signed = [
      `xmpp A ${LOOPBACK}`,
      `_xmpps-server._tcp SRV 0 0 ${selfPort} xmpp`,
      `_${selfPort}._tcp.xmpp ${agrees}`,
      // A wire-tapper who got a good certificate, beside the record of the key that the domain has.
      `_xmpps-server._tcp.tapped SRV 0 0 ${goodPort} xmpp`,
      `_${goodPort}._tcp.xmpp ${agrees}`,
      // Nothing said of the certificate.
      `_xmpps-server._tcp.plain SRV 0 0 ${goodPort} silent`,
      `silent A ${LOOPBACK}`,
      // The record that would contradict was changed on the way.
      `_xmpps-server._tcp.spoilt SRV 0 0 ${goodPort} spoilt-host`,
      `spoilt-host A ${LOOPBACK}`,
      `_${goodPort}._tcp.spoilt-host ${agrees}`,
      // A validated SRV answer to where nothing is signed.
      `_xmpps-server._tcp.half SRV 0 0 ${goodPort} xmpp.unsigned`,
      `_${goodPort}._tcp.xmpp.unsigned ${agrees}`,
      'forged A 192.0.2.1',
      'alias CNAME xmpp',
      'far CNAME alias',
      'out CNAME xmpp.unsigned',
      'lost CNAME nothing',
      'broken CNAME forged',
      'unsigned NS ns.unsigned',
      `ns.unsigned A ${LOOPBACK}`,
    ]
    const spoil = (text: string): string =>
      text
        .replace(/^(forged\S*\s+\d+\s+IN\s+A\s+)192\.0\.2\.1$/m, `$1${LOOPBACK}`)
        .replace(
          new RegExp(`^(_${goodPort}\\._tcp\\.spoilt-host\\S*\\s+\\d+\\s+IN\\s+TLSA\\s+)3 1 1 \\S+`, 'm'),
          `$13 1 1 ${keyDigest(good)}`,
        )
    const past = { from: new Date(now - 30 * DAY), until: new Date(now - 2 * DAY) }
    return [
      { name: 'signed.example', records: signed, signed: current, isAnchor: true, tamper: spoil },
      {
        name: 'unsigned.signed.example',
        records: [
          `xmpp A ${LOOPBACK}`,
          `_xmpps-server._tcp SRV 0 0 ${selfPort} xmpp`,
          'back CNAME xmpp.signed.example.',
        ],
      },
      { name: 'stale.example', records: [`xmpp A ${LOOPBACK}`], signed: past, isAnchor: true },
      { name: 'bare.example', records: [`xmpp A ${LOOPBACK}`], isAnchor: false },
    ]
  }

  function keyDigest({ cert }: Credentials): string {
    const key = createPublicKey(cert).export({ type: 'spki', format: 'der' })
    return createHash('sha256').update(key).digest('hex')
  }

  async function show({ cert, key }: Credentials): Promise<number> {
    const server = createServer({ cert, key }, socket => socket.on('error', () => {}))
    servers.push(server)
    await new Promise<void>(resolve => server.listen(0, LOOPBACK, resolve))
    return (server.address() as AddressInfo).port
  }

  async function expectAnswer(name: string, type: DnsType, expected: string): Promise<void> {
    expect(inShort(await resolver.query(name, type, signal))).to.equal(expected)
  }

  function inShort(answer: DnsAnswer): string {
    if (answer.kind === 'failure') return answer.reason
    return answer.kind === 'none' ? `${answer.reason} ${answer.dnssec}` : answer.dnssec
  }

  /** From the domain's records to the certificate of the server that was reached, and the verdict on it. */
  async function reach(domain: string): Promise<{ target: DialTarget; verdict: DomainVerdict }> {
    const trace = new Trace(systemClock)
    const common = { resolver, clock: systemClock, signal, trace }
    const found = await findCandidates(domain, {
      ...common,
      remotePort: 5269,
      directTls: true,
      plainOnly: false,
      timeoutMs: 10_000,
      random: Math.random,
    })
    if (found.kind !== 'candidates') throw new Error(`no candidates for ${domain}: ${found.detail}`)
    const { value: chain, target } = await dial<readonly Buffer[]>({
      ...common,
      groups: found.groups,
      settings: { ...defaultDialSettings, privateTargets: true },
      open: (socket, _target, lost) =>
        new Promise((resolve, reject) => {
          const secured = connect({ socket, servername: domain, rejectUnauthorized: false }, () => {
            resolve(peerChain(secured))
            secured.destroy()
          })
          secured.on('error', reject)
          lost.addEventListener('abort', () => secured.destroy())
        }),
    })
    // Every zone here speaks for signed.example, whatever is asked.
    const request = { domain: 'signed.example', chain, target, order: ['dane', 'pkix'] as const, signal, trace }
    return { target, verdict: await proof.judge(request) }
  }

  describe('RFC 4035 §3.2.3: what our resolver makes of it', () => {
    const rows: readonly (readonly [name: string, type: DnsType, expected: string, why: string])[] = [
      ['_xmpps-server._tcp.signed.example', 'SRV', 'secure', 'signed'],
      ['xmpp.signed.example', 'A', 'secure', 'signed'],
      ['xmpp.signed.example', 'AAAA', 'nodata secure', 'denied by NSEC'],
      ['nothing.signed.example', 'TLSA', 'nxdomain secure', 'denied by NSEC'],
      ['alias.signed.example', 'A', 'secure', 'an alias within the zone'],
      ['far.signed.example', 'A', 'secure', 'two of them'],
      ['lost.signed.example', 'A', 'nxdomain secure', 'an alias of nothing'],
      ['out.signed.example', 'A', 'insecure', 'a signed alias of an unsigned name'],
      ['back.unsigned.signed.example', 'A', 'insecure', 'an unsigned alias of a signed name'],
      ['broken.signed.example', 'A', 'bogus', 'a signed alias of a changed record'],
      ['forged.signed.example', 'A', 'bogus', 'changed after it was signed'],
      ['xmpp.unsigned.signed.example', 'A', 'insecure', 'a zone delegated without DS'],
      ['_xmpp-server._tcp.unsigned.signed.example', 'SRV', 'nxdomain insecure', 'denied by nobody who can'],
      ['xmpp.bare.example', 'A', 'insecure', 'a zone outside every anchor'],
      ['xmpp.stale.example', 'A', 'bogus', 'signatures that have expired'],
    ]
    for (const [name, type, expected, why] of rows) {
      it(`${type} ${name}: ${expected} (${why})`, () => expectAnswer(name, type, expected))
    }

    it('RFC 4033 §5: bogus is not turned into insecure by a second server that does not validate', async () => {
      const elsewhere = { address: LOOPBACK, port: 9 }
      const isTrusted = ({ port }: { port: number }): boolean => port === unbound.server.port
      const servers = [unbound.server, elsewhere]
      const wary = new Resolver({ servers, clock: systemClock, capacity: 10, isTrusted })
      expect(inShort(await wary.query('forged.signed.example', 'A', signal))).to.equal('bogus')
    })

    it('RFC 4035 §3.2.3: the same answers are insecure when the server is not trusted', async () => {
      const wary = new Resolver({ servers: [unbound.server], clock: systemClock, capacity: 10, isTrusted: () => false })
      expect(inShort(await wary.query('xmpp.signed.example', 'A', signal))).to.equal('insecure')
    })
  })

  describe('RFC 7673: from SRV to the verdict', () => {
    it('a self-signed certificate with a TLSA record that agrees is verified', async () => {
      const { target, verdict } = await reach('signed.example')
      expect(target).to.include({ dnssec: 'secure' })
      expect(target.candidate.dnssec).to.equal('secure')
      expect(verdict).to.include({ verified: true, method: 'dane', final: false })
    })

    it('a certificate that authorities vouch for, against a TLSA record, is refused for good', async () => {
      const { verdict } = await reach('tapped.signed.example')
      expect(verdict).to.include({ verified: false, method: 'dane', final: true })
      expect(verdict.defects.map(({ code }) => code)).to.deep.equal(['dane-mismatch'])
    })

    it('a TLSA record that was changed on the way does not help who changed it', async () => {
      const { verdict } = await reach('spoilt.signed.example')
      expect(verdict).to.include({ verified: false, method: 'dane', final: true, cause: 'bogus' })
    })

    it('without TLSA record PKIX decides', async () => {
      const { target, verdict } = await reach('plain.signed.example')
      expect(target.dnssec).to.equal('secure')
      expect(verdict).to.include({ verified: true, method: 'pkix', final: false })
    })

    it('without validated SRV or address no TLSA record counts', async () => {
      const unsigned = await reach('unsigned.signed.example')
      expect(unsigned.target.candidate.dnssec).to.equal('insecure')
      expect(unsigned.verdict).to.include({ verified: false, method: 'pkix', final: false })
      const half = await reach('half.signed.example')
      expect(half.target.candidate.dnssec).to.equal('secure')
      expect(half.target.dnssec).to.equal('insecure')
      expect(half.verdict).to.include({ verified: true, method: 'pkix', final: false })
    })
  })
})
