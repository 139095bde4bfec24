import { expect } from 'chai'
import { STREAM_ERROR_CONDITIONS } from '../../lib/stream/stream-error.js'
import { TestAuthority } from '../support/authority.js'
import type { MemoryFederationOptions } from '../support/memory-federation.js'
import { STEPS, type Step, type Visit } from '../support/scripted-receiver.js'
import { bounceOf, GOOD, HERE, oursTowards, Scene, settled, THERE, theirsTowards } from '../support/scripted-scene.js'
import { DIALBACK } from '../support/scripted-stream.js'

const NOT_FOUND = 'remote-server-not-found'
const TIMEOUT = 'remote-server-timeout'

describe('an outgoing session', () => {
  const authority = new TestAuthority()
  let scene: Scene

  afterEach(() => scene.stop())

  function start(options: Partial<MemoryFederationOptions> = {}): Scene {
    scene = new Scene(authority, options)
    return scene
  }

  function interruptAt(step: Step, act: (visit: Visit) => void): void {
    start(oursTowards(step))
    scene.receiver({
      ...theirsTowards(step),
      interrupt: (reached, visit) => {
        if (reached !== step) return false
        act(visit)
        return true
      },
    })
  }

  const waits = new Set([
    'system-shutdown',
    'resource-constraint',
    'internal-server-error',
    'connection-timeout',
    'reset',
    'conflict',
    'see-other-host',
    'remote-connection-failed',
    'undefined-condition',
  ])
  const unreachable = new Set(['host-unknown', 'host-gone'])

  function toldFor(condition: string): string {
    if (unreachable.has(condition)) return `${NOT_FOUND} cancel`
    return `${TIMEOUT} ${waits.has(condition) ? 'wait' : 'cancel'}`
  }

  for (const step of STEPS.filter(one => one !== 'established')) {
    it(`RFC 6120 §4.9.3, §8.3.3: each stream error after ${step} ends the attempt at once, and each sender hears once`, async () => {
      for (const condition of STREAM_ERROR_CONDITIONS) {
        interruptAt(step, ({ stream }) => {
          if (step === 'tls') stream.open({ from: THERE, to: HERE, id: 'late' })
          stream.fail(condition)
        })
        expect(await scene.twoBounces(), condition).to.equal(toldFor(condition))
        expect(scene.outcomes(), condition).to.deep.equal([`stream: ${condition}`])
        await scene.stop()
      }
    })

    for (const [how, act] of [
      ['cuts the connection', ({ stream }: Visit) => stream.cut()],
      [
        'closes the stream',
        ({ stream }: Visit) => {
          if (step === 'tls') stream.open({ from: THERE, to: HERE, id: 'late' })
          stream.close()
        },
      ],
    ] as const) {
      it(`RFC 6120 §8.3.3.17: a peer that ${how} after ${step} is worth another try`, async () => {
        interruptAt(step, act)
        expect(await scene.twoBounces()).to.equal(`${TIMEOUT} wait`)
        expect(scene.outcomes().length).to.equal(1)
      })
    }

    it(`RFC 6120 §4.6.1: a peer that falls silent after ${step} is left when its time is over, not before`, async () => {
      let reached = (): void => {}
      const silent = new Promise<void>(resolve => (reached = resolve))
      interruptAt(step, () => reached())
      const told = scene.twoBounces()
      await silent
      await settled()
      scene.clock.advance(9_999)
      expect(scene.outcomes()).to.deep.equal([])
      scene.clock.advance(1)
      expect(await told).to.equal(`${TIMEOUT} wait`)
      const awaited = {
        header: 'stream features',
        features: 'STARTTLS answer',
        starttls: 'STARTTLS answer',
        tls: 'stream header',
        sasl: 'SASL EXTERNAL answer',
        dialback: 'dialback answer',
      }
      expect(scene.outcomes()).to.deep.equal([`deadline: ${awaited[step]}`])
    })
  }

  it('RFC 6120 §4.9.3: an established stream may end with any error; what was sent is not sent again', async () => {
    for (const condition of STREAM_ERROR_CONDITIONS) {
      start()
      const far = scene.receiver()
      scene.send('one')
      await far.next(HERE)
      far.visits[0]!.stream.fail(condition)
      await scene.log.first('pair-lost')
      await settled()
      expect(scene.server.received.map(bounceOf), condition).to.deep.equal([])
      scene.send('two')
      expect((await far.next(HERE)).attributes.id, condition).to.equal('two')
      expect(far.visits.map(({ stanzas }) => stanzas.length)).to.deep.equal([1, 1])
      await scene.stop()
    }
  })

  for (const by of ['external', 'dialback'] as const) {
    it(`RFC 6120 §4.9.1.1: a peer that ends each stream as soon as it is proven (${by}) is not hammered`, async () => {
      start({ rules: { external: by === 'external' } })
      const far = scene.receiver({
        interrupt: (step, { stream }) => {
          if (step === 'established') stream.fail('resource-constraint')
          return step === 'established'
        },
      })
      scene.send('one')
      await settled(400)
      expect(far.visits.filter(({ asked }) => !asked).length).to.equal(1)
      // Either it was on its way already, or its sender has heard.
      expect(scene.server.received.length + scene.server.outgoing.counters.delivered).to.equal(1)
    })
  }

  describe('whose peer will not have TLS', () => {
    it('RFC 6120 §5.4.2.2: TLS failure ends the attempt; nothing is sent in plain text', async () => {
      for (const tls of ['required', 'optional'] as const) {
        start({ rules: { tls } })
        const far = scene.receiver({
          interrupt: (step, { stream }) => {
            if (step === 'starttls') stream.send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            return step === 'starttls'
          },
        })
        expect(await scene.twoBounces()).to.equal(`${TIMEOUT} cancel`)
        expect(scene.outcomes()).to.deep.equal(['tls: refused'])
        expect(far.visits.length).to.equal(1)
        await scene.stop()
      }
    })

    it('RFC 6120 §5.4.3.3: bytes behind <proceed/> end the attempt', async () => {
      start()
      const far = scene.receiver({
        interrupt: (step, { stream }) => {
          const injected = `<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>`
          if (step === 'starttls') stream.send(`<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>${injected}`)
          return step === 'starttls'
        },
      })
      expect(await scene.twoBounces()).to.equal(`${TIMEOUT} wait`)
      expect(scene.outcomes()).to.deep.equal(['tls: handshake-failed'])
      expect(far.visits.length).to.equal(1)
    })

    it('RFC 6120 §5.4.3.2: a failed handshake ends the attempt, whatever the policy', async () => {
      for (const tls of ['required', 'optional'] as const) {
        start({ rules: { tls } })
        const far = scene.receiver({
          interrupt: (step, { stream }) => {
            if (step === 'starttls') stream.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            if (step === 'starttls') setImmediate(() => setImmediate(() => stream.send('no TLS at all')))
            return step === 'starttls'
          },
        })
        expect(await scene.twoBounces()).to.equal(`${TIMEOUT} wait`)
        expect(scene.outcomes()).to.deep.equal(['tls: handshake-failed'])
        expect(far.visits.length).to.equal(1)
        await scene.stop()
      }
    })

    it('RFC 6120 §5.4.3.3: a handshake that does not get on ends with its time', async () => {
      let proceeded = (): void => {}
      const waiting = new Promise<void>(resolve => (proceeded = resolve))
      interruptAt('starttls', ({ stream }) => {
        stream.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        proceeded()
      })
      const told = scene.twoBounces()
      await waiting
      await settled()
      scene.clock.advance(10_000)
      expect(await told).to.equal(`${TIMEOUT} wait`)
      expect(scene.outcomes()).to.deep.equal(['deadline: TLS handshake'])
    })

    it('RFC 6120 §6.3.1: a peer that offers nothing', async () => {
      start()
      scene.receiver({ settings: { ...GOOD, tls: 'disabled' } })
      expect(await scene.twoBounces()).to.equal(`${TIMEOUT} cancel`)
      expect(scene.outcomes()).to.deep.equal(['tls: not-offered'])
      await scene.stop()
      start({ certificate: null, rules: { tls: 'required' } })
      scene.receiver({ settings: { ...GOOD, dialback: false } })
      expect(await scene.twoBounces()).to.equal(`${TIMEOUT} cancel`)
      expect(scene.outcomes()).to.deep.equal(['sasl: no-common-proof'])
    })
  })

  describe('whose EXTERNAL is refused', () => {
    it('XEP-0178 §3: goes on with dialback on the same stream', async () => {
      start()
      const far = scene.receiver({ refuseExternal: 'keep' })
      scene.send('one')
      expect((await far.next(HERE)).attributes.id).to.equal('one')
      expect(far.visits.map(({ proof, faults }) => [proof, faults])).to.deep.equal([['dialback', []]])
    })

    it('XEP-0178 §3: opens one new connection for dialback when the peer has closed', async () => {
      start()
      const far = scene.receiver({ refuseExternal: 'close' })
      scene.send('one')
      expect((await far.next(HERE)).attributes.id).to.equal('one')
      expect(far.visits.map(({ proof, faults }) => [proof, faults])).to.deep.equal([
        ['none', []],
        ['dialback', []],
      ])
    })

    it('XEP-0178 §3: and one only', async () => {
      start()
      const far = scene.receiver({
        refuseExternal: 'close',
        interrupt: (step, { stream }) => {
          if (step === 'dialback') stream.close()
          return step === 'dialback'
        },
      })
      expect(await scene.twoBounces()).to.equal(`${TIMEOUT} wait`)
      expect(far.visits.length).to.equal(2)
    })

    it('RFC 6120 §6.5: ends with the condition when dialback is not offered', async () => {
      for (const refuseExternal of ['keep', 'close'] as const) {
        start()
        const far = scene.receiver({ refuseExternal, settings: { ...GOOD, dialback: false } })
        expect(await scene.twoBounces()).to.equal(`${TIMEOUT} cancel`)
        expect(scene.outcomes()).to.deep.equal(['sasl: not-authorized'])
        expect(far.visits.length).to.equal(1)
        await scene.stop()
      }
    })
  })

  describe('that asks for dialback', () => {
    const names = `${DIALBACK} from='${THERE}' to='${HERE}'`

    function answering(xml: string): void {
      start({ rules: { external: false } })
      scene.receiver({
        interrupt: (step, { stream }) => {
          if (step !== 'dialback') return false
          stream.send(xml)
          void stream.closeInTurn()
          return true
        },
      })
    }

    it('XEP-0220 §2.1.1: invalid is our own fault', async () => {
      answering(`<db:result ${names} type='invalid'/>`)
      expect(await scene.twoBounces()).to.equal('internal-server-error cancel')
      expect(scene.outcomes()).to.deep.equal(['dialback: invalid'])
    })

    it('XEP-0220 §2.4: each error is lasting or not by its condition', async () => {
      const lasting = ['item-not-found', 'policy-violation', 'not-authorized', 'forbidden', 'not-acceptable']
      const passing = [
        'remote-connection-failed',
        'remote-server-not-found',
        'remote-server-timeout',
        'internal-server-error',
        'resource-constraint',
        'service-unavailable',
        'bad-request',
      ]
      for (const condition of [...lasting, ...passing]) {
        const error = `<error type='cancel'><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
        answering(`<db:result ${names} type='error'>${error}</db:result>`)
        expect(await scene.twoBounces(), condition).to.equal(
          `${TIMEOUT} ${lasting.includes(condition) ? 'cancel' : 'wait'}`,
        )
        expect(scene.outcomes()).to.deep.equal([`dialback: ${condition}`])
        await scene.stop()
      }
    })

    for (const [title, xml] of [
      ['another from', `<db:result ${DIALBACK} from='x.example' to='${HERE}' type='valid'/>`],
      ['another to', `<db:result ${DIALBACK} from='${THERE}' to='x.example' type='valid'/>`],
      ['a sub-domain', `<db:result ${DIALBACK} from='sub.${THERE}' to='${HERE}' type='valid'/>`],
      ['no names', `<db:result ${DIALBACK} type='valid'/>`],
      ['a verification', `<db:verify ${names} id='1' type='valid'/>`],
    ] as const) {
      it(`XEP-0220 §2.1: valid for ${title} proves nothing`, async () => {
        answering(xml)
        expect(await scene.twoBounces()).to.equal(`${TIMEOUT} cancel`)
        expect(scene.outcomes()).to.deep.equal(['stream: invalid-from'])
        expect(scene.server.proven).to.deep.equal([])
      })
    }

    it('XEP-0220 §2.1: an answer that was not asked for ends an established stream', async () => {
      start()
      const far = scene.receiver()
      scene.send('one')
      await far.next(HERE)
      const [visit] = far.visits
      visit!.stream.send(`<db:result ${DIALBACK} from='x.example' to='${HERE}' type='valid'/>`)
      await scene.log.first('pair-lost')
      expect(visit!.error).to.equal('invalid-from')
    })
  })
})
