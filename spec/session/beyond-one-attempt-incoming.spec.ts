import type { SecureContext } from 'node:tls'
import { expect } from 'chai'
import { STREAM_ERROR_CONDITIONS } from '../../lib/stream/stream-error.js'
import { TestAuthority } from '../support/authority.js'
import { scriptedAttempt } from '../support/scripted-initiator.js'
import { GOOD, HERE, Scene, settled, THERE } from '../support/scripted-scene.js'
import { child, DIALBACK, ScriptedStream } from '../support/scripted-stream.js'

describe('an incoming session', () => {
  const authority = new TestAuthority()
  let scene: Scene

  beforeEach(() => {
    scene = new Scene(authority)
    certificate = scene.party(THERE).certificates.context(THERE, GOOD)
  })

  afterEach(() => scene.stop())

  /** What the peer shows; nothing where others than its own domain are to be proven. */
  let certificate: SecureContext | undefined

  async function headers(stream: ScriptedStream): Promise<void> {
    stream.open({ from: THERE, to: HERE })
    await stream.expect('stream')
    await stream.expect('features')
  }

  /** Each goes on from the one before. */
  const steps: readonly (readonly [string, (stream: ScriptedStream) => Promise<unknown>])[] = [
    ['connecting', async () => {}],
    ['its header', headers],
    [
      'asking for TLS',
      async stream => {
        stream.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await stream.expect('proceed')
      },
    ],
    ['TLS', stream => stream.startTls('client', certificate, HERE)],
    ['its header over TLS', headers],
    [
      'EXTERNAL',
      async stream => {
        stream.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>`)
        await stream.expect('success')
        stream.restart()
      },
    ],
    ['its header after EXTERNAL', headers],
  ]

  async function brought(upTo: string): Promise<ScriptedStream> {
    const stream = new ScriptedStream(scene.network.connect(HERE)!)
    for (const [name, step] of steps) {
      await step(stream)
      if (name === upTo) break
    }
    await settled()
    expect(scene.server.incoming.size).to.equal(1)
    return stream
  }

  for (const [name] of steps) {
    const inTls = name === 'asking for TLS'
    const proven = name.endsWith('EXTERNAL')

    it(`RFC 6120 §4.6.1: a peer that cuts the connection after ${name} leaves nothing behind`, async () => {
      const stream = await brought(name)
      stream.cut()
      await settled()
      expect([scene.server.incoming.size, scene.clock.waiting]).to.deep.equal([0, 0])
    })

    if (!inTls) {
      it(`RFC 6120 §4.9.1.1: a stream error after ${name} is answered by the footer alone`, async () => {
        for (const condition of STREAM_ERROR_CONDITIONS) {
          const stream = await brought(name)
          // Where a header is due, it comes first.
          if (['connecting', 'TLS', 'EXTERNAL'].includes(name)) await headers(stream)
          stream.fail(condition)
          const event = await stream.read()
          expect(event.kind, condition).to.equal('footer')
          await stream.closed
          await settled()
          expect([scene.server.incoming.size, scene.clock.waiting]).to.deep.equal([0, 0])
        }
      })
    }

    it(`RFC 6120 §4.6.1: a peer that falls silent after ${name} is left in time`, async () => {
      const stream = await brought(name)
      const time = proven ? scene.server.settings.idleMs : scene.server.settings.initialiseTimeoutMs
      scene.clock.advance(time - 1)
      await settled()
      expect(scene.server.incoming.size).to.equal(1)
      scene.clock.advance(1)
      await settled()
      // The peer's footer has a while, but no more than that.
      scene.clock.advance(5000)
      await stream.closed
      await settled()
      expect([scene.server.incoming.size, scene.clock.waiting]).to.deep.equal([0, 0])
    })

    if (!proven) {
      it(`RFC 6120 §4.6.1: a peer that dribbles white space after ${name} gains no time`, async () => {
        const stream = await brought(name)
        for (let i = 0; i < 10; i++) {
          stream.send(' ')
          await settled(5)
          scene.clock.advance(1000)
        }
        await settled()
        scene.clock.advance(1000)
        await settled()
        expect(scene.server.incoming.size).to.equal(0)
      })
    }
  }

  for (const [tls, plain, encrypted] of [
    ['required', ['starttls required'], ['mechanisms', 'dialback']],
    ['optional', ['starttls', 'dialback'], ['mechanisms', 'dialback']],
    ['disabled', ['dialback'], undefined],
  ] as const) {
    it(`RFC 6120 §4.3.2: offers nothing that it would refuse, policy ${tls}`, async () => {
      scene = new Scene(authority, { rules: { tls } })
      const stream = new ScriptedStream(scene.network.connect(HERE)!)
      const offered = async (): Promise<string[]> => {
        stream.open({ from: THERE, to: HERE })
        await stream.expect('stream')
        const { children } = await stream.expect('features')
        return children
          .filter(({ name }) => ['starttls', 'mechanisms', 'dialback'].includes(name))
          .map(one => (child(one, 'required') === undefined ? one.name : `${one.name} required`))
      }
      expect(await offered()).to.deep.equal(plain)
      stream.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
      if (encrypted === undefined) {
        await stream.expect('failure')
      } else {
        await stream.expect('proceed')
        await stream.startTls('client', certificate, HERE)
        expect(await offered()).to.deep.equal(encrypted)
      }
      stream.cut()
    })
  }

  it('XEP-0178 §3: refuses EXTERNAL that it did not offer, for a certificate that does not verify', async () => {
    scene = new Scene(authority, { rules: { strict: false } })
    certificate = scene.party(THERE).certificates.context(THERE, { ...GOOD, certificate: 'invalid' })
    const stream = await brought('its header over TLS')
    stream.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
    expect((await stream.expect('failure')).children.map(({ name }) => name)).to.deep.equal(['not-authorized'])
    expect(scene.server.proven).to.deep.equal([])
    stream.cut()
  })

  it('XEP-0220 §2.2: while the authoritative server is asked the stream lives, and no longer than that', async () => {
    certificate = undefined
    const asked = scene.receiver({ domain: 'second.example', interrupt: step => step === 'header' })
    const stream = await brought('its header over TLS')
    stream.send(`<db:result ${DIALBACK} from='second.example' to='${HERE}'>key</db:result>`)
    await settled()
    expect(asked.visits.length).to.equal(1)
    scene.clock.advance(10_000)
    const { attributes } = await stream.expect('result')
    expect(attributes.type).to.equal('error')
    expect(scene.server.incoming.size).to.equal(1)
    scene.clock.advance(10_000)
    await settled()
    scene.clock.advance(1000)
    await stream.closed
  })

  it('XEP-0220 §2.2: a peer that leaves takes its question with it', async () => {
    certificate = undefined
    const asked = scene.receiver({ domain: 'second.example', interrupt: step => step === 'header' })
    const stream = await brought('its header over TLS')
    stream.send(`<db:result ${DIALBACK} from='second.example' to='${HERE}'>key</db:result>`)
    await settled()
    expect(asked.visits.length).to.equal(1)
    stream.cut()
    await settled()
    expect(scene.server.incoming.size).to.equal(0)
    scene.clock.advance(30_000)
    await settled()
    expect(scene.server.proven).to.deep.equal([])
    expect(scene.clock.waiting).to.equal(0)
  })

  it('RFC 6120 §4.5: a stop tells every stream, proven or not, and ends', async () => {
    scene.receiver()
    const { stream } = await scriptedAttempt(scene.party(THERE), HERE)
    const other = new ScriptedStream(scene.network.connect(HERE)!)
    await headers(other)
    const told = Promise.all([stream!.closeInTurn(), other.closeInTurn()])
    await scene.server.incoming.stop(new AbortController().signal)
    expect(await told).to.deep.equal(['system-shutdown', 'system-shutdown'])
    expect(scene.clock.waiting).to.equal(0)
  })
})
