import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import {
  auth,
  header,
  OFFERS,
  STARTTLS,
  turns,
  WireHost,
  type WirePeer,
  WireServer,
  type WireServerOptions,
} from '../support/wire-peer.js'

const US = 'a@here.example'
const THEM = 'b@peer.example'

describe('stream limits (XEP-0478)', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
  }

  function limits(inner: string): string {
    return `<limits xmlns='urn:xmpp:stream-limits:0'>${inner}</limits>`
  }

  describe('ours', () => {
    const OURS = limits('<max-bytes>262144</max-bytes><idle-seconds>1800</idle-seconds>')

    /** Plain, over TLS and after SASL. */
    async function threeLists(): Promise<string[]> {
      const peer = server.peer()
      const lists: string[] = []
      const hear = async (): Promise<void> => {
        await peer.say(header())
        lists.push(await peer.hears('<stream:features>', '</stream:features>'))
      }
      await hear()
      await peer.say(STARTTLS)
      await peer.hears('<proceed ')
      await peer.secure(server.credentialsOf('peer.example', 'both'))
      await hear()
      await peer.say(auth('='))
      await peer.hears('<success ')
      await hear()
      return lists
    }

    it('§3.1: stand in every list of features', async () => {
      serve()
      const lists = await threeLists()
      expect(lists.length).to.equal(3)
      for (const list of lists) expect(list).to.include(OURS)
    })

    it('§3.1: follow the settings of the moment; a stream that is never idle says nothing of it', async () => {
      serve({ settings: { stanzaBytes: 20_000, idleMs: Number.POSITIVE_INFINITY } })
      for (const list of await threeLists()) expect(list).to.include(limits('<max-bytes>20000</max-bytes>'))
      Object.assign(server.settings, { stanzaBytes: 30_000, idleMs: 90_500 })
      const changed = limits('<max-bytes>30000</max-bytes><idle-seconds>90</idle-seconds>')
      for (const list of await threeLists()) expect(list).to.include(changed)
    })

    it('§3.1: are not told when that is switched off, from the next list on', async () => {
      serve({ settings: { limitsHidden: true } })
      for (const list of await threeLists()) expect(list).to.not.include('limits')
      Object.assign(server.settings, { limitsHidden: false })
      for (const list of await threeLists()) expect(list).to.include(OURS)
    })
  })

  describe("the peer's", () => {
    const TEN = limits('<max-bytes>10000</max-bytes>')

    /** An established outgoing stream whose peer has named these limits; the first stanza has come. */
    async function established(theirs: string): Promise<WirePeer> {
      serve()
      const host = new WireHost(server)
      server.send(US, THEM, 'first')
      const peer = await host.secured(OFFERS.dialback, theirs)
      await peer.hears('<db:result ')
      await peer.say("<db:result from='peer.example' to='here.example' type='valid'/>")
      await peer.hears('first</body></message>')
      return peer
    }

    /** A body that makes the stanza exactly so large. */
    function body(bytes: number, id: string): string {
      const empty = `<message from='${US}' to='${THEM}' id='${id}' type='chat'><body></body></message>`
      return 'x'.repeat(bytes - empty.length)
    }

    it('§3.3: a stanza of exactly that size goes out, a larger one never; its sender gets one policy-violation to mend it', async () => {
      const peer = await established(TEN)
      server.send(US, THEM, body(10_000, 'fits'), 'fits')
      await peer.hears("id='fits'", '</message>')
      server.send(US, THEM, body(10_001, 'large'), 'large')
      const bounce = await server.next()
      expect([bounce.id, bounce.type, bounce.from?.toString()]).to.deep.equal(['large', 'error', THEM])
      const error = bounce.element.getChild('error')
      expect(error?.attrs.type).to.equal('modify')
      expect(error?.attrs.by).to.equal(undefined)
      expect(error?.getChildElements().map(({ name }) => name)).to.deep.equal(['policy-violation', 'text'])
      server.send(US, THEM, 'after')
      await peer.hears("id='after'", '</message>')
      expect(peer.heard).to.not.include("id='large'")
      expect(server.received).to.deep.equal([])
      expect(server.outgoing.session('here.example', 'peer.example')?.state).to.equal('established')
      expect(server.outgoing.counters).to.include({ accepted: 3, refused: 0 })
    })

    it('§3.3: one that waited for the stream is answered in its turn, the others go out', async () => {
      serve()
      const host = new WireHost(server)
      server.send(US, THEM, 'one')
      server.send(US, THEM, body(10_001, 'two'), 'two')
      server.send(US, THEM, 'three')
      const peer = await host.secured(OFFERS.dialback, TEN)
      await peer.hears('<db:result ')
      await peer.say("<db:result from='peer.example' to='here.example' type='valid'/>")
      await peer.hears("id='one'", "id='three'", '</message>')
      expect((await server.next()).id).to.equal('two')
      expect(peer.heard).to.not.include("id='two'")
      await turns()
      expect(server.received).to.deep.equal([])
      expect(server.outgoing.counters).to.deep.equal({ accepted: 3, delivered: 2, refused: 1 })
    })

    it('§3.1: nothing is kept back from a peer that names none', async () => {
      const peer = await established('')
      server.send(US, THEM, body(300_000, 'large'), 'large')
      await peer.hears("id='large'", '</message>')
    })

    it('§3.1: what is said after SASL counts, not what was said before', async () => {
      serve()
      const host = new WireHost(server)
      server.send(US, THEM, body(15_000, 'one'), 'one')
      const peer = await host.secured(OFFERS.external, TEN)
      await peer.hears('<auth ', '</auth>')
      await peer.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
      await peer.hears('<stream:stream ', '>')
      const again = header({ to: null, from: 'peer.example', id: 'again' })
      await peer.say(`${again}<stream:features>${limits('<max-bytes>20000</max-bytes>')}</stream:features>`)
      await peer.hears("id='one'", '</message>')
      server.send(US, THEM, body(20_001, 'two'), 'two')
      expect((await server.next()).id).to.equal('two')
    })

    it('§3.1: an idle stream is closed shortly before the peer would; a stanza puts that off', async () => {
      const peer = await established(limits('<idle-seconds>60</idle-seconds>'))
      server.clock.advance(50_000)
      server.send(US, THEM, 'second')
      await peer.hears("id='second'", '</message>')
      server.clock.advance(54_999)
      await turns()
      expect(peer.unread).to.equal('')
      server.clock.advance(1)
      await peer.hears('</stream:stream>')
      expect(server.received).to.deep.equal([])
    })

    it('§3.1: a longer idle time than ours changes nothing', async () => {
      const peer = await established(limits('<idle-seconds>999999999</idle-seconds>'))
      server.clock.advance(1_799_999)
      await turns()
      expect(peer.unread).to.equal('')
      server.clock.advance(1)
      await peer.hears('</stream:stream>')
    })

    it('§3.1: a time too short to be meant does not keep stanzas from going out', async () => {
      const peer = await established(limits('<idle-seconds>1</idle-seconds>'))
      server.clock.advance(750)
      await peer.hears('</stream:stream>')
    })
  })
})
