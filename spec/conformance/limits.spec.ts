import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import type { WirePeer } from '../support/wire-peer.js'
import { header, STARTTLS, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

const PAIR = "from='a@peer.example' to='b@here.example'"

describe('limits', () => {
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
      [
        'bytes in a start tag',
        (count: number) => `<message ${PAIR} a='${'v'.repeat(count - `<message ${PAIR} a=''/>`.length)}'/>`,
        32_768,
      ],
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
})
