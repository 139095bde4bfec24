import { expect } from 'chai'
import type { Congestion } from '../../lib/stanza/route.js'
import { TestAuthority } from '../support/authority.js'
import { FOOTER, header, STARTTLS, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'
import type { WirePeer } from '../support/wire-peer.js'

const PAIR = "from='a@peer.example' to='b@here.example'"

describe('limits and deadlines', () => {
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

  const attributes = (count: number): string => Array.from({ length: count }, (_, i) => ` a${i}=''`).join('')
  const declarations = (count: number): string => Array.from({ length: count }, (_, i) => ` xmlns:n${i}='u'`).join('')
  const nested = (depth: number): string => '<y>'.repeat(depth) + '</y>'.repeat(depth)

  async function silentBehind(peer: WirePeer): Promise<void> {
    await turns(5)
    expect(peer.isOver).to.equal(false)
    expect(peer.unread).to.not.include('error')
  }

  describe('before a pair is proven (RFC 6120 §13.12)', () => {
    const stages: readonly (readonly [name: string, reach: () => Promise<WirePeer> | WirePeer])[] = [
      ['plain', () => server.peer()],
      ['on TLS', () => server.encrypted()],
    ]
    for (const [stage, reach] of stages) {
      it(`${stage}: 65536 bytes in all, white space and header included`, async () => {
        serve({ rules: { tls: 'optional' } })
        const begin = header()
        for (const cut of ['whole', begin.length + 7] as const) {
          const peer = await reach()
          await peer.say(begin + ' '.repeat(65_536 - begin.length), cut)
          await peer.hears('</stream:features>')
          await silentBehind(peer)
          await peer.say(' ')
          await peer.fails('policy-violation')
        }
        const peer = await reach()
        await peer.say(begin + filler(30_000) + filler(30_000) + filler(65_536 - 60_000 - begin.length))
        await peer.hears('</stream:features>')
        await silentBehind(peer)
        await peer.say('<')
        await peer.fails('policy-violation')
      })
    }

    it('the count begins anew with every stream, and 64 elements are the most', async () => {
      serve()
      const peer = server.peer()
      await peer.say(header() + ' '.repeat(60_000))
      await peer.hears('</stream:features>')
      await peer.say(STARTTLS)
      await peer.hears('<proceed ', '/>')
      await peer.secure()
      await peer.say(header() + ' '.repeat(60_000) + "<x xmlns='urn:x'/>".repeat(64))
      await peer.hears('</stream:features>')
      await silentBehind(peer)
      await peer.say("<x xmlns='urn:x'/>")
      await peer.fails('policy-violation')
    })

    const most: readonly (readonly [name: string, make: (count: number) => string, count: number])[] = [
      ['bytes in a start tag', count => `<x xmlns='urn:x' a='${'v'.repeat(count - 23)}'/>`, 4096],
      ['attributes', count => `<x xmlns='urn:x'${attributes(count)}/>`, 32],
      ['declarations', count => `<x${declarations(count)} xmlns='urn:x'/>`.replace(declarations(1), ''), 16],
      ['levels', count => `<x xmlns='urn:x'>${nested(count - 1)}</x>`, 8],
      ['elements', count => `<x xmlns='urn:x'>${'<y/>'.repeat(count - 1)}</x>`, 64],
    ]
    for (const [name, make, count] of most) {
      it(`${count} ${name}, not ${count + 1}`, async () => {
        serve()
        const fine = await server.encrypted()
        await fine.say(header() + make(count))
        await fine.hears('</stream:features>')
        await silentBehind(fine)
        const over = await server.encrypted()
        await over.say(header() + make(count + 1))
        await over.fails('policy-violation')
      })
    }

    it('a header of 4096 bytes, not more', async () => {
      serve()
      const padded = (size: number): string => header({ x: 'v'.repeat(size - header({ x: '' }).length) })
      const fine = server.peer()
      await fine.say(padded(4096))
      await fine.hears('</stream:features>')
      const over = server.peer()
      await over.say(padded(4097))
      await over.fails('policy-violation')
    })
  })

  describe('after a pair is proven', () => {
    const stanza = (bytes: number, id: string): string => {
      const empty = `<message ${PAIR} id='${id}'><body></body></message>`
      return empty.replace('></body', `>${'x'.repeat(bytes - empty.length)}</body`)
    }

    it('262144 bytes in a stanza; a larger one is answered with policy-violation, and the stream is kept (XEP-0478)', async () => {
      serve()
      const host = new WireHost(server)
      const peer = await server.authenticated()
      await peer.say(stanza(262_144, 'fine'))
      expect((await server.next()).id).to.equal('fine')
      await peer.say(stanza(262_145, 'large'))
      const to = await host.accepting()
      const bounce = await to.hears("id='large' type='error'", '</error>')
      expect(bounce).to.include('<policy-violation ')
      expect(to.heard).to.not.include('xxxx')
      await peer.say(stanza(8 * 262_144, 'larger'))
      await to.hears("id='larger' type='error'")
      await peer.say(`<message ${PAIR} id='after'/>`)
      expect((await server.next()).id).to.equal('after')
      expect(server.received).to.deep.equal([])
    })

    it('eight times that is the end: stream error policy-violation', async () => {
      serve()
      const peer = await server.authenticated()
      await peer.say(stanza(8 * 262_144 + 1, 'huge'))
      await peer.fails('policy-violation')
      expect(server.received).to.deep.equal([])
    })

    it('an over-size stanza for a pair that is not proven is treated as one of ordinary size: invalid-from', async () => {
      serve()
      const peer = await server.authenticated()
      await peer.say(stanza(300_000, 'x').replace('a@peer.example', 'a@good.example'))
      await peer.fails('invalid-from')
    })

    for (const [name, make, count] of [
      ['bytes in a start tag', (count: number) => `<message ${PAIR} a='${'v'.repeat(count - `<message ${PAIR} a=''/>`.length)}'/>`, 32_768],
      ['attributes', (count: number) => `<message ${PAIR}${attributes(count - 2)}/>`, 256],
      ['declarations', (count: number) => `<message ${PAIR}${declarations(count)}/>`, 64],
      ['levels', (count: number) => `<message ${PAIR}>${nested(count - 1)}</message>`, 128],
      ['elements', (count: number) => `<message ${PAIR}>${'<y/>'.repeat(count - 1)}</message>`, 16_384],
    ] as const) {
      it(`${count} ${name}, not ${count + 1}`, async () => {
        serve()
        const peer = await server.authenticated()
        await peer.say(make(count))
        await server.next()
        await peer.say(make(count + 1))
        await peer.fails('policy-violation')
        expect(server.received).to.deep.equal([])
      })
    }

    it('nothing is counted over the life of the stream', async () => {
      serve()
      const peer = await server.authenticated()
      for (let i = 0; i < 200; i++) await peer.say(stanza(1000, `${i}`) + ' '.repeat(1000))
      await server.fence(peer)
      expect(server.received.length).to.equal(200)
    })

    it('100 pairs on a stream, the next is resource-constraint', async () => {
      const domains = Array.from({ length: 101 }, (_, i) => `d${i}.example`)
      const names = { dns: domains, srv: [], xmpp: [] }
      const { cert, key } = authority.credentials(authority.makeLeaf('d0.example', { names }), authority.intermediate)
      serve()
      const peer = server.peer()
      await peer.say(header({ from: 'd0.example' }))
      await peer.hears('</stream:features>')
      await peer.say(STARTTLS)
      await peer.hears('<proceed ', '/>')
      await peer.secure({ cert, key })
      await peer.say(header({ from: 'd0.example' }))
      await peer.hears('</stream:features>')
      for (const domain of domains) await peer.say(`<db:result from='${domain}' to='here.example'>k</db:result>`)
      await peer.hears("to='d99.example' type='valid'", "to='d100.example' type='error'", '<resource-constraint ')
      expect(server.proven.length).to.equal(100)
      await server.fence(peer)
    })
  })

  describe('streams', () => {
    it('20 from one address that have proven nothing; one more is closed without a byte', async () => {
      serve()
      const peers = Array.from({ length: 20 }, () => server.peer())
      const over = server.peer()
      await over.cut()
      expect(server.incoming.refusedConnections).to.equal(1)
      expect(server.peer('192.0.2.3').isOver).to.equal(false)
      await turns(3)
      expect(server.incoming.size).to.equal(21)
      peers[0]!.hangUp()
      await turns(3)
      const next = server.peer()
      await next.say(header())
      await next.hears('</stream:features>')
    })

    it('an IPv6 /64 is one address', async () => {
      serve()
      for (let i = 0; i < 20; i++) server.peer(`2001:db8:0:1::${i.toString(16)}`)
      await server.peer('2001:db8:0:1:ffff::').cut()
      server.peer('2001:db8:0:2::1')
      await turns(3)
      expect(server.incoming.size).to.equal(21)
    })

    it('so many in all that have proven nothing; proven ones neither count nor suffer', async () => {
      serve({ settings: { unauthenticatedStreams: 5 } })
      const proven = await server.authenticated()
      for (let i = 0; i < 5; i++) server.peer(`192.0.2.${100 + i}`)
      await server.peer('192.0.2.200').cut()
      await proven.say(`<message ${PAIR} id='m'/>`)
      expect((await server.next()).id).to.equal('m')
    })
  })

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
      ['garbage', (peer: WirePeer) => peer.say(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 167 + 13) & 0xff)))],
      ['nothing', () => Promise.resolve()],
      ['one byte at a time', (peer: WirePeer) => peer.say(header() + filler(2000), 'byte by byte')],
      ['an endless tag', (peer: WirePeer) => peer.say(`${header()}<x ${'a'.repeat(60_000)}`)],
      ['a reset in the middle', async (peer: WirePeer) => {
        await peer.say(header().slice(0, 40))
        peer.hangUp()
      }],
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
