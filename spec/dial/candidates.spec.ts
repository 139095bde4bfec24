import { expect } from 'chai'
import { Trace } from '../../lib/base/trace.js'
import { type CandidateSearch, type Candidates, findCandidates } from '../../lib/dial/candidates.js'
import { DnsOverrides, readRoute } from '../../lib/dial/dns-override.js'
import { Resolver } from '../../lib/dial/resolver.js'
import type { Zone, ZoneNode } from '../../lib/service/demo/zone-server.js'
import { ManualClock } from '../support/manual-clock.js'
import { type Misdeed, ScriptedDns } from '../support/scripted-dns.js'

const TLS = '_xmpps-server._tcp.north.example'
const STARTTLS = '_xmpp-server._tcp.north.example'

describe('findCandidates', () => {
  const servers: ScriptedDns[] = []
  let clock: ManualClock

  beforeEach(() => {
    clock = new ManualClock()
  })

  afterEach(async () => {
    await Promise.all(servers.splice(0).map(server => server.close()))
  })

  async function start(zone: Zone, misdeeds: Record<string, Misdeed> = {}) {
    const server = new ScriptedDns(zone, misdeeds)
    servers.push(server)
    const address = await server.listen()
    const search: CandidateSearch = {
      resolver: new Resolver({ servers: [address], clock, capacity: 100 }),
      remotePort: 5269,
      directTls: true,
      plainOnly: false,
      timeoutMs: 20_000,
      clock,
      signal: new AbortController().signal,
      trace: new Trace(clock),
      random: () => 0,
    }
    return { server, search }
  }

  function places(candidates: Candidates): string[][] | string {
    if (candidates.kind === 'end') return candidates.detail
    return candidates.groups.map(group => group.map(({ transport, host, port }) => `${transport} ${host}:${port}`))
  }

  const record = (target: string, priority = 0, port = 5269, weight = 0) => ({ priority, weight, port, target })

  describe('XEP-0368 §2, RFC 6120 §3.2: both services', () => {
    const tls: ZoneNode = { SRV: [record('t.example', 2, 5270)] }
    const starttls: ZoneNode = { SRV: [record('s.example', 1)] }
    const closed: ZoneNode = { SRV: [record('.', 0, 0)] }
    const failure = 'failure'
    const address = [['starttls north.example:5269']]
    const both = [['starttls s.example:5269'], ['tls t.example:5270']]
    const rows: [ZoneNode | 'failure' | undefined, ZoneNode | 'failure' | undefined, string[][] | string][] = [
      [tls, starttls, both],
      [tls, undefined, [['tls t.example:5270']]],
      [undefined, starttls, [['starttls s.example:5269']]],
      [undefined, undefined, address],
      [closed, starttls, [['starttls s.example:5269']]],
      [tls, closed, [['tls t.example:5270']]],
      [closed, undefined, 'no-service'],
      [closed, closed, 'no-service'],
      [undefined, closed, 'no-service'],
      [failure, starttls, [['starttls s.example:5269']]],
      [tls, failure, [['tls t.example:5270']]],
      [failure, undefined, 'servfail'],
      [failure, closed, 'servfail'],
      [failure, failure, 'servfail'],
      [undefined, failure, 'servfail'],
      [closed, failure, 'servfail'],
    ]
    const words = (node: ZoneNode | 'failure' | undefined): string =>
      node === undefined ? 'none' : node === 'failure' ? node : node === closed ? '"."' : 'records'

    for (const [xmpps, xmpp, expected] of rows) {
      it(`xmpps ${words(xmpps)}, xmpp ${words(xmpp)}: ${JSON.stringify(expected)}`, async () => {
        const zone: Zone = { 'north.example': { A: ['192.0.2.1'] } }
        const misdeeds: Record<string, Misdeed> = {}
        if (xmpps === 'failure') misdeeds[TLS] = { rcode: 2 }
        else if (xmpps !== undefined) zone[TLS] = xmpps
        if (xmpp === 'failure') misdeeds[STARTTLS] = { rcode: 2 }
        else if (xmpp !== undefined) zone[STARTTLS] = xmpp
        const { server, search } = await start(zone, misdeeds)
        const candidates = await findCandidates('north.example', search)
        expect(places(candidates)).to.deep.equal(expected)
        const askedForAddress = server.asked.some(question => question.name === 'north.example')
        expect(askedForAddress).to.equal(expected === address)
        if (candidates.kind === 'end') expect(candidates.retriable).to.equal(expected === 'servfail')
        else expect(candidates.fallback).to.equal(expected === address)
      })
    }

    it('one priority holds records of both', async () => {
      const { search } = await start({
        [TLS]: { SRV: [record('t.example', 1)] },
        [STARTTLS]: { SRV: [record('s.example', 1)] },
      })
      expect(places(await findCandidates('north.example', search))).to.deep.equal([
        ['tls t.example:5269', 'starttls s.example:5269'],
      ])
    })

    for (const off of [{ directTls: false }, { plainOnly: true }]) {
      it(`${JSON.stringify(off)}: only _xmpp-server is asked`, async () => {
        const { server, search } = await start({ [TLS]: tls, [STARTTLS]: starttls })
        expect(places(await findCandidates('north.example', { ...search, ...off }))).to.deep.equal([
          ['starttls s.example:5269'],
        ])
        expect(server.asked.map(question => question.name)).to.deep.equal([STARTTLS])
      })
    }
  })

  describe('records', () => {
    it('RFC 2782: "." beside real records is ignored, and a record with port 0 skipped', async () => {
      const SRV = [record('.', 0), record('a.example', 1, 0), record('b.example', 2)]
      const { search } = await start({ [STARTTLS]: { SRV } })
      expect(places(await findCandidates('north.example', search))).to.deep.equal([['starttls b.example:5269']])
      expect(search.trace.steps.map(step => step.step)).to.include('dns.unusable')
    })

    it('nothing but records with port 0 is no service, and no reason to try the address', async () => {
      const { search } = await start({
        [STARTTLS]: { SRV: [record('a.example', 0, 0)] },
        'north.example': { A: ['192.0.2.1'] },
      })
      expect(places(await findCandidates('north.example', search))).to.equal('no-service')
    })

    it('a target that is an address is no target', async () => {
      const { search } = await start({ [STARTTLS]: { SRV: [record('192.0.2.1')] } })
      expect(places(await findCandidates('north.example', search))).to.equal('no-service')
    })

    it('an alias of the service name is followed', async () => {
      const { search } = await start({
        [STARTTLS]: { CNAME: 'srv.example' },
        'srv.example': { SRV: [record('s.example')] },
      })
      expect(places(await findCandidates('north.example', search))).to.deep.equal([['starttls s.example:5269']])
    })

    it('RFC 4035 §3.2.3: each candidate knows whether its answer was validated', async () => {
      const zone = { [TLS]: { SRV: [record('t.example')] }, [STARTTLS]: { SRV: [record('s.example')] } }
      const { search } = await start(zone, { [TLS]: { authentic: true } })
      const candidates = await findCandidates('north.example', search)
      const states =
        candidates.kind === 'end' ? [] : candidates.groups.flat().map(({ host, dnssec }) => `${host} ${dnssec}`)
      expect(states).to.deep.equal(['t.example secure', 's.example insecure'])
    })
  })

  describe('RFC 6120 §3.2.2: the address of the domain', () => {
    it('one family is enough, while the other is silent', async () => {
      const { search } = await start(
        { 'north.example': { A: ['192.0.2.1'] } },
        { 'AAAA north.example': { drop: true } },
      )
      const given = new AbortController()
      const candidates = await findCandidates('north.example', { ...search, remotePort: 15_269, signal: given.signal })
      expect(places(candidates)).to.deep.equal([['starttls north.example:15269']])
      given.abort()
    })

    it('unknown name: no-such-domain; without address: no-address; neither retriable', async () => {
      const { search } = await start({ 'south.example': {} })
      expect(await findCandidates('north.example', search)).to.include({ detail: 'no-such-domain', retriable: false })
      expect(await findCandidates('south.example', search)).to.include({ detail: 'no-address', retriable: false })
    })

    it('one family failed, the other has nothing: retriable', async () => {
      const { search } = await start({ 'north.example': {} }, { 'AAAA north.example': { rcode: 2 } })
      expect(await findCandidates('north.example', search)).to.include({ detail: 'servfail', retriable: true })
    })

    for (const domain of ['192.0.2.1', '::1', 'north.example:5269', `${'a'.repeat(300)}.example`, 'service.onion']) {
      it(`${domain.slice(0, 20)}: no-such-domain without a packet`, async () => {
        const { server, search } = await start({})
        expect(places(await findCandidates(domain, search))).to.equal('no-such-domain')
        expect(server.asked).to.deep.equal([])
      })
    }
  })

  describe('time', () => {
    it('the deadline ends the search while it waits for SRV', async () => {
      const { server, search } = await start({}, { [STARTTLS]: { drop: true } })
      const candidates = findCandidates('north.example', { ...search, timeoutMs: 3000 })
      await server.askedTimes(2)
      expect(search.trace.waitingFor).to.equal(`DNS: SRV ${STARTTLS}`)
      clock.advance(3000)
      expect(await candidates).to.include({ kind: 'end', detail: 'timeout', retriable: true })
    })

    it('the deadline ends the search while it waits for addresses', async () => {
      const { server, search } = await start({}, { 'north.example': { drop: true } })
      const given = new AbortController()
      const candidates = findCandidates('north.example', { ...search, timeoutMs: 3000, signal: given.signal })
      await server.askedTimes(4)
      expect(search.trace.waitingFor).to.equal('DNS: A and AAAA north.example')
      clock.advance(3000)
      expect(await candidates).to.include({ kind: 'end', detail: 'timeout', retriable: true })
      given.abort()
    })

    it('an abort rejects with its reason', async () => {
      const { server, search } = await start({}, { [STARTTLS]: { drop: true }, [TLS]: { drop: true } })
      const given = new AbortController()
      const candidates = findCandidates('north.example', { ...search, signal: given.signal }).catch(
        (reason: unknown) => reason,
      )
      await server.askedTimes(2)
      given.abort('stop')
      expect(await candidates).to.equal('stop')
      while (clock.waiting > 0) await new Promise(setImmediate)
    })
  })

  describe('through a proxy', () => {
    it('RFC 7686 §2: a name in Tor is its own candidate, and DNS is not asked', async () => {
      const { server, search } = await start({})
      const candidates = await findCandidates('Service.Onion', { ...search, throughProxy: true })
      expect(candidates).to.include({ kind: 'candidates', source: 'name', fallback: false })
      expect(places(candidates)).to.deep.equal([['starttls service.onion:5269']])
      expect(server.asked).to.deep.equal([])
    })

    it('RFC 6120 §3.2.2: without SRV records the domain is the candidate; its address is not asked for', async () => {
      const { server, search } = await start({})
      const candidates = await findCandidates('north.example', { ...search, throughProxy: true })
      expect(candidates).to.include({ kind: 'candidates', source: 'address', fallback: true })
      expect(places(candidates)).to.deep.equal([['starttls north.example:5269']])
      expect(server.asked.every(({ type }) => type === 'SRV')).to.equal(true)
    })

    it('RFC 2782, "Target": a domain that offers no service offers none through a proxy either', async () => {
      const { search } = await start({ [STARTTLS]: { SRV: [record('.', 0, 0)] } })
      expect(places(await findCandidates('north.example', { ...search, throughProxy: true }))).to.equal('no-service')
    })

    it('a static route comes first, for names in Tor too', async () => {
      const { search } = await start({})
      const overrides = new DnsOverrides([['*.onion', readRoute('h.example:15269')!]])
      const candidates = await findCandidates('service.onion', { ...search, throughProxy: true, overrides })
      expect(places(candidates)).to.deep.equal([['starttls h.example:15269']])
    })
  })

  describe('static routes', () => {
    it('replace the DNS and may lead to private addresses', async () => {
      const { server, search } = await start({})
      const overrides = new DnsOverrides([['north.example', readRoute('127.0.0.1:15269;tls')!]])
      const candidates = await findCandidates('North.Example', { ...search, overrides })
      expect(candidates).to.include({ kind: 'candidates', source: 'override', fallback: false })
      expect(places(candidates)).to.deep.equal([['tls 127.0.0.1:15269']])
      expect(candidates.kind === 'candidates' && candidates.groups[0]?.[0]?.isConfigured).to.equal(true)
      expect(server.asked).to.deep.equal([])
    })

    it('with TLS at once are no service while that is not spoken', async () => {
      const { search } = await start({})
      const overrides = new DnsOverrides([['*', readRoute('h.example:5270;tls')!]])
      expect(places(await findCandidates('north.example', { ...search, plainOnly: true, overrides }))).to.equal(
        'no-service',
      )
    })
  })
})
