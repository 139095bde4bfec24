import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import type { WirePeer } from '../support/wire-peer.js'
import { header, STARTTLS, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

const KEY = 'a1b2c3'
const request = (from: string, to = 'here.example', key = KEY): string =>
  `<db:result from='${from}' to='${to}'>${key}</db:result>`
const answer = (from: string, type: string, to = 'here.example'): string =>
  `<db:result xmlns:db='jabber:server:dialback' from='${to}' to='${from}' type='${type}'`

const LIMITS =
  "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes><idle-seconds>1800</idle-seconds></limits>"

describe('the receiving side', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: ['here.example', 'also.example'], ...options })
  }

  const proofs = (): string[] => server.proven.map(({ pair, proof, direction }) => `${direction} ${pair} ${proof}`)

  async function question(asked: WirePeer): Promise<{ readonly id: string; readonly text: string }> {
    const text = await asked.hears('<db:verify ', '</db:verify>')
    return { id: / id='([^']*)'/.exec(text)![1]!, text }
  }

  describe('features before TLS (RFC 6120 §5.3.1, XEP-0220 §2.3)', () => {
    for (const [tls, certificate, expected] of [
      ['required', 'both', "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"],
      [
        'optional',
        'both',
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>",
      ],
      ['disabled', 'both', "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"],
      ['optional', null, "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"],
      ['required', null, ''],
    ] as const) {
      it(`${tls}, ${certificate === null ? 'without' : 'with'} a certificate of ours`, async () => {
        serve({ rules: { tls }, certificate })
        const peer = server.peer()
        await peer.say(header())
        await peer.hears('<stream:features>')
        expect(await peer.hears('</stream:features>')).to.equal(`${expected}${LIMITS}</stream:features>`)
      })
    }

    it('dialback switched off is not offered, and not declared on the header', async () => {
      serve({ rules: { tls: 'optional', dialback: false } })
      const peer = server.peer()
      await peer.say(header())
      expect(await peer.hears('</stream:features>'))
        .to.include('starttls')
        .and.not.to.include('dialback')
    })
  })

  describe('STARTTLS (RFC 6120 §5.4)', () => {
    const FAILURE = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"

    for (const [name, options] of [
      ['policy disabled', { rules: { tls: 'disabled' } }],
      ['no certificate of ours', { rules: { tls: 'optional' }, certificate: null }],
    ] as const) {
      it(`RFC 6120 §5.4.2.2: where it was not offered (${name}): failure, closed`, async () => {
        serve(options)
        const peer = server.peer()
        await peer.say(header())
        await peer.hears('</stream:features>')
        await peer.say(STARTTLS)
        expect(await peer.closed()).to.equal(FAILURE)
      })
    }

    it('on TLS: failure, closed', async () => {
      serve()
      const peer = await server.secured()
      await peer.say(STARTTLS)
      expect(await peer.closed()).to.equal(FAILURE)
    })

    it('on a stream with a proven pair: failure, closed', async () => {
      serve({ rules: { tls: 'optional' } })
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      const host = new WireHost(server)
      await peer.say(request('peer.example'))
      const asked = await host.secured()
      const { id } = await question(asked)
      await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
      await peer.hears(answer('peer.example', 'valid'))
      await peer.say(STARTTLS)
      expect(await peer.closed()).to.equal(`/>${FAILURE}`)
    })

    it('RFC 6120 §5.4.3.3: the client certificate is not asked for in vain, nor is one demanded', async () => {
      serve()
      const peer = await server.encrypted({}, null)
      expect(peer.tlsSocket!.getProtocol()).to.be.oneOf(['TLSv1.2', 'TLSv1.3'])
      expect(peer.tlsSocket!.isSessionReused()).to.equal(false)
      await peer.say(header())
      await peer.hears('</stream:features>')
    })

    it('TLS before 1.2 is not spoken', async () => {
      serve()
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await peer.say(STARTTLS)
      await peer.hears('<proceed ', '/>')
      const failure = await peer
        .secure({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })
        .then(
          () => undefined,
          (error: Error) => error,
        )
      expect(failure).to.be.instanceOf(Error)
      await turns()
      expect(server.incoming.size).to.equal(0)
    })

    it('what is no handshake behind proceed closes the connection', async () => {
      serve()
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await peer.say(STARTTLS)
      await peer.hears('<proceed ', '/>')
      await peer.say(header())
      await turns()
      expect(peer.isOver).to.equal(true)
      expect(peer.unread).to.not.include('<')
      expect(server.incoming.size).to.equal(0)
    })
  })

  describe('several streams', () => {
    it('several streams of one pair are welcome at once, and one may end', async () => {
      serve()
      const peers = [await server.authenticated(), await server.authenticated(), await server.authenticated()]
      for (const [i, peer] of peers.entries()) {
        await peer.say(`<message from='a@peer.example' to='b@here.example' id='${i}'/>`)
        expect((await server.next()).id).to.equal(`${i}`)
        peer.hangUp()
      }
    })

    it('both dial at once: two one-way streams', async () => {
      serve()
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'ours')
      const [incoming, outgoing] = await Promise.all([server.authenticated(), host.accepting()])
      await outgoing.hears('ours')
      await incoming.say("<message from='a@peer.example' to='b@here.example' id='theirs'/>")
      expect((await server.next()).id).to.equal('theirs')
      expect(proofs()).to.have.members([
        'incoming here.example → peer.example external',
        'outgoing here.example → peer.example dialback',
      ])
    })

    it('system-shutdown on every stream when the service stops', async () => {
      serve()
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'hello')
      const outgoing = await host.accepting()
      await outgoing.hears('hello')
      const peers = [server.peer(), await server.secured(), await server.authenticated()]
      await peers[0]!.say(header())
      await peers[0]!.hears('</stream:features>')
      const never = new AbortController().signal
      const stopped = Promise.all([server.incoming.stop(never), server.outgoing.stop(never)])
      for (const peer of [...peers, outgoing]) await peer.hears('<stream:error><system-shutdown ', '</stream:stream>')
      server.clock.advance(1000)
      await stopped
      await server.peer().cut()
    })
  })
})
