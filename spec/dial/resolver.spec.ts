import { expect } from 'chai'
import type { Clock } from '../../lib/base/clock.js'
import { systemClock } from '../../lib/base/clock.js'
import type { DnsAnswer, DnsType, ServerAddress } from '../../lib/dial/dns-record.js'
import { Resolver } from '../../lib/dial/resolver.js'
import type { Zone } from '../../lib/service/demo/zone-server.js'
import { ManualClock } from '../support/manual-clock.js'
import { type Misdeed, ScriptedDns } from '../support/scripted-dns.js'

describe('Resolver', () => {
  const servers: ScriptedDns[] = []
  let clock: ManualClock
  let signal: AbortSignal

  beforeEach(() => {
    clock = new ManualClock()
    signal = new AbortController().signal
  })

  afterEach(async () => {
    await Promise.all(servers.splice(0).map(server => server.close()))
  })

  async function serve(zone: Zone, misdeeds: Record<string, Misdeed> = {}): Promise<[ScriptedDns, ServerAddress]> {
    const server = new ScriptedDns(zone, misdeeds)
    servers.push(server)
    return [server, await server.listen()]
  }

  function resolverOf(addresses: readonly ServerAddress[], time: Clock = clock, capacity = 100): Resolver {
    return new Resolver({ servers: addresses, clock: time, capacity })
  }

  async function start(zone: Zone, misdeeds: Record<string, Misdeed> = {}) {
    const [server, address] = await serve(zone, misdeeds)
    return { server, address, resolver: resolverOf([address]) }
  }

  function addresses(answer: DnsAnswer): string[] {
    return answer.kind === 'records'
      ? answer.records.flatMap(record => ('address' in record ? [record.address] : []))
      : []
  }

  describe('answers', () => {
    it('RFC 2782: SRV with every field, names folded', async () => {
      const SRV = [{ priority: 5, weight: 7, port: 5269, target: 'XMPP.North.Example' }]
      const { resolver } = await start({ '_xmpp-server._tcp.north.example': { SRV } })
      const answer = await resolver.query('_xmpp-server._tcp.North.Example.', 'SRV', signal)
      expect(answer).to.deep.equal({
        kind: 'records',
        records: [{ type: 'SRV', priority: 5, weight: 7, port: 5269, target: 'xmpp.north.example' }],
        ignored: 0,
        ttlSeconds: 60,
        dnssec: 'insecure',
      })
    })

    it('RFC 3596, RFC 6698: AAAA and TLSA', async () => {
      const certificate = Buffer.alloc(32, 7)
      const TLSA = [{ usage: 3, selector: 1, matchingType: 1, certificate }]
      const { resolver } = await start({
        'north.example': { AAAA: ['2001:db8::1'] },
        '_5269._tcp.north.example': { TLSA },
      })
      expect(addresses(await resolver.query('north.example', 'AAAA', signal))).to.deep.equal(['2001:db8::1'])
      const answer = await resolver.query('_5269._tcp.north.example', 'TLSA', signal)
      expect(answer).to.have.deep.property('records', [{ type: 'TLSA', ...TLSA[0] }])
    })

    it('RFC 2308 §2: NXDOMAIN and NODATA are told apart', async () => {
      const { resolver } = await start({ 'north.example': { A: ['192.0.2.1'] } })
      expect(await resolver.query('south.example', 'A', signal)).to.include({ kind: 'none', reason: 'nxdomain' })
      expect(await resolver.query('north.example', 'AAAA', signal)).to.include({ kind: 'none', reason: 'nodata' })
    })

    it('RFC 7766 §5: a reply that was cut short is asked for again over TCP', async () => {
      const { server, resolver } = await start(
        { 'north.example': { A: ['192.0.2.1'] } },
        { 'north.example': { truncate: true } },
      )
      expect(addresses(await resolver.query('north.example', 'A', signal))).to.deep.equal(['192.0.2.1'])
      expect(server.asked.map(question => question.over)).to.deep.equal(['udp', 'tcp'])
    })

    it('at most 16 records of an answer are used, the preferred ones, and the rest is counted', async () => {
      const SRV = Array.from({ length: 400 }, (_, i) => ({
        priority: 400 - i,
        weight: 0,
        port: 5269,
        target: `h${i}.example`,
      }))
      const { resolver } = await start({ 'many.example': { SRV } })
      const answer = await resolver.query('many.example', 'SRV', signal)
      expect(answer).to.include({ kind: 'records', ignored: 384 })
      const priorities = answer.kind === 'records' ? answer.records.map(record => record.priority) : []
      expect(priorities).to.deep.equal(Array.from({ length: 16 }, (_, i) => i + 1))
    })

    it('a reply that claims 10 000 records is not even parsed', async () => {
      const { resolver } = await start(
        { 'north.example': { A: ['192.0.2.1'] } },
        { 'north.example': { claimedAnswers: 10_000 } },
      )
      expect(await resolver.query('north.example', 'A', signal)).to.include({
        kind: 'failure',
        reason: 'too-many-records',
      })
    })

    it('RFC 6891 §7: a server that does not know EDNS is asked without', async () => {
      const { resolver } = await start({ 'north.example': { A: ['192.0.2.1'] } }, { 'north.example': { noEdns: true } })
      expect(addresses(await resolver.query('north.example', 'A', signal))).to.deep.equal(['192.0.2.1'])
    })

    it('RFC 4035 §3.2.3: the AD bit of a resolver on loopback is believed', async () => {
      const { resolver } = await start(
        { 'north.example': { A: ['192.0.2.1'] } },
        { 'north.example': { authentic: true } },
      )
      expect(await resolver.query('north.example', 'A', signal)).to.include({ dnssec: 'secure' })
    })

    it('RFC 4035 §3.2.3: that of others is not, nor is an alias without it', async () => {
      const zone: Zone = {
        'a.example': { CNAME: 'b.example' },
        'b.example': { CNAME: 'c.example' },
        'c.example': { A: ['192.0.2.1'] },
      }
      const { address, resolver } = await start(zone, {
        'a.example': { authentic: true },
        'c.example': { authentic: true },
      })
      expect(await resolver.query('a.example', 'A', signal)).to.include({ kind: 'records', dnssec: 'insecure' })
      const wary = new Resolver({ servers: [address], clock, capacity: 10, isTrusted: () => false })
      expect(await wary.query('c.example', 'A', signal)).to.include({ kind: 'records', dnssec: 'insecure' })
    })

    it('RFC 8914 §4.7: a failed validation is told apart from other failures', async () => {
      const { resolver } = await start({}, { 'forged.example': { rcode: 2, extendedError: 6 } })
      expect(await resolver.query('forged.example', 'A', signal)).to.include({ kind: 'failure', reason: 'bogus' })
    })
  })

  describe('answers that a trusted server could not validate', () => {
    const zone: Zone = { 'north.example': { A: ['192.0.2.1'] } }

    async function startTwo(first: Misdeed, isSecondTrusted: boolean) {
      const [, validating] = await serve(zone, { 'north.example': first })
      const [server, other] = await serve(zone, { 'north.example': { authentic: true } })
      const isTrusted = ({ port }: ServerAddress): boolean => port === validating.port || isSecondTrusted
      return { server, resolver: new Resolver({ servers: [validating, other], clock, capacity: 10, isTrusted }) }
    }

    for (const [misdeed, reason] of [
      [{ rcode: 2, extendedError: 6 }, 'bogus'],
      [{ rcode: 2 }, 'servfail'],
    ] as const) {
      it(`RFC 4033 §5: ${reason} does not become insecure by asking a server that does not validate`, async () => {
        const { server, resolver } = await startTwo(misdeed, false)
        expect(await resolver.query('north.example', 'A', signal)).to.include({ kind: 'failure', reason })
        expect(server.asked).to.deep.equal([])
      })

      it(`RFC 4033 §5: after ${reason} another server that validates may know better`, async () => {
        const { resolver } = await startTwo(misdeed, true)
        expect(await resolver.query('north.example', 'A', signal)).to.include({ kind: 'records', dnssec: 'secure' })
      })
    }

    it('RFC 4033 §5: a server that refuses has not failed to validate: the next one is asked', async () => {
      const { resolver } = await startTwo({ rcode: 5 }, false)
      expect(await resolver.query('north.example', 'A', signal)).to.include({ kind: 'records', dnssec: 'insecure' })
    })

    it('RFC 4035 §3.2.3: a denial has a state as well', async () => {
      const { resolver } = await start({}, { 'no.example': { authentic: true } })
      expect(await resolver.query('no.example', 'TLSA', signal)).to.include({ kind: 'none', dnssec: 'secure' })
      expect(await resolver.query('none.example', 'TLSA', signal)).to.include({ kind: 'none', dnssec: 'insecure' })
    })
  })

  describe('names that are not for the DNS', () => {
    const impossible = [
      'x..y',
      `${'a'.repeat(64)}.example`,
      `${'a.'.repeat(127)}ab`,
      'a b.example',
      'north.example:5269',
      '',
      '.',
    ]
    for (const name of [...impossible, 'service.onion', 'north.invalid']) {
      it(`"${name.slice(0, 30)}" does not exist, without a packet`, async () => {
        const { server, resolver } = await start({})
        expect(await resolver.query(name, 'A', signal)).to.include({ kind: 'none', reason: 'nxdomain' })
        expect(server.asked).to.deep.equal([])
      })
    }

    it('RFC 6761 §6.3: localhost and names below it are loopback', async () => {
      const { server, resolver } = await start({})
      expect(addresses(await resolver.query('localhost', 'A', signal))).to.deep.equal(['127.0.0.1'])
      expect(addresses(await resolver.query('north.LOCALHOST', 'AAAA', signal))).to.deep.equal(['::1'])
      expect(await resolver.query('_xmpp-server._tcp.localhost', 'SRV', signal)).to.include({ kind: 'none' })
      expect(server.asked).to.deep.equal([])
    })
  })

  describe('aliases', () => {
    it('RFC 1034 §3.6.2: followed within an answer and across answers', async () => {
      const { server, resolver } = await start({
        'a.example': { CNAME: 'b.example' },
        'b.example': { CNAME: 'C.example' },
        'c.example': { A: ['192.0.2.3'] },
      })
      expect(addresses(await resolver.query('a.example', 'A', signal))).to.deep.equal(['192.0.2.3'])
      expect(server.asked.map(question => question.name)).to.deep.equal(['a.example', 'b.example'])
    })

    it('an alias of a name without the type asked for has no data', async () => {
      const zone: Zone = {
        'a.example': { CNAME: 'b.example' },
        'b.example': { A: ['192.0.2.3'] },
        'c.example': { CNAME: 'd.example' },
      }
      const { server, resolver } = await start(zone)
      expect(await resolver.query('a.example', 'AAAA', signal)).to.include({ kind: 'none', reason: 'nodata' })
      expect(await resolver.query('c.example', 'AAAA', signal)).to.include({ kind: 'none', reason: 'nxdomain' })
      expect(server.asked).to.have.length(2)
    })

    it('a loop across answers ends', async () => {
      const { server, resolver } = await start({
        'a.example': { CNAME: 'b.example' },
        'b.example': { CNAME: 'a.example' },
      })
      expect(await resolver.query('a.example', 'A', signal)).to.include({ kind: 'failure', reason: 'cname-loop' })
      expect(server.asked).to.have.length(2)
    })

    it('a loop within one answer ends, also when a record of its own hangs on it', async () => {
      const alias = (name: string, data: string) => ({ name, type: 'CNAME', ttl: 60, data }) as const
      const answers = [
        alias('a.example', 'b.example'),
        alias('b.example', 'c.example'),
        alias('c.example', 'a.example'),
      ]
      const { server, resolver } = await start(
        {},
        { 'a.example': { answers }, 'self.example': { answers: [alias('self.example', 'self.example')] } },
      )
      expect(await resolver.query('a.example', 'A', signal)).to.include({ kind: 'failure', reason: 'cname-loop' })
      expect(await resolver.query('self.example', 'A', signal)).to.include({ kind: 'failure', reason: 'cname-loop' })
      expect(server.asked).to.have.length(2)
    })

    for (const [steps, kind] of [
      [8, 'records'],
      [9, 'failure'],
    ] as const) {
      it(`${steps} steps give ${kind}`, async () => {
        const zone: Zone = { [`h${steps}.example`]: { A: ['192.0.2.9'] } }
        for (let step = 0; step < steps; step++) zone[`h${step}.example`] = { CNAME: `h${step + 1}.example` }
        const { resolver } = await start(zone)
        expect(await resolver.query('h0.example', 'A', signal)).to.include({ kind })
      })
    }

    it('records of names that were not asked for are ignored', async () => {
      const answers = [{ name: 'victim.example', type: 'A', ttl: 60, data: '192.0.2.66' }] as const
      const { resolver } = await start({}, { 'north.example': { answers } })
      expect(addresses(await resolver.query('north.example', 'A', signal))).to.deep.equal([])
    })
  })

  describe('RFC 5452 §9.1: replies that do not belong to the question', () => {
    for (const forgery of ['wrong id', 'wrong name', 'wrong type', 'no question', 'not a response', 'noise'] as const) {
      it(`${forgery}: ignored, the proper reply counts`, async () => {
        const { resolver } = await start(
          { 'north.example': { A: ['192.0.2.1'] } },
          { 'north.example': { before: [forgery] } },
        )
        expect(addresses(await resolver.query('north.example', 'A', signal))).to.deep.equal(['192.0.2.1'])
      })
    }

    it('a flood of them moves the question to TCP', async () => {
      const before = Array.from({ length: 30 }, () => 'wrong id' as const)
      const { server, resolver } = await start(
        { 'north.example': { A: ['192.0.2.1'] } },
        { 'north.example': { before, over: 'udp' } },
      )
      expect(addresses(await resolver.query('north.example', 'A', signal))).to.deep.equal(['192.0.2.1'])
      expect(server.asked.map(question => question.over)).to.deep.equal(['udp', 'tcp'])
    })

    it('the proper id over garbage is a failure at once', async () => {
      const { resolver } = await start({}, { 'north.example': { garbage: true } })
      expect(await resolver.query('north.example', 'A', signal)).to.include({ kind: 'failure', reason: 'malformed' })
    })
  })

  describe('the cache', () => {
    async function asksAgainAfter(zone: Zone, ttlSeconds: number, name: string, misdeeds = {}): Promise<number> {
      const { server, resolver } = await start(zone, misdeeds)
      server.ttlSeconds = server.negativeSeconds = ttlSeconds
      await resolver.query(name, 'A', signal)
      for (let seconds = 0; ; seconds++) {
        await resolver.query(name, 'A', signal)
        if (server.asked.length > 1) return seconds
        clock.advance(1000)
      }
    }
    const zone: Zone = { 'north.example': { A: ['192.0.2.1'] } }

    for (const [ttl, kept] of [
      [0, 5],
      [1, 5],
      [42, 42],
      [3600, 3600],
      [86_400, 3600],
      [2 ** 31, 5],
    ] as const) {
      it(`RFC 2181 §8: a TTL of ${ttl} s counts as ${kept} s`, async () => {
        expect(await asksAgainAfter(zone, ttl, 'north.example')).to.equal(kept)
      })
    }
    for (const [minimum, kept] of [
      [0, 5],
      [20, 20],
      [900, 60],
    ] as const) {
      it(`RFC 2308 §5: an SOA minimum of ${minimum} s keeps a negative answer ${kept} s`, async () => {
        expect(await asksAgainAfter(zone, minimum, 'south.example')).to.equal(kept)
      })
    }
    it('RFC 2308 §7.1: a failure is kept 5 s', async () => {
      expect(await asksAgainAfter(zone, 60, 'north.example', { 'north.example': { rcode: 2 } })).to.equal(5)
    })

    it('a kept answer tells what is left of its TTL, and a change is seen when it is over', async () => {
      const { server, resolver } = await start({ 'north.example': { A: ['192.0.2.1'] } })
      await resolver.query('north.example', 'A', signal)
      server.zone['north.example'] = { A: ['192.0.2.2'] }
      clock.advance(45_000)
      const kept = await resolver.query('north.example', 'A', signal)
      expect(kept).to.include({ ttlSeconds: 15 })
      expect(addresses(kept)).to.deep.equal(['192.0.2.1'])
      clock.advance(15_000)
      expect(addresses(await resolver.query('north.example', 'A', signal))).to.deep.equal(['192.0.2.2'])
    })

    it('the shortest TTL on the way of an alias counts', async () => {
      const answers = [
        { name: 'a.example', type: 'CNAME', ttl: 7, data: 'b.example' },
        { name: 'b.example', type: 'A', ttl: 600, data: '192.0.2.1' },
      ] as const
      const { resolver } = await start({}, { 'a.example': { answers } })
      expect(await resolver.query('a.example', 'A', signal)).to.include({ ttlSeconds: 7 })
    })

    it('also over several answers', async () => {
      const answers = [{ name: 'a.example', type: 'CNAME', ttl: 7, data: 'b.example' }] as const
      const { resolver } = await start({ 'b.example': { A: ['192.0.2.1'] } }, { 'a.example': { answers } })
      expect(await resolver.query('a.example', 'A', signal)).to.include({ kind: 'records', ttlSeconds: 7 })
    })

    it('is bounded: the answer used least recently goes first', async () => {
      const [server, address] = await serve({ 'a.example': { A: ['192.0.2.1'] }, 'b.example': {}, 'c.example': {} })
      const resolver = resolverOf([address], clock, 2)
      for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await resolver.query(`${name}.example`, 'A', signal)
      expect(server.asked.map(question => question.name[0])).to.deep.equal(['a', 'b', 'c', 'b'])
    })

    it('flush() forgets', async () => {
      const { server, resolver } = await start(zone)
      await resolver.query('north.example', 'A', signal)
      resolver.flush()
      await resolver.query('north.example', 'A', signal)
      expect(server.asked).to.have.length(2)
    })
  })

  describe('questions under way', () => {
    it('are shared by those who ask the same', async () => {
      const { server, resolver } = await start({ 'north.example': { A: ['192.0.2.1'] } })
      const names = ['north.example', 'NORTH.example', 'north.example.']
      const answers = await Promise.all(names.map(name => resolver.query(name, 'A', signal)))
      expect(answers.map(addresses)).to.deep.equal(Array(3).fill(['192.0.2.1']))
      expect(server.asked).to.have.length(1)
    })

    it('go on for the others when one gives up, and end with the last', async () => {
      let answer = (): void => {}
      const until = new Promise<void>(resolve => {
        answer = resolve
      })
      const { server, resolver } = await start(
        { 'north.example': { A: ['192.0.2.1'] } },
        { 'north.example': { until } },
      )
      const impatient = new AbortController()
      const first = resolver.query('north.example', 'A', impatient.signal).catch((error: unknown) => error)
      const second = resolver.query('north.example', 'A', signal)
      await server.askedTimes(1)
      const reason = new Error('no time')
      impatient.abort(reason)
      expect(await first).to.equal(reason)
      answer()
      expect(addresses(await second)).to.deep.equal(['192.0.2.1'])
      expect(server.asked).to.have.length(1)
    })

    it('leave no timer behind when everybody gives up', async () => {
      const { server, resolver } = await start({}, { 'north.example': { drop: true } })
      const impatient = new AbortController()
      const asked = resolver.query('north.example', 'A', impatient.signal).catch(() => 'gave up')
      await server.askedTimes(1)
      impatient.abort()
      expect(await asked).to.equal('gave up')
      while (clock.waiting > 0) await new Promise(setImmediate)
    })

    it('an aborted signal asks nothing', async () => {
      const { server, resolver } = await start({})
      const asked = await resolver
        .query('north.example', 'A', AbortSignal.abort('no'))
        .catch((reason: unknown) => reason)
      expect(asked).to.equal('no')
      expect(server.asked).to.deep.equal([])
    })
  })

  describe('several servers', () => {
    const zone: Zone = { 'north.example': { A: ['192.0.2.1'] } }

    it('the next one is asked after a failure', async () => {
      const [bad, badAddress] = await serve({}, { 'north.example': { rcode: 2 } })
      const [, goodAddress] = await serve(zone)
      const resolver = resolverOf([badAddress, goodAddress])
      expect(addresses(await resolver.query('north.example', 'A', signal))).to.deep.equal(['192.0.2.1'])
      expect(bad.asked).to.have.length(1)
    })

    it('the next one is asked after a port where nobody listens', async () => {
      const [gone, goneAddress] = await serve({})
      const [, goodAddress] = await serve(zone)
      await gone.close()
      const resolver = resolverOf([goneAddress, goodAddress])
      expect(addresses(await resolver.query('north.example', 'A', signal))).to.deep.equal(['192.0.2.1'])
    })

    it('a silent one has 5 s, is sent the question three times, and is then asked last', async () => {
      const [silent, silentAddress] = await serve(
        {},
        { 'north.example': { drop: true }, 'south.example': { drop: true } },
      )
      const [good, goodAddress] = await serve(zone)
      const resolver = resolverOf([silentAddress, goodAddress])
      const answer = resolver.query('north.example', 'A', signal)
      for (let sent = 1; sent <= 3; sent++) {
        await silent.askedTimes(sent)
        expect(good.asked).to.deep.equal([])
        clock.advance(sent === 3 ? 2500 : sent === 1 ? 1000 : 1500)
      }
      expect(addresses(await answer)).to.deep.equal(['192.0.2.1'])
      await resolver.query('south.example', 'A', signal)
      expect(silent.asked).to.have.length(3)
      clock.advance(30_000)
      const later = new AbortController()
      const abandoned = resolver.query('north.example', 'AAAA', later.signal).catch(() => {})
      await silent.askedTimes(4)
      later.abort()
      await abandoned
    })

    it('all silent: a timeout after 5 s each', async () => {
      const [first, firstAddress] = await serve({}, { 'north.example': { drop: true } })
      const [second, secondAddress] = await serve({}, { 'north.example': { drop: true } })
      const answer = resolverOf([firstAddress, secondAddress]).query('north.example', 'A', signal)
      await first.askedTimes(1)
      clock.advance(5000)
      await second.askedTimes(1)
      clock.advance(5000)
      expect(await answer).to.include({ kind: 'failure', reason: 'timeout' })
    })

    it('the more telling failure is told', async () => {
      const [, refusing] = await serve({}, { 'north.example': { rcode: 5 } })
      const [, failing] = await serve({}, { 'north.example': { rcode: 2 } })
      expect(await resolverOf([failing, refusing]).query('north.example', 'A', signal)).to.include({
        reason: 'servfail',
      })
      expect(await resolverOf([refusing]).query('north.example', 'A', signal)).to.include({ reason: 'refused' })
      expect(await resolverOf([]).query('north.example', 'A', signal)).to.include({ reason: 'unreachable' })
    })

    it('given as a function they are looked at for each question', async () => {
      const [, address] = await serve(zone)
      let now: readonly ServerAddress[] = []
      const resolver = new Resolver({ servers: () => now, clock: systemClock, capacity: 10 })
      expect(await resolver.query('north.example', 'AAAA', signal)).to.include({ kind: 'failure' })
      now = [address]
      expect(await resolver.query('north.example', 'A', signal)).to.include({ kind: 'records' })
    })
  })

  it('answers every type it claims to', async () => {
    const { resolver } = await start({})
    for (const type of ['A', 'AAAA', 'SRV', 'TLSA'] satisfies DnsType[]) {
      expect(await resolver.query('nothing.example', type, signal)).to.include({ kind: 'none' })
    }
  })
})
