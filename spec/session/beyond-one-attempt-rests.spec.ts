import { expect } from 'chai'
import { consequenceOf, type EndKind } from '../../lib/stream/end-reason.js'
import { TestAuthority } from '../support/authority.js'
import type { MemoryFederationOptions } from '../support/memory-federation.js'
import { scriptedAttempt } from '../support/scripted-initiator.js'
import type { Visit } from '../support/scripted-receiver.js'
import { bounceOf, HERE, Scene, settled, THERE } from '../support/scripted-scene.js'
import { ScriptedStream } from '../support/scripted-stream.js'

const TIMEOUT = 'remote-server-timeout'

describe('the queue and the rests of an outgoing session', () => {
  const authority = new TestAuthority()
  let scene: Scene

  afterEach(() => scene.stop())

  function start(options: Partial<MemoryFederationOptions> = {}): void {
    scene = new Scene(authority, options)
  }

  it('RFC 6120 §4.5: each pair of local and remote domain has a proof of its own', async () => {
    start({ domains: [HERE, 'also.example'] })
    const far = scene.receiver()
    scene.send('one')
    scene.send('two', 'also.example')
    await Promise.all([far.next(HERE), far.next('also.example')])
    const outgoing = scene.server.proven.filter(({ direction }) => direction === 'outgoing')
    expect(outgoing.map(({ pair }) => pair.local)).to.have.members([HERE, 'also.example'])
  })

  it('a full queue refuses the newest stanza at once and keeps the others', async () => {
    start({ settings: { queueStanzas: 3 } })
    scene.receiver({ interrupt: step => step === 'header' })
    for (const id of ['1', '2', '3', '4']) scene.send(id)
    expect(await scene.bounce()).to.deep.equal({ id: '4', condition: 'resource-constraint', type: 'wait' })
    expect(scene.server.received).to.deep.equal([])
    expect(scene.server.outgoing.waiting).to.equal(3)
    await settled()
    scene.clock.advance(10_000)
    for (const id of ['1', '2', '3']) expect((await scene.bounce()).id).to.equal(id)
    const { accepted, delivered, refused } = scene.server.outgoing.counters
    expect([accepted, delivered, refused, scene.server.outgoing.waiting]).to.deep.equal([3, 0, 3, 0])
  })

  it('a queue is full by size, too', async () => {
    start()
    scene.receiver({ interrupt: step => step === 'header' })
    scene.send('1')
    const size = scene.server.outgoing.session(HERE, THERE)!.waitingBytes
    await settled()
    scene.clock.advance(10_000)
    await scene.bounce()
    await scene.stop()
    start({ settings: { queueBytes: 2 * size } })
    scene.receiver({ interrupt: step => step === 'header' })
    for (const id of ['1', '2', '3']) scene.send(id)
    expect((await scene.bounce()).id).to.equal('3')
    expect(scene.server.outgoing.waiting).to.equal(2)
  })

  it('RFC 6120 §10.1: order is kept across set-up, and every stanza is counted', async () => {
    start()
    const far = scene.receiver({
      interrupt: step => {
        scene.send(step)
        return false
      },
    })
    for (let i = 0; i < 100; i++) scene.send(`early ${i}`)
    const expected = Array.from({ length: 100 }, (_, i) => `early ${i}`)
    for (const id of expected) expect((await far.next(HERE)).attributes.id).to.equal(id)
    for (const step of ['header', 'features', 'starttls', 'tls', 'sasl']) {
      expect((await far.next(HERE)).attributes.id).to.equal(step)
    }
    await far.next(HERE)
    await settled()
    expect(scene.server.outgoing.counters).to.deep.equal({ accepted: 106, delivered: 106, refused: 0 })
  })

  for (const [title, end] of [
    ['the peer closes', (visit: Visit) => visit.stream.close()],
    ['the peer is slow to close an idle stream', () => scene.clock.advance(1_800_000)],
  ] as const) {
    it(`RFC 6120 §4.4: a stanza sent while ${title} goes over a new stream`, async () => {
      start()
      const far = scene.receiver()
      scene.send('one')
      await far.next(HERE)
      end(far.visits[0]!)
      scene.send('two')
      await scene.log.first('s2s-out-ended')
      scene.send('three')
      expect((await far.next(HERE)).attributes.id).to.equal('two')
      expect((await far.next(HERE)).attributes.id).to.equal('three')
      expect(scene.server.received.map(bounceOf)).to.deep.equal([])
    })
  }

  describe('that rests', () => {
    function rest(): { readonly state: string; readonly restMs: number } {
      const row = scene.server.outgoing.rows()[0]!
      return { state: row.state, restMs: row.restMs }
    }

    it('RFC 6120 §3.2.1: twice as long after each failure, jittered, bounded', async () => {
      start({ settings: { backoffInitialMs: 2000, backoffMaxMs: 300_000 } })
      for (let failures = 1; failures <= 12; failures++) {
        scene.send(`${failures}`)
        // A stanza waits while the rest ends soon, and is refused at once otherwise.
        expect((await scene.bounce()).type).to.equal('wait')
        const longest = Math.min(300_000, 2000 * 2 ** (failures - 1))
        expect(rest().restMs).to.be.within(longest / 2, longest)
        expect(scene.network.dialed.get(THERE)).to.equal(failures)
        scene.clock.advance(rest().restMs + 1)
        expect(rest().state).to.equal('idle')
      }
    })

    it('RFC 6120 §3.2.1: dials nothing while it rests; a stanza waits for a rest that ends soon', async () => {
      start()
      scene.send('one')
      await scene.bounce()
      const far = scene.receiver()
      scene.send('two')
      await settled()
      expect(scene.network.dialed.get(THERE)).to.equal(1)
      expect(scene.server.outgoing.waiting).to.equal(1)
      scene.clock.advance(2000)
      expect((await far.next(HERE)).attributes.id).to.equal('two')
      expect(rest().restMs).to.equal(0)
    })

    it('RFC 6120 §8.3.3.17: refuses at once, with the stored outcome, while the rest is long', async () => {
      start({ settings: { backoffInitialMs: 60_000 } })
      scene.send('one')
      await scene.bounce()
      scene.send('two')
      const bounce = await scene.server.next()
      expect(bounceOf(bounce)).to.deep.equal({ id: 'two', condition: TIMEOUT, type: 'wait' })
      expect(bounce.element.getChild('error')?.getChildText('text')).to.match(/the next try is due in \d+ s$/)
      expect(scene.network.dialed.get(THERE)).to.equal(1)
    })

    for (const [title, reason, rests] of [
      ['reaching the domain failed', ['tcp', 'refused'], 'domain'],
      ['TLS failed', ['tls', 'not-offered'], 'domain'],
      ['the certificate failed', ['certificate', 'expired'], 'domain'],
      ['time was over', ['deadline', 'x'], 'domain'],
      ['EXTERNAL failed', ['sasl', 'not-authorized'], 'pair'],
      ['dialback failed', ['dialback', 'invalid'], 'pair'],
      ['a stream error came', ['stream', 'policy-violation'], 'pair'],
      ['policy forbids it', ['policy', 'blocked'], 'nothing'],
    ] as readonly [string, readonly [EndKind, string], string][]) {
      it(`RFC 6120 §3.2.1: when ${title}, what rests is: ${rests}`, () => {
        start()
        expect(consequenceOf({ kind: reason[0], detail: reason[1] }).rests).to.equal(rests)
      })
    }

    it('XEP-0220 §2.5: one pair may rest and another of the same domain go on, or all may rest', async () => {
      start({ domains: [HERE, 'also.example'], settings: { backoffInitialMs: 60_000 } })
      scene.send('one')
      await scene.bounce()
      scene.send('two', 'also.example')
      expect((await scene.bounce()).id).to.equal('two')
      expect(scene.network.dialed.get(THERE)).to.equal(1)
    })

    it('RFC 6120 §3.2.1: a rest that has grown because of another pair holds for all', async () => {
      start({ domains: [HERE, 'also.example'], settings: { backoffInitialMs: 4000 } })
      scene.send('one')
      scene.send('one', 'also.example')
      await scene.bounce()
      await scene.bounce()
      scene.send('two')
      await settled()
      const row = scene.server.outgoing.rows().find(({ local }) => local === HERE)!
      expect(row.state).to.equal('resting')
      scene.clock.advance(row.restMs - 1)
      await settled()
      expect(scene.network.dialed.get(THERE)).to.equal(2)
      scene.clock.advance(1)
      await settled()
      expect(scene.network.dialed.get(THERE)).to.equal(3)
    })

    it('RFC 6120 §4.7: tries again at once when the domain proves itself to us', async () => {
      start({ settings: { backoffInitialMs: 8000 } })
      scene.send('one')
      await scene.bounce()
      scene.send('two')
      const far = scene.receiver()
      expect(rest().state).to.equal('resting')
      const { proof } = await scriptedAttempt(scene.party(THERE), HERE)
      expect(proof).to.equal('external')
      expect((await far.next(HERE)).attributes.id).to.equal('two')
    })

    it('XEP-0220 §2.2: tries again at once when the domain has confirmed a key to us', async () => {
      start({ settings: { backoffInitialMs: 8000 } })
      scene.send('one')
      await scene.bounce()
      scene.send('two')
      const far = scene.receiver()
      const { proof } = await scriptedAttempt(scene.party(THERE, { certificate: 'missing' }), HERE)
      expect(proof).to.equal('dialback')
      expect((await far.next(HERE)).attributes.id).to.equal('two')
      expect(rest().restMs).to.equal(0)
    })

    it('RFC 6120 §4.7: is not woken by a stranger that merely claims the name', async () => {
      start({ settings: { backoffInitialMs: 8000 } })
      scene.send('one')
      await scene.bounce()
      scene.send('two')
      const stream = new ScriptedStream(scene.network.connect(HERE)!)
      stream.open({ from: THERE, to: HERE })
      await stream.expect('features').catch(() => stream.expect('features'))
      await settled()
      expect(rest().state).to.equal('resting')
      expect(scene.network.dialed.get(THERE)).to.equal(1)
      stream.cut()
    })
  })
})
