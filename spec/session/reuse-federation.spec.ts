import { expect } from 'chai'
import type { Rules } from '../../lib/negotiation/rules.js'
import { TestAuthority } from '../support/authority.js'
import { ManualClock } from '../support/manual-clock.js'
import { MemoryFederation, type MemoryFederationOptions, MemoryNetwork } from '../support/memory-federation.js'

/** Two whole servers with two domains each, every domain with a certificate of its own. */
describe('two servers and their domains (XEP-0220 §2.5, §2.6)', () => {
  const authority = new TestAuthority()
  const OURS = ['here.example', 'also.example'] as const
  const THEIRS = ['there.example', 'chat.there.example'] as const
  let network: MemoryNetwork
  let ours: MemoryFederation
  let theirs: MemoryFederation

  afterEach(async () => {
    await Promise.all([ours.stop(), theirs.stop()])
  })

  function serve(rules: Partial<Rules>, options: Partial<MemoryFederationOptions> = {}): void {
    network = new MemoryNetwork()
    const common = { network, authority, clock: new ManualClock(), rules }
    ours = new MemoryFederation({ ...common, ...options, domains: OURS })
    theirs = new MemoryFederation({ ...common, domains: THEIRS })
  }

  async function arrives(from: string, to: string): Promise<void> {
    const body = `${from} to ${to}`
    ours.send(`a@${from}`, `b@${to}`, body)
    expect((await theirs.next()).textOf('body')).to.equal(body)
  }

  /** Streams that carry our pairs, by tag. */
  const streams = (): string[] => ours.outgoing.rows().map(({ id }) => id)

  it('strict: a domain that our certificate does not name is refused on the stream and gets one of its own', async () => {
    serve({ strict: true })
    await arrives(OURS[0], THEIRS[0])
    await arrives(OURS[1], THEIRS[0])
    expect(streams()).to.deep.equal(['S2SO-00001', 'S2SO-00002'])
    const { steps } = ours.outgoing.session(OURS[1], THEIRS[0])!.attempts[0]!.trace
    expect(steps.find(({ step }) => step === 'reuse')?.facts.result).to.equal('dialback: not-authorized')
  })

  it('lax: both domains share the stream, once a key has been confirmed', async () => {
    serve({ strict: false })
    await arrives(OURS[0], THEIRS[0])
    await arrives(OURS[1], THEIRS[0])
    await arrives(OURS[0], THEIRS[0])
    expect(streams()).to.deep.equal(['S2SO-00001', 'S2SO-00001'])
    expect(network.dialed.get(THEIRS[0])).to.equal(1)
  })

  it('lax: both of theirs share the stream when DNS leads both to one place', async () => {
    serve({ strict: false }, { leadsTo: async () => ({ place: 'there' }) })
    for (const to of THEIRS) for (const from of OURS) await arrives(from, to)
    expect(new Set(streams())).to.deep.equal(new Set(['S2SO-00001']))
    expect(network.dialed.get(THEIRS[1])).to.equal(undefined)
    expect(ours.table.rows().length).to.equal(4)
  })

  it('strict: what their certificate does not name is not asked for', async () => {
    serve({ strict: true }, { leadsTo: async () => ({ place: 'there' }) })
    for (const to of THEIRS) await arrives(OURS[0], to)
    expect(streams()).to.deep.equal(['S2SO-00001', 'S2SO-00002'])
  })

  it('stanzas keep their order while pairs join', async () => {
    serve({ strict: false }, { leadsTo: async () => ({ place: 'there' }) })
    await arrives(OURS[0], THEIRS[0])
    for (let i = 0; i < 20; i++)
      for (const to of THEIRS) for (const from of OURS) ours.send(`a@${from}`, `b@${to}`, `${from} ${to} ${i}`)
    const bodies: string[] = []
    for (let i = 0; i < 80; i++) bodies.push((await theirs.next()).textOf('body')!)
    for (const to of THEIRS) {
      for (const from of OURS) {
        const one = bodies.filter(body => body.startsWith(`${from} ${to} `))
        expect(one).to.deep.equal(Array.from({ length: 20 }, (_, i) => `${from} ${to} ${i}`))
      }
    }
    expect(ours.received).to.deep.equal([])
  })
})
