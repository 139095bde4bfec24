import { expect } from 'chai'
import type { Congestion } from '../../lib/stanza/route.js'
import { TestAuthority } from '../support/authority.js'
import type { WirePeer } from '../support/wire-peer.js'
import { FOOTER, header, STARTTLS, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

const PAIR = "from='a@peer.example' to='b@here.example'"

describe('deadlines', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
  }

  /** An element nobody knows, of exactly so many bytes. */
  function filler(bytes: number): string {
    const empty = "<x xmlns='urn:x'></x>"
    return empty.replace('></', `>${'x'.repeat(bytes - empty.length)}</`)
  }

  describe('time (RFC 6120 §4.6)', () => {
    async function timesOut(peer: WirePeer, byLastMillisecond: () => Promise<unknown> = turns): Promise<void> {
      server.clock.advance(9999 - server.clock.now())
      await byLastMillisecond()
      expect(peer.isOver).to.equal(false)
      server.clock.advance(1)
    }

    it('silence: a plain close at 10 s', async () => {
      serve()
      const peer = server.peer()
      await timesOut(peer)
      await peer.cut()
    })

    it('a header never finished: the same, at the same moment, whatever trickles in', async () => {
      serve()
      const peer = server.peer()
      await peer.say('<stream:')
      server.clock.advance(5000)
      await peer.say('s')
      server.clock.advance(4900)
      await peer.say('t')
      await timesOut(peer)
      await peer.cut()
    })

    it('a header and then nothing: connection-timeout', async () => {
      serve()
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await timesOut(peer)
      await peer.fails('connection-timeout')
    })

    it('one byte of white space every second moves nothing', async () => {
      serve()
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      for (let i = 0; i < 9; i++) {
        server.clock.advance(1000)
        await peer.say(' ')
      }
      await timesOut(peer)
      await peer.fails('connection-timeout')
    })

    it('a TLS hello never finished: a plain close', async () => {
      for (const hello of ['', '\x16\x03\x01\x02\x00\x01']) {
        serve()
        const peer = server.peer()
        await peer.say(header())
        await peer.hears('</stream:features>')
        await peer.say(STARTTLS)
        await peer.hears('<proceed ', '/>')
        await peer.say(Buffer.from(hello, 'latin1'))
        await timesOut(peer)
        await peer.cut()
        expect(server.incoming.size).to.equal(0)
        await server.stop()
      }
    })

    it('no header, or half of one, after TLS: connection-timeout', async () => {
      for (const text of ['', header().slice(0, 20)]) {
        serve()
        const peer = await server.encrypted()
        await peer.say(text)
        await timesOut(peer)
        await peer.fails('connection-timeout')
        await server.stop()
      }
    })

    it('proof requests that are refused do not move it', async () => {
      serve()
      const peer = await server.secured({}, null)
      await peer.say("<db:result from='peer.example' to='nowhere.example'>k</db:result>")
      await peer.hears('<item-not-found ')
      await timesOut(peer)
      await peer.fails('connection-timeout')
    })

    it('the time an authoritative server takes is not the peer’s, up to one answer’s time', async () => {
      serve()
      const host = new WireHost(server)
      const peer = await server.secured({}, null)
      server.clock.advance(9000)
      await peer.say("<db:result from='peer.example' to='here.example'>k</db:result>")
      const asked = await host.secured()
      const text = await asked.hears('<db:verify ', '</db:verify>')
      server.clock.advance(9000)
      const id = / id='([^']*)'/.exec(text)![1]
      await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
      await peer.hears("type='valid'")
      server.clock.advance(60_000)
      await turns()
      expect(peer.isOver).to.equal(false)
    })

    it('a peer that keeps asking for what is never answered is ended all the same', async () => {
      serve()
      for (let i = 0; i < 3; i++) new WireHost(server, `dead${i}.example`)
      const peer = await server.secured({}, null)
      for (let i = 0; i < 3; i++) {
        await peer.say(`<db:result from='dead${i}.example' to='here.example'>k</db:result>`)
        await turns(10)
        server.clock.advance(i === 0 ? 9000 : 5500)
        await turns(10)
      }
      expect(server.clock.now()).to.equal(20_000)
      await peer.fails('connection-timeout')
    })

    it('a proven stream has no such deadline, but an element begun must be finished', async () => {
      serve()
      const peer = await server.authenticated()
      server.clock.advance(600_000)
      await peer.say(`<message ${PAIR} id='whole'/><message ${PAIR}>`)
      await server.next()
      for (let i = 0; i < 11; i++) {
        server.clock.advance(5000)
        await peer.say('x')
        await turns(2)
      }
      expect(peer.isOver).to.equal(false)
      for (let i = 0; i < 4; i++) {
        server.clock.advance(5000)
        await turns(5)
      }
      await peer.fails('connection-timeout')
    })

    it('white space between stanzas is no element begun, and no traffic either: idle after 30 minutes', async () => {
      serve()
      const peer = await server.authenticated()
      for (let i = 0; i < 29; i++) {
        server.clock.advance(60_000)
        await peer.say(' \n')
        await turns(2)
      }
      await peer.say(`<message ${PAIR} id='m'/>`)
      await server.next()
      server.clock.advance(29 * 60_000)
      await turns(2)
      expect(peer.isOver).to.equal(false)
      for (let i = 0; i < 5 && !peer.unread.includes(FOOTER); i++) {
        server.clock.advance(15_000)
        await turns(2)
      }
      expect(await peer.closed()).to.equal(FOOTER)
    })

    it('a stream that we do not read, because its destination is congested, is not ended for being slow', async () => {
      serve()
      const peer = await server.authenticated()
      let resume = (): void => {}
      const congestion: Congestion = {
        onRelief: go => {
          resume = go
        },
      }
      const { route } = server.context
      Object.assign(server.context, { route: (stanza: Parameters<typeof route>[0]) => route(stanza) ?? congestion })
      await peer.say(`<message ${PAIR} id='1'/><message ${PAIR} id='2'/><message ${PAIR} id='3'/>`)
      await server.next(({ id }) => id === '1')
      await turns()
      expect(server.received).to.deep.equal([])
      for (let i = 0; i < 20; i++) {
        server.clock.advance(15_000)
        await turns(2)
      }
      expect(peer.isOver).to.equal(false)
      Object.assign(server.context, { route })
      resume()
      await server.next(({ id }) => id === '3')
      await server.fence(peer)
    })
  })

  describe('others are undisturbed', () => {
    for (const [name, hostile] of [
      [
        'garbage',
        (peer: WirePeer) => peer.say(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 167 + 13) & 0xff))),
      ],
      ['nothing', () => Promise.resolve()],
      ['one byte at a time', (peer: WirePeer) => peer.say(header() + filler(2000), 'byte by byte')],
      ['an endless tag', (peer: WirePeer) => peer.say(`${header()}<x ${'a'.repeat(60_000)}`)],
      [
        'a reset in the middle',
        async (peer: WirePeer) => {
          await peer.say(header().slice(0, 40))
          peer.hangUp()
        },
      ],
    ] as const) {
      it(`by connections that send ${name}`, async () => {
        serve()
        const peer = await server.authenticated()
        const others = Array.from({ length: 19 }, () => server.peer())
        const said = others.map(other => hostile(other))
        for (let i = 0; i < 20; i++) {
          await peer.say(`<message ${PAIR} id='${i}'/>`)
          expect((await server.next()).id).to.equal(`${i}`)
        }
        await Promise.all(said)
        server.clock.advance(10_000)
        await turns()
        server.clock.advance(1000)
        await turns()
        expect(others.every(({ isOver }) => isOver)).to.equal(true)
        expect(server.incoming.size).to.equal(1)
        await peer.say(`<message ${PAIR} id='last'/>`)
        expect((await server.next()).id).to.equal('last')
      })
    }
  })
})
