import { expect } from 'chai'
import { CertificateJudge } from '../../lib/negotiation/certificate/verdict.js'
import { TestAuthority } from '../support/authority.js'
import { ManualClock } from '../support/manual-clock.js'
import { turns, WireHost, WireServer } from '../support/wire-peer.js'

describe('answers that cost more than their questions', () => {
  const authority = new TestAuthority()
  let server: WireServer

  beforeEach(() => {
    server = new WireServer({ authority, domains: ['here.example'] })
  })
  afterEach(() => server.stop())

  const verify = (i: number): string =>
    `<db:verify from='peer.example' to='nowhere${i}.example' id='${'i'.repeat(200)}'>k</db:verify>`

  it('XEP-0220 §2.2: a peer that asks and does not read is not read from either, until it reads', async () => {
    const peer = await server.authenticated()
    peer.stopReading()
    for (let batch = 0; batch < 40; batch++) {
      void peer.say(Array.from({ length: 200 }, (_, i) => verify(batch * 200 + i)).join('')).catch(() => {})
      await turns(4)
    }
    // Some 3 MB of answers would be waiting by now; 256 KiB and what one chunk asks for are the bound.
    expect(server.incoming.rows()[0]?.unsentBytes).to.be.within(128 * 1024, 512 * 1024)
  })

  it('XEP-0220 §2.4: a stream has a bound on dialback requests, proven or not', async () => {
    const peer = await server.authenticated()
    const request = (i: number): string => `<db:result from='n${i}.example' to='nowhere.example'>k</db:result>`
    await peer.say(Array.from({ length: 500 }, (_, i) => request(i)).join(''))
    await peer.hears('n499.example')
    await peer.say(request(500))
    await peer.fails('policy-violation')
  })

  it('XEP-0220 §2.4: what is too long to be a name is not sent back', async () => {
    const peer = await server.authenticated()
    await peer.say(`<db:verify from='${'['.repeat(2000)}' to='here.example' id='1'>k</db:verify>`)
    const answer = await peer.hears('<db:verify ', '</db:verify>')
    expect(answer).not.to.include('[[[')
  })

  it('RFC 6120 §4.3.2: features without end on a stream of ours end it', async () => {
    const host = new WireHost(server)
    server.send('b@here.example', 'a@peer.example', 'hello')
    const peer = await host.accepting()
    await peer.hears('hello')
    await peer.say('<stream:features/>'.repeat(101))
    await peer.fails('policy-violation')
  })

  it('RFC 6120 §13.7.2: a chain is judged once for all the domains that one connection claims', () => {
    const { chain } = authority.issue('peer.example')
    let looked = 0
    const anchors = new Proxy(authority.anchors, {
      get: (target, name) => {
        if (name === 'withSubject') looked++
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const clock = new ManualClock()
    const judge = new CertificateJudge({
      anchors,
      clock: { now: () => clock.now(), date: () => authority.now, after: (ms, action) => clock.after(ms, action) },
    })
    expect(judge.judge(chain, 'peer.example').verified).to.equal(true)
    const once = looked
    for (let i = 0; i < 100; i++) expect(judge.judge(chain, `n${i}.example`).verified).to.equal(false)
    expect(looked).to.equal(once)
    // A connection may live long; what its certificate is worth now is found out again.
    clock.advance(60_001)
    judge.judge(chain, 'peer.example')
    expect(looked).to.be.above(once)
  })
})
