import { expect } from 'chai'
import { STREAM_ERROR_CONDITIONS } from '../../lib/stream/stream-error.js'
import { TestAuthority } from '../support/authority.js'
import type { WirePeer } from '../support/wire-peer.js'
import {
  FOOTER,
  features,
  header,
  OFFERS,
  PROCEED,
  reply,
  turns,
  WireHost,
  WireServer,
  type WireServerOptions,
} from '../support/wire-peer.js'

const TLS = 'urn:ietf:params:xml:ns:xmpp-tls'
const streamError = (condition: string): string =>
  `<stream:error><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`

describe('the initiating side, when an attempt or a stream ends', () => {
  const authority = new TestAuthority()
  let server: WireServer
  let host: WireHost

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
    host = new WireHost(server)
  }

  const send = (body: string): void => server.send('b@here.example', 'a@peer.example', body)
  const outcome = (): string | undefined =>
    server.outgoing.session('here.example', 'peer.example')?.attempts.at(-1)?.outcome

  /** A first message, and the connection that is made for it. */
  async function dialed(options: WireServerOptions = {}): Promise<WirePeer> {
    serve(options)
    send('hello')
    return await host.connection()
  }

  /** The same, up to where our header has come over TLS. */
  async function encrypted(options: WireServerOptions = {}): Promise<WirePeer> {
    serve(options)
    send('hello')
    const peer = await host.encrypted()
    await peer.hears('<stream:stream ', '>')
    return peer
  }

  /** The one error that the sender of the first message gets. */
  async function bounced(condition: string, type: string): Promise<void> {
    const text = (await server.next(({ isError }) => isError)).serialize().toString()
    expect(text).to.include(`<error type='${type}'`).and.include(`<${condition} `)
    expect(text).to.include("from='a@peer.example' to='b@here.example'")
    await turns(3)
    expect(server.received).to.deep.equal([])
  }

  describe('a stream error of theirs is not answered by one (RFC 6120 §4.9.1.1)', () => {
    const stages: readonly (readonly [name: string, reach: () => Promise<WirePeer>])[] = [
      [
        'at the header',
        async () => {
          const peer = await dialed()
          await peer.hears('<stream:stream ', '>')
          await peer.say(reply())
          return peer
        },
      ],
      [
        'after TLS',
        async () => {
          const peer = await encrypted()
          await peer.say(reply())
          return peer
        },
      ],
      [
        'at SASL',
        async () => {
          const peer = await encrypted()
          await peer.say(reply() + features(OFFERS.external))
          await peer.hears('<auth ', '</auth>')
          return peer
        },
      ],
      [
        'at dialback',
        async () => {
          const peer = await encrypted()
          await peer.say(reply() + features(OFFERS.dialback))
          await peer.hears('<db:result ', '</db:result>')
          return peer
        },
      ],
    ]
    for (const [name, reach] of stages) {
      for (const condition of [...STREAM_ERROR_CONDITIONS, 'unheard-of']) {
        it(`${condition} ${name}: one bounce, no error back`, async () => {
          const peer = await reach()
          await peer.say(streamError(condition))
          expect(await peer.closed()).to.equal(FOOTER)
          const known = condition === 'unheard-of' ? 'undefined-condition' : condition
          const { isError } = await server.next()
          expect(isError).to.equal(true)
          expect(outcome()).to.equal(`stream: ${known}`)
          await turns(3)
          expect(server.received).to.deep.equal([])
        })
      }
    }

    for (const condition of STREAM_ERROR_CONDITIONS) {
      it(`${condition} when established: no error back, nothing lost, the next stanza makes a new connection`, async () => {
        serve()
        send('hello')
        const peer = await host.accepting()
        await peer.hears('hello', '</message>')
        await peer.say(streamError(condition))
        expect(await peer.closed()).to.equal(FOOTER)
        send('again')
        const second = await host.accepting()
        await second.hears('again')
        expect(server.received).to.deep.equal([])
        expect(server.outgoing.counters).to.include({ accepted: 2, refused: 0 })
      })
    }

    it('see-other-host is not followed', async () => {
      const peer = await dialed()
      await peer.hears('<stream:stream ', '>')
      await peer.say(
        `${reply()}<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>evil.example:5269</see-other-host></stream:error></stream:stream>`,
      )
      await peer.closed()
      await bounced('remote-server-timeout', 'wait')
      expect([...server.network.dialed.keys()]).to.deep.equal(['peer.example'])
    })
  })

  describe('TLS (RFC 6120 §5.4)', () => {
    it('a cut straight behind the handshake is a reset of the connection', async () => {
      serve()
      send('hello')
      const peer = await host.encrypted()
      peer.hangUp()
      await bounced('remote-server-timeout', 'wait')
      expect(outcome()).to.match(/^tcp: reset/)
    })

    it('RFC 6120 §5.4.2.2: failure ends the attempt, without another in plain text', async () => {
      const peer = await dialed({ rules: { tls: 'optional' } })
      await peer.hears('<stream:stream ', '>')
      await peer.say(reply() + features(OFFERS.starttls, OFFERS.dialback))
      await peer.hears('<starttls ', '/>')
      await peer.say(`<failure xmlns='${TLS}'/></stream:stream>`)
      await peer.cut()
      await bounced('remote-server-timeout', 'cancel')
      expect(outcome()).to.match(/^tls: refused/)
      expect(server.network.dialed.get('peer.example')).to.equal(1)
    })

    it('an answer in another namespace is no answer', async () => {
      const peer = await dialed()
      await peer.hears('<stream:stream ', '>')
      await peer.say(reply() + features(OFFERS.starttls))
      await peer.hears('<starttls ', '/>')
      await peer.say("<proceed xmlns='urn:x'/>")
      await peer.fails('unsupported-stanza-type')
    })
  })

  describe('deadlines (RFC 6120 §4.6.3)', () => {
    const waits: readonly (readonly [step: string, reach: () => Promise<WirePeer>])[] = [
      ['stream header', () => dialed()],
      [
        'stream features',
        async () => {
          const peer = await dialed()
          await peer.say(reply())
          return peer
        },
      ],
      [
        'STARTTLS answer',
        async () => {
          const peer = await dialed()
          await peer.say(reply() + features(OFFERS.starttls))
          await peer.hears('<starttls ')
          return peer
        },
      ],
      [
        'TLS handshake',
        async () => {
          const peer = await dialed()
          await peer.say(reply() + features(OFFERS.starttls))
          await peer.hears('<starttls ')
          await peer.say(PROCEED)
          return peer
        },
      ],
      [
        'SASL EXTERNAL answer',
        async () => {
          const peer = await encrypted()
          await peer.say(reply() + features(OFFERS.external))
          await peer.hears('<auth ')
          return peer
        },
      ],
      [
        'dialback answer',
        async () => {
          const peer = await encrypted()
          await peer.say(reply() + features(OFFERS.dialback))
          await peer.hears('<db:result ')
          return peer
        },
      ],
    ]
    for (const [step, reach] of waits) {
      it(`${step}: the attempt ends at 10 s, and says what it waited for`, async () => {
        await reach()
        await turns()
        server.clock.advance(9999)
        await turns()
        expect(outcome()).to.equal(undefined)
        server.clock.advance(1)
        await bounced('remote-server-timeout', 'wait')
        expect(outcome()).to.equal(`deadline: ${step}`)
        server.clock.advance(10_000)
        await turns()
        expect(server.incoming.size).to.equal(0)
      })
    }

    it('a peer that trickles gains nothing', async () => {
      const peer = await dialed()
      const bytes = Buffer.from(header())
      for (let i = 0; i < 10; i++) {
        await peer.say(bytes.subarray(i, i + 1))
        server.clock.advance(1000)
        await turns(3)
      }
      await bounced('remote-server-timeout', 'wait')
      expect(peer.isOver).to.equal(true)
    })
  })
})
