import { expect } from 'chai'
import type { Direction, Gate } from '../../lib/session/context.js'
import { TestAuthority } from '../support/authority.js'
import { memoryRules } from '../support/memory-federation.js'
import { auth, base64, header, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

describe('attacks on identity', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: ['here.example', 'also.example'], ...options })
  }

  const proofs = (): string[] => server.proven.map(({ pair, proof, direction }) => `${direction} ${pair} ${proof}`)
  const BLOCKED: Gate = { refused: { kind: 'policy', detail: 'blocked' } }
  const message = (from: string, to: string, id = 'm'): string => `<message from='${from}' to='${to}' id='${id}'/>`

  it('a key got as hostile receiver and replayed for another pair with the same id (CVE-2016-0756)', async () => {
    serve()
    const host = new WireHost(server, 'evil.example')
    server.send('b@here.example', 'a@evil.example', 'hello')
    const evil = await host.secured()
    const request = await evil.hears('<db:result ', '</db:result>')
    const key = />([0-9a-f]{64})</.exec(request)![1]
    const peer = await server.secured({ from: 'victim.example' }, null)
    const ask = async (from: string, to: string, id: string): Promise<string> => {
      await peer.say(`<db:verify from='${from}' to='${to}' id='${id}'>${key}</db:verify>`)
      return await peer.hears('<db:verify ', "type='", "'")
    }
    expect(await ask('evil.example', 'here.example', 'their-id')).to.include("type='valid'")
    expect(await ask('victim.example', 'here.example', 'their-id')).to.include("type='invalid'")
    expect(await ask('evil.example', 'also.example', 'their-id')).to.include("type='invalid'")
    expect(await ask('evil.example', 'here.example', 'their-id2')).to.include("type='invalid'")
  })

  describe('a good certificate of evil.example that claims good.example (CVE-2021-32919, OF-2555, OF-2590)', () => {
    const names = { from: 'good.example' }

    it('strict: the stream ends', async () => {
      serve()
      const peer = await server.encrypted(names, 'both', 'evil.example')
      await peer.say(header(names))
      await peer.fails('not-authorized')
      expect(proofs()).to.deep.equal([])
    })

    for (const [identity, condition] of [
      [base64('good.example'), 'not-authorized'],
      ['=', 'not-authorized'],
      [base64('evil.example'), 'invalid-authzid'],
      [base64('other.example'), 'invalid-authzid'],
    ] as const) {
      it(`lax: EXTERNAL is not offered, and refused when forced: ${identity}`, async () => {
        serve({ rules: { strict: false } })
        const peer = await server.secured(names, 'both', 'evil.example')
        expect(peer.heard).to.not.include('mechanisms')
        await peer.say(auth(identity))
        await peer.hears(`<${condition}/>`)
        expect(proofs()).to.deep.equal([])
        await peer.say(message('a@good.example', 'b@here.example'))
        await peer.fails('not-authorized')
        expect(server.received).to.deep.equal([])
      })
    }

    it('its own name on the header, and then a dialback request for good.example: strict refuses', async () => {
      serve()
      const peer = await server.authenticated({ from: 'evil.example' })
      await peer.say("<db:result from='good.example' to='here.example'>k</db:result>")
      await peer.hears("type='error'", '<not-authorized ')
      expect(proofs()).to.deep.equal(['incoming here.example → evil.example external'])
    })

    it('lax asks good.example itself', async () => {
      serve({ rules: { strict: false } })
      const host = new WireHost(server, 'good.example')
      const peer = await server.authenticated({ from: 'evil.example' })
      await peer.say("<db:result from='good.example' to='here.example'>k</db:result>")
      const asked = await host.secured()
      const id = / id='([^']*)'/.exec(await asked.hears('<db:verify ', '</db:verify>'))![1]
      await asked.say(`<db:verify from='good.example' to='here.example' id='${id}' type='invalid'/>`)
      await peer.hears("type='error'", '<forbidden ')
      await peer.say(message('a@good.example', 'b@here.example'))
      await peer.fails('invalid-from')
      expect(proofs()).to.deep.equal(['incoming here.example → evil.example external'])
    })

    it('without a certificate there is no way around dialback', async () => {
      serve()
      const host = new WireHost(server, 'good.example')
      const peer = await server.secured(names, null)
      await peer.say("<db:result from='good.example' to='here.example'>forged</db:result>")
      const asked = await host.secured()
      const id = / id='([^']*)'/.exec(await asked.hears('<db:verify ', '</db:verify>'))![1]
      await asked.say(`<db:verify from='good.example' to='here.example' id='${id}' type='invalid'/>`)
      await peer.hears("type='invalid'")
      await peer.closed()
      expect(proofs()).to.deep.equal([])
    })
  })

  describe('stanzas from domains that are not proven on this stream (OF-2461, OF-2462)', () => {
    for (const [from, to, condition] of [
      ['x@other.example', 'b@here.example', 'invalid-from'],
      ['x@sub.peer.example', 'b@here.example', 'invalid-from'],
      ['x@here.example', 'b@here.example', 'invalid-from'],
      ['x@also.example', 'b@here.example', 'invalid-from'],
      ['x@peer.example', 'b@nowhere.example', 'host-unknown'],
      ['x@peer.example', 'b@other.example', 'host-unknown'],
    ] as const) {
      it(`${from} to ${to}: ${condition}`, async () => {
        serve()
        const other = await server.authenticated({ from: 'other.example' })
        const peer = await server.authenticated()
        await peer.say(message(from, to))
        await peer.fails(condition)
        expect(server.received).to.deep.equal([])
        await other.say(message('x@other.example', 'b@here.example', 'mine'))
        expect((await server.next()).id).to.equal('mine')
      })
    }
  })

  describe('claiming to be us', () => {
    it('on the header', async () => {
      serve()
      for (const from of ['here.example', 'also.example', 'ALSO.example.']) {
        const peer = server.peer()
        await peer.say(header({ from }))
        await peer.fails('invalid-from')
      }
    })

    it('by dialback, as authorization identity, by a stanza', async () => {
      serve()
      const byDialback = await server.authenticated()
      await byDialback.say("<db:result from='also.example' to='here.example'>k</db:result>")
      await byDialback.fails('invalid-from')
      const byIdentity = await server.secured()
      await byIdentity.say(auth(base64('here.example')))
      await byIdentity.hears('<invalid-authzid/>')
      const byStanza = await server.authenticated()
      await byStanza.say(message('admin@here.example', 'b@here.example'))
      await byStanza.fails('invalid-from')
      expect(proofs().every(line => line.includes('peer.example'))).to.equal(true)
    })

    it('by a certificate for our own name', async () => {
      serve()
      const peer = await server.encrypted({}, 'both', 'here.example')
      await peer.say(header())
      await peer.fails('not-authorized')
    })
  })

  describe('names changed on restart', () => {
    for (const [stage, reach] of [
      ['after TLS', () => server.encrypted()],
      ['after SASL', () => server.authenticated({}, false)],
    ] as const) {
      for (const [changed, condition] of [
        [{ from: 'good.example' }, 'invalid-from'],
        [{ from: 'sub.peer.example' }, 'invalid-from'],
        [{ from: null }, 'invalid-from'],
        [{ to: 'also.example' }, 'improper-addressing'],
        [{ to: 'also.example', from: 'good.example' }, 'improper-addressing'],
      ] as const) {
        it(`${stage}, to ${JSON.stringify(changed)}: ${condition}`, async () => {
          serve()
          const peer = await reach()
          const before = proofs()
          await peer.say(header(changed) + message('a@good.example', 'b@here.example'))
          await peer.fails(condition)
          expect(proofs()).to.deep.equal(before)
          expect(server.received).to.deep.equal([])
        })
      }
    }

    it("a 'from' that was missing may appear after TLS, and must then be the certificate's", async () => {
      serve()
      const peer = await server.encrypted({ from: null }, 'both', 'peer.example')
      await peer.say(header())
      await peer.hears('<mechanism>EXTERNAL</mechanism>')
    })

    it('what was asked by dialback before TLS is void after it', async () => {
      serve({ rules: { tls: 'optional' } })
      const host = new WireHost(server)
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await peer.say("<db:result from='peer.example' to='here.example'>k</db:result>")
      const asked = await host.secured()
      const id = / id='([^']*)'/.exec(await asked.hears('<db:verify ', '</db:verify>'))![1]
      await peer.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
      await peer.hears('<proceed ')
      await peer.secure()
      await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
      await peer.say(header())
      await peer.hears('</stream:features>')
      await turns()
      expect(proofs()).to.deep.equal([])
      expect(peer.heard).to.not.include('valid')
    })
  })

  describe('look-alikes and normalisation (RFC 7622 §3.2, RFC 5891)', () => {
    const spellings = [
      'bücher.example',
      'BÜCHER.example',
      'xn--bcher-kva.example',
      'XN--BCHER-KVA.EXAMPLE',
      'bu\u0308cher.example',
      'bücher。example',
      'bücher.example.',
      'ｂücher.example',
    ]

    it('every spelling of one name is one pair, also for dialing', async () => {
      serve()
      for (const from of spellings) {
        const peer = await server.secured({ from }, 'both', 'xn--bcher-kva.example')
        await peer.say(auth('='))
        await peer.hears('<success ')
        peer.hangUp()
      }
      expect(new Set(proofs())).to.deep.equal(new Set(['incoming here.example → bücher.example external']))
      new WireHost(server, 'bücher.example')
      for (const to of spellings) server.send('b@here.example', `a@${to}`, 'hello')
      await turns()
      expect([...server.network.dialed]).to.deep.equal([['bücher.example', 1]])
    })

    it('different names never collide', async () => {
      serve()
      const different = [
        'strasse.example',
        'straße.example',
        'pаypal.example',
        'paypal.example',
        'i.example',
        'ı.example',
        'bucher.example',
        'bücher.example',
      ]
      const jids = different.map(name => server.jids.parse(name)?.toString())
      const known = jids.filter(name => name !== undefined)
      expect(new Set(known).size).to.equal(known.length)
      const peer = await server.secured({ from: 'strasse.example' }, 'both', 'strasse.example')
      await peer.say(auth(base64('straße.example')))
      await peer.hears('<invalid-authzid/>')
    })
  })

  describe('a blocked domain by the side door (OF-1188)', () => {
    function guarded(): Set<string> {
      const blocked = new Set(['blocked.example'])
      const gate = (_local: string, remote: string, _direction: Direction): Gate =>
        blocked.has(remote) ? BLOCKED : { rules: memoryRules }
      serve({ gate })
      return blocked
    }

    it('by its header', async () => {
      guarded()
      const peer = server.peer()
      await peer.say(header({ from: 'Blocked.example.' }))
      await peer.fails('policy-violation')
    })

    it("by a header without 'from', and dialback", async () => {
      guarded()
      const peer = await server.secured({ from: null }, 'both', 'blocked.example')
      await peer.say("<db:result from='blocked.example' to='here.example'>k</db:result>")
      await peer.hears("type='error'", '<policy-violation ')
      expect(server.network.dialed.size).to.equal(0)
      expect(proofs()).to.deep.equal([])
    })

    it('by piggyback on the stream of another', async () => {
      guarded()
      const peer = await server.authenticated()
      await peer.say("<db:result from='blocked.example' to='here.example'>k</db:result>")
      await peer.hears("type='error'", '<policy-violation ')
      await peer.say(message('a@blocked.example', 'b@here.example'))
      await peer.fails('invalid-from')
    })

    it('by EXTERNAL, blocked while it negotiates', async () => {
      const blocked = guarded()
      const peer = await server.secured()
      blocked.add('peer.example')
      await peer.say(auth('='))
      await peer.hears('<not-authorized/>')
      await peer.fails('policy-violation')
      expect(proofs()).to.deep.equal([])
    })

    it('by being connected already', async () => {
      const blocked = guarded()
      const peer = await server.authenticated()
      const other = await server.authenticated({ from: 'other.example' })
      blocked.add('peer.example')
      server.incoming.reconsider()
      await peer.fails('policy-violation')
      await other.say(message('a@other.example', 'b@here.example'))
      await server.next()
    })

    it('by db:verify', async () => {
      guarded()
      const peer = await server.secured({}, null)
      await peer.say("<db:verify from='blocked.example' to='here.example' id='i'>k</db:verify>")
      await peer.hears("type='error'", '<policy-violation ')
    })
  })
})
