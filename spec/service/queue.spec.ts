import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { main } from '../../lib/service/cli/main.js'
import type { QueueRow } from '../../lib/service/contract.js'
import { type Member, say, World } from '../scenario/world.js'
import { TestAuthority } from '../support/authority.js'
import { DeafListener } from '../support/deaf-listener.js'

describe('comity queue', () => {
  const authority = new TestAuthority()
  let world: World
  let north: Member

  before(async () => {
    world = await World.open(authority)
    north = await world.member('north.example')
  })
  after(() => world.close())

  async function queue(...args: string[]): Promise<{ status: number; output: string; errors: string }> {
    let output = ''
    let errors = ''
    const status = await main(
      ['queue', ...args],
      {
        input: new PassThrough().end(),
        output: { write: text => (output += text) },
        errors: { write: text => (errors += text) },
        env: north.env,
      },
      {
        version: '1.2.3',
        loadService: () => Promise.reject(new Error('not in this spec')),
        loadDemo: () => Promise.reject(new Error('not in this spec')),
      },
    )
    return { status, output, errors }
  }

  async function rows(): Promise<QueueRow[]> {
    const { status, output } = await queue('--json')
    expect(status).to.equal(0)
    return JSON.parse(output) as QueueRow[]
  }

  it('without a service it says so', async () => {
    const { status, output, errors } = await queue()
    expect([status, output]).to.deep.equal([1, ''])
    expect(errors).to.include('no service runs here')
  })

  describe('of a running service', () => {
    const deaf = new DeafListener()
    before(() => north.start())
    after(() => deaf.close())

    it('nothing waits: no row', async () => {
      expect(await rows()).to.deep.equal([])
      expect((await queue()).output).to.equal('STATE  WAITING  BYTES  OLDEST  NEXT TRY  MENDS  PAIR  REASON\n')
    })

    it('what waits for a first attempt, with its age', async () => {
      world.publish('south.example', await deaf.listen())
      const olga = await north.user('olga')
      say(olga, 'ivo@south.example', 'one')
      say(olga, 'ivo@south.example', 'two')
      await olga.request('noop')
      const [row, ...others] = await rows()
      expect(others).to.deep.equal([])
      expect(row).to.include({
        pair: 'north.example → south.example',
        state: 'connecting',
        waiting: 2,
        reason: 'the first attempt is under way',
        nextTryMs: 0,
        mends: '',
      })
      expect(row?.bytes).to.be.greaterThan(100)
      expect(row?.oldestMs).to.be.at.least(0)
      const { output } = await queue()
      expect(output.split('\n')[1]).to.match(
        /^connecting +2 +\d+ +\d+ s +now +north\.example → south\.example +the first attempt is under way$/,
      )
    })

    it('a pair that rests after a failure: why, how long, and whose side mends it', async () => {
      const ivo = await north.user('ivo')
      say(ivo, 'x@nowhere.example', 'lost')
      await north.log.first('s2s-out-failed', ({ remote }) => remote === 'nowhere.example')
      const row = (await rows()).find(({ pair }) => pair.endsWith('nowhere.example'))
      expect(row).to.include({ state: 'resting', waiting: 0, bytes: 0, oldestMs: 0, mends: 'their DNS' })
      expect(row?.reason).to.include('dns: no-such-domain')
      expect(row?.nextTryMs).to.be.greaterThan(0)
      expect((await queue()).output).to.match(
        /resting +0 +0 +\d+ s +their DNS +north\.example → nowhere\.example +dns: no-/,
      )
    })
  })
}).timeout(30_000)
