import { expect } from 'chai'
import type { Gate } from '../../lib/session/context.js'
import { TestAuthority } from '../support/authority.js'
import { type MemoryFederationOptions, memoryRules } from '../support/memory-federation.js'
import { STEPS, type Step, type Visit } from '../support/scripted-receiver.js'
import { bounceOf, HERE, oursTowards, Scene, settled, THERE, theirsTowards } from '../support/scripted-scene.js'
import { ScriptedStream } from '../support/scripted-stream.js'

/** Steps at which an attempt is under way. */
const UNDERWAY = STEPS.filter(step => step !== 'established')

describe('an outgoing session that is interrupted from inside', () => {
  const authority = new TestAuthority()
  let scene: Scene

  afterEach(() => scene.stop())

  /** Comes to a step and stays there, or goes on, as `act` says. */
  function arriveAt(
    step: Step,
    act: (visit: Visit) => boolean,
    more: Partial<MemoryFederationOptions> = {},
  ): Promise<void> {
    scene = new Scene(authority, { ...oursTowards(step), ...more })
    return new Promise(resolve => {
      scene.receiver({
        ...theirsTowards(step),
        interrupt: (reached, visit) => {
          if (reached !== step) return false
          resolve()
          return act(visit)
        },
      })
    })
  }

  /** Orderly, and without any help of the clock. */
  async function stopped(): Promise<void> {
    await scene.server.outgoing.stop(new AbortController().signal)
    await settled()
  }

  for (const step of UNDERWAY) {
    it(`RFC 6120 §4.4: a stop after ${step} answers what waits and leaves nothing behind`, async () => {
      const arrived = arriveAt(step, ({ stream }) => {
        void stream.closeInTurn()
        return true
      })
      scene.send('one')
      scene.send('two')
      await arrived
      await settled()
      await stopped()
      const bounces = [await scene.bounce(), await scene.bounce()]
      expect(bounces.map(({ id, condition, type }) => [id, condition, type])).to.deep.equal([
        ['one', 'remote-server-timeout', 'wait'],
        ['two', 'remote-server-timeout', 'wait'],
      ])
      expect(scene.clock.waiting).to.equal(0)
    })

    for (const [how, act] of [
      ['cut', ({ stream }: Visit) => stream.cut()],
      [
        'failed',
        ({ stream }: Visit) => {
          if (step === 'tls') stream.open({ from: THERE, to: HERE, id: 'late' })
          stream.fail('policy-violation')
        },
      ],
    ] as const) {
      it(`RFC 6120 §4.4: an attempt that was ${how} after ${step} does not hold up a later stop`, async () => {
        void arriveAt(step, visit => {
          act(visit)
          return true
        })
        await scene.twoBounces()
        await stopped()
        expect(scene.clock.waiting).to.equal(0)
      })
    }

    it(`RFC 6120 §4.4: an attempt whose time was over after ${step} does not hold up a later stop`, async () => {
      const arrived = arriveAt(step, ({ stream }) => {
        void stream.closeInTurn()
        return true
      })
      const told = scene.twoBounces()
      await arrived
      await settled()
      scene.clock.advance(10_000)
      await told
      await stopped()
      expect(scene.clock.waiting).to.equal(0)
    })

    it(`RFC 6120 §4.9.3.14: a domain that is forbidden after ${step} gets nothing`, async () => {
      let gate: Gate = { rules: { ...memoryRules, external: step !== 'dialback' } }
      void arriveAt(
        step,
        () => {
          gate = { refused: { kind: 'policy', detail: 'blocked' } }
          return false
        },
        { gate: (_local, _remote, direction) => (direction === 'outgoing' ? gate : { rules: memoryRules }) },
      )
      expect(await scene.twoBounces()).to.equal('not-allowed cancel')
      expect(scene.server.proven.filter(({ direction }) => direction === 'outgoing')).to.deep.equal([])
    })

    it(`RFC 6120 §4.9.3.14: and at once where the change is announced`, async () => {
      let gate: Gate = { rules: { ...memoryRules, external: step !== 'dialback' } }
      const arrived = arriveAt(step, () => true, { gate: () => gate })
      const told = scene.twoBounces()
      await arrived
      await settled()
      gate = { refused: { kind: 'policy', detail: 'blocked' } }
      scene.server.outgoing.reconsider()
      expect(await told).to.equal('not-allowed cancel')
    })
  }

  it('RFC 6120 §4.4: a stop of an established stream sends what was taken and system-shutdown', async () => {
    scene = new Scene(authority)
    const far = scene.receiver()
    scene.send('one')
    await far.next(HERE)
    scene.send('two')
    await stopped()
    expect((await far.next(HERE)).attributes.id).to.equal('two')
    expect(far.visits[0]!.error).to.equal('system-shutdown')
    expect(scene.server.received.map(bounceOf)).to.deep.equal([])
    scene.send('three')
    expect(await scene.bounce()).to.deep.equal({ id: 'three', condition: 'remote-server-timeout', type: 'wait' })
  })

  it('RFC 6120 §4.6.1: a peer that takes its time at every step gains none by it', async () => {
    scene = new Scene(authority, { rules: { external: false } })
    scene.receiver({
      interrupt: step => {
        if (step === 'dialback') return true
        scene.clock.advance(2500)
        return false
      },
    })
    const told = scene.twoBounces()
    await scene.log.first('s2s-out-failed').catch(() => {})
    expect(await told).to.equal('remote-server-timeout wait')
    expect(scene.clock.now()).to.equal(10_000)
  })

  it('RFC 6120 §4.6.1: nor one that leaves only the proof for last', async () => {
    let asked = (): void => {}
    const waiting = new Promise<void>(resolve => (asked = resolve))
    scene = new Scene(authority, { rules: { external: false } })
    scene.receiver({
      interrupt: step => {
        if (step === 'tls') scene.clock.advance(9000)
        if (step === 'dialback') asked()
        return step === 'dialback'
      },
    })
    const told = scene.twoBounces()
    await waiting
    await settled()
    scene.clock.advance(1000)
    expect(await told).to.equal('remote-server-timeout wait')
    expect(scene.outcomes()).to.deep.equal(['deadline: dialback answer'])
  })

  it('RFC 6120 §4.5: a stanza on a stream that we opened ends it, before and after proof', async () => {
    const message = `<message from='b@${THERE}' to='a@${HERE}'><body>wrong way</body></message>`
    for (const step of ['features', 'sasl', 'dialback', 'established'] as const) {
      let told: Promise<string | undefined> | undefined
      let visit: Visit | undefined
      void arriveAt(step, one => {
        visit = one
        one.stream.send(message)
        if (step !== 'established') told = one.stream.closeInTurn()
        return step !== 'established'
      })
      scene.send('one')
      await scene.log.first(step === 'established' ? 's2s-out-ended' : 's2s-out-failed')
      expect(scene.server.received.filter(({ type }) => type !== 'error')).to.deep.equal([])
      expect((await told) ?? visit?.error, step).to.equal('not-authorized')
      await scene.stop()
    }
  })

  for (const [title, header, condition] of [
    ['another from', { from: 'x.example', to: HERE, id: '1' }, 'invalid-from'],
    ['no id', { from: THERE, to: HERE }, 'invalid-xml'],
    ['an empty id', { from: THERE, to: HERE, id: '' }, 'invalid-xml'],
  ] as const) {
    it(`RFC 6120 §4.7: a header with ${title} is told so`, async () => {
      scene = new Scene(authority)
      const told = new Promise<string | undefined>(resolve => {
        scene.network.listen(THERE, async socket => {
          const stream = new ScriptedStream(socket)
          await stream.expect('stream')
          stream.open(header)
          resolve((await stream.expect('error')).children[0]?.name)
          stream.close()
        })
      })
      expect(await scene.twoBounces()).to.equal('remote-server-timeout cancel')
      expect(await told).to.equal(condition)
    })
  }
})
