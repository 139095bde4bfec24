import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import type { MemoryFederationOptions } from '../support/memory-federation.js'
import { scriptedAttempt } from '../support/scripted-initiator.js'
import type { ReceiverOptions, ScriptedReceiver } from '../support/scripted-receiver.js'
import { HERE, Scene, settled, THERE } from '../support/scripted-scene.js'
import { DIALBACK, ScriptedStream } from '../support/scripted-stream.js'

describe('streams and what rides on them', () => {
  const authority = new TestAuthority()
  let scene: Scene

  afterEach(() => scene.stop())

  function start(options: Partial<MemoryFederationOptions> = {}): void {
    scene = new Scene(authority, options)
  }

  describe('a stream that was opened to have a key confirmed', () => {
    /** Has the other domain prove itself by dialback; the answer to it is then likely to go the other way. */
    async function confirmed(options: Partial<ReceiverOptions> = {}): Promise<ScriptedReceiver> {
      const far = scene.receiver(options)
      const { proof } = await scriptedAttempt(scene.party(THERE, { certificate: 'missing' }), HERE)
      expect(proof).to.equal('dialback')
      expect(far.visits.map(({ asked }) => asked)).to.deep.equal([true])
      return far
    }

    for (const proof of ['external', 'dialback'] as const) {
      it(`XEP-0220 §2.5: is used for stanzas, once it has proven us by ${proof}`, async () => {
        start({ rules: { external: proof === 'external' } })
        const far = await confirmed()
        scene.send('one')
        await far.next(HERE)
        expect(far.visits.map(one => one.proof)).to.deep.equal([proof])
        scene.clock.advance(60_000)
        scene.send('two')
        await far.next(HERE)
        expect(far.visits.length).to.equal(1)
      })
    }

    it('XEP-0178 §3: is used for dialback when EXTERNAL is refused', async () => {
      start()
      const far = await confirmed({ refuseExternal: 'keep' })
      scene.send('one')
      await far.next(HERE)
      expect(far.visits.map(one => one.proof)).to.deep.equal(['dialback'])
    })

    it('XEP-0220 §2.2: is closed after a while, and a new one is opened when it is needed', async () => {
      start()
      const far = await confirmed()
      scene.clock.advance(10_000)
      await far.visits[0]!.stream.closed
      scene.send('one')
      await far.next(HERE)
      expect(far.visits.map(one => one.proof)).to.deep.equal(['none', 'external'])
    })

    for (const how of ['cut', 'close'] as const) {
      for (const proof of ['external', 'dialback'] as const) {
        it(`XEP-0220 §2.5: gives way to a new one when the peer answers our ${proof} on it with ${how}`, async () => {
          start({ rules: { external: proof === 'external' } })
          let first = true
          const far = await confirmed({
            interrupt: (step, { stream }) => {
              if (step !== (proof === 'external' ? 'sasl' : 'dialback') || !first) return false
              first = false
              stream[how]()
              return true
            },
          })
          scene.send('one')
          await far.next(HERE)
          expect(far.visits.map(one => one.proof)).to.deep.equal(['none', proof])
        })
      }
    }

    it('XEP-0220 §2.2: is shared by all questions to one domain, also those that come while it is opened', async () => {
      start({ domains: [HERE, 'also.example'] })
      const far = scene.receiver()
      const party = scene.party(THERE, { certificate: 'missing' })
      const all = await Promise.all([
        scriptedAttempt(party, HERE),
        scriptedAttempt(party, HERE),
        scriptedAttempt(party, HERE),
      ])
      expect(all.map(({ proof }) => proof)).to.deep.equal(['dialback', 'dialback', 'dialback'])
      expect(far.visits.length).to.equal(1)
      expect((await scriptedAttempt(party, 'also.example')).proof).to.equal('dialback')
      expect(far.visits.length).to.equal(1)
    })

    it('XEP-0220 §2.2: is not opened when a proven stream leads there', async () => {
      start()
      const far = scene.receiver()
      scene.send('one')
      await far.next(HERE)
      const { proof } = await scriptedAttempt(scene.party(THERE, { certificate: 'missing' }), HERE)
      expect(proof).to.equal('dialback')
      expect(far.visits.map(({ asked, proof }) => [asked, proof])).to.deep.equal([[true, 'external']])
    })

    it('XEP-0220 §2.2: carries each answer to its own question', async () => {
      start()
      const questions: { readonly stream: ScriptedStream; readonly id: string }[] = []
      scene.network.listen(THERE, async socket => {
        const stream = new ScriptedStream(socket)
        await stream.expect('stream')
        stream.open({ from: THERE, to: HERE, id: '1' })
        stream.features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await stream.expect('starttls')
        stream.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        const { certificates, settings } = scene.party(THERE)
        await stream.startTls('server', certificates.context(THERE, settings))
        await stream.expect('stream')
        stream.open({ from: THERE, to: HERE, id: '2' })
        stream.features('')
        for (;;) questions.push({ stream, id: (await stream.expect('verify')).attributes.id! })
      })
      const party = scene.party(THERE, { certificate: 'missing' })
      const first = scriptedAttempt(party, HERE)
      await until(() => questions.length === 1)
      const second = scriptedAttempt(party, HERE)
      await until(() => questions.length === 2)
      const names = `${DIALBACK} from='${THERE}' to='${HERE}'`
      const { stream } = questions[0]!
      stream.send(`<db:verify ${names} id='${questions[1]!.id}' type='valid'/>`)
      expect((await second).proof).to.equal('dialback')
      stream.send(`<db:verify ${names} id='${questions[0]!.id}' type='invalid'/>`)
      expect(await first).to.include({ proof: 'none', detail: 'invalid' })
      stream.cut()
    })
  })

  async function until(done: () => boolean): Promise<void> {
    for (let turn = 0; turn < 1000 && !done(); turn++) await settled(1)
    expect(done()).to.equal(true)
  }

  describe('a peer that does not read', () => {
    const LENGTH = 20_000
    const COUNT = 200

    async function stuffed(): Promise<ScriptedReceiver> {
      start({ settings: { queueStanzas: 1000 } })
      const far = scene.receiver()
      scene.send('first')
      await far.next(HERE)
      far.visits[0]!.stream.pause()
      for (let i = 0; i < COUNT; i++) scene.server.send(`a@${HERE}/x`, `b@${THERE}`, 'x'.repeat(LENGTH), `${i}`)
      await settled()
      expect(scene.server.outgoing.queued).to.be.within(1, COUNT - 1)
      return far
    }

    it('RFC 6120 §10.1: gets everything in order when it goes on', async () => {
      const far = await stuffed()
      far.visits[0]!.stream.resume()
      for (let i = 0; i < COUNT; i++) expect((await far.next(HERE)).attributes.id).to.equal(`${i}`)
      await settled()
      expect(scene.server.outgoing.counters).to.deep.equal({ accepted: COUNT + 1, delivered: COUNT + 1, refused: 0 })
    })

    it('RFC 6120 §8.3.3.17: is left after a while; what is lost is told, what waits goes over a new stream', async () => {
      const far = await stuffed()
      const waiting = scene.server.outgoing.queued
      scene.clock.advance(30_000)
      for (let i = COUNT - waiting; i < COUNT; i++) expect((await far.next(HERE)).attributes.id).to.equal(`${i}`)
      await settled()
      const { accepted, delivered, refused } = scene.server.outgoing.counters
      expect([accepted, delivered + refused]).to.deep.equal([COUNT + 1, COUNT + 1])
      const told = scene.server.received.map(({ id }) => Number(id))
      expect(told.length).to.equal(refused)
      // Those that were under way, in order, up to the first that still waited.
      expect(told).to.deep.equal(Array.from({ length: refused }, (_, i) => COUNT - waiting - refused + i))
      expect(far.visits.length).to.equal(2)
    })
  })

  describe('attempts under way at once', () => {
    const domains = ['one.example', 'two.example', 'three.example', 'four.example']

    it('RFC 6120 §3.2: wait their turn above a number', async () => {
      start({ settings: { maxAttempts: 2 } })
      for (const domain of domains) scene.receiver({ domain, interrupt: step => step === 'header' })
      for (const domain of domains) scene.send(domain, HERE, domain)
      await settled()
      const dialed = (): number => domains.filter(domain => scene.network.dialed.has(domain)).length
      expect(dialed()).to.equal(2)
      scene.clock.advance(10_000)
      await settled()
      expect(dialed()).to.equal(4)
      scene.clock.advance(10_000)
      for (const domain of domains) expect((await scene.bounce()).id).to.equal(domain)
    })

    it('RFC 6120 §8.3.3.18: and are given up when the turn does not come', async () => {
      start({ settings: { maxAttempts: 1, initialiseTimeoutMs: 40_000 } })
      for (const domain of domains) scene.receiver({ domain, interrupt: step => step === 'header' })
      for (const domain of domains.slice(0, 2)) scene.send(domain, HERE, domain)
      await settled()
      scene.clock.advance(30_000)
      expect(await scene.bounce()).to.deep.equal({ id: 'two.example', condition: 'resource-constraint', type: 'wait' })
    })
  })
})
