import { expect } from 'chai'
import type { Fixture } from '../support/authority.js'
import { TestAuthority } from '../support/authority.js'
import { auth, base64, header, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

const SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
const failure = (condition: string): string => `<failure xmlns='${SASL}'><${condition}/></failure>`
const response = (text: string): string => `<response xmlns='${SASL}'>${text}</response>`

describe('SASL EXTERNAL, receiving (RFC 6120 §6, XEP-0178 §3)', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): WireServer {
    server = new WireServer({ authority, ...options })
    return server
  }

  const proofs = (): string[] => server.proven.map(({ pair, proof }) => `${pair} ${proof}`)

  describe('offer', () => {
    for (const fixture of ['both', 'server-auth-only'] as const) {
      it(`RFC 6120 §6.3.3: EXTERNAL is offered to a certificate that verifies (${fixture})`, async () => {
        serve()
        const peer = await server.encrypted({}, fixture)
        await peer.say(header())
        await peer.hears(
          `<mechanisms xmlns='${SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>`,
          '</stream:features>',
        )
      })
    }

    it('XEP-0178 §3: without a certificate there is no mechanisms element, but dialback', async () => {
      serve()
      const peer = await server.encrypted({}, null)
      await peer.say(header())
      const features = await peer.hears('</stream:features>')
      expect(features).to.include('urn:xmpp:features:dialback').and.not.to.include('mechanisms')
    })

    it('XEP-0178 §3: a certificate that does not verify is told so, with its defects, when strict', async () => {
      serve()
      const peer = await server.encrypted({}, 'expired')
      await peer.say(header())
      expect(await peer.fails('not-authorized')).to.match(/<text [^>]*>certificate: .*expired/)
    })

    it('XEP-0178 §3: the same certificate gets dialback alone when lax', async () => {
      serve({ rules: { strict: false } })
      const peer = await server.encrypted({}, 'expired')
      await peer.say(header())
      expect(await peer.hears('</stream:features>'))
        .to.include('<dialback ')
        .and.not.to.include('mechanisms')
    })

    it('a side that cannot be verified itself does not insist on others', async () => {
      serve({ certificate: 'self-signed' })
      const peer = await server.encrypted({}, 'self-signed')
      await peer.say(header())
      expect(await peer.hears('</stream:features>'))
        .to.include('<dialback ')
        .and.not.to.include('mechanisms')
    })

    it("is not made to a header without 'from'", async () => {
      serve()
      const peer = await server.encrypted({ from: null }, 'both', 'peer.example')
      await peer.say(header({ from: null }))
      expect(await peer.hears('</stream:features>'))
        .to.include('<dialback ')
        .and.not.to.include('mechanisms')
    })

    it('is not made where rules do not accept it, and not again after success', async () => {
      serve()
      const peer = await server.authenticated({}, false)
      await peer.say(header())
      expect(await peer.hears('</stream:features>'))
        .to.include('<dialback ')
        .and.not.to.include('mechanisms')
        .and.not.to.include('starttls')
      await server.stop()
      serve({ rules: { external: false } })
      const other = await server.encrypted()
      await other.say(header())
      expect(await other.hears('</stream:features>')).to.not.include('mechanisms')
      await other.say(auth('='))
      await other.hears(failure('invalid-mechanism'))
    })
  })

  describe('exchange', () => {
    it('RFC 6120 §6.5.3: before encryption the answer is encryption-required, and the stream stays', async () => {
      serve()
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await peer.say(auth('='))
      await peer.hears(failure('encryption-required'))
      await peer.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
      await peer.hears('<proceed ')
    })

    for (const mechanism of ['PLAIN', 'ANONYMOUS', 'external', '']) {
      it(`RFC 6120 §6.5.7: mechanism ${JSON.stringify(mechanism)} is invalid-mechanism`, async () => {
        serve()
        const peer = await server.secured()
        await peer.say(auth('=', mechanism))
        await peer.hears(failure('invalid-mechanism'))
        expect(proofs()).to.deep.equal([])
      })
    }

    it('RFC 6120 §6.5.7: a peer without certificate that tries anyway is refused', async () => {
      serve()
      const peer = await server.secured({}, null)
      await peer.say(auth('='))
      await peer.hears(failure('invalid-mechanism'))
    })

    for (const [name, said] of [
      ["'='", auth('=')],
      ['the domain', auth(base64('peer.example'))],
      ['the domain in another spelling', auth(base64('PEER.Example.'))],
      ['the domain with white space around it', auth(`\n ${base64('peer.example')} `)],
    ] as const) {
      it(`XEP-0178 §3: an initial response of ${name} proves the pair, then success and restart`, async () => {
        serve()
        const peer = await server.secured()
        await peer.say(said, 'byte by byte')
        await peer.hears(`<success xmlns='${SASL}'/>`)
        expect(proofs()).to.deep.equal(['here.example → peer.example external'])
        await peer.say(header())
        const answer = await peer.hears("<?xml version='1.0'?><stream:stream ", '</stream:features>')
        expect(answer).to.include("from='here.example' to='peer.example'")
      })
    }

    for (const [name, said] of [
      ["'='", response('=')],
      ['nothing', response('')],
      ['the domain', response(base64('peer.example'))],
    ] as const) {
      it(`RFC 6120 §6.4.2: without initial response comes an empty challenge, which ${name} answers`, async () => {
        serve()
        const peer = await server.secured()
        await peer.say(auth())
        await peer.hears(`<challenge xmlns='${SASL}'/>`)
        await peer.say(said)
        await peer.hears('<success ')
        expect(proofs()).to.deep.equal(['here.example → peer.example external'])
      })
    }

    it('require-authzid: an empty authorization identity is invalid-authzid, the domain is accepted', async () => {
      serve({ settings: { requireAuthzid: true } })
      const peer = await server.secured()
      await peer.say(auth('='))
      await peer.hears(failure('invalid-authzid'))
      await peer.say(auth(base64('peer.example')))
      await peer.hears('<success ')
    })

    for (const text of ['====', 'a', '%%%', 'cGVlci5leGFtcGxl=', 'cGVl ci5l', '\u00e4\u00e4\u00e4\u00e4']) {
      it(`RFC 6120 §6.5.6: ${JSON.stringify(text)} is incorrect-encoding`, async () => {
        serve()
        const peer = await server.secured()
        await peer.say(auth(text))
        await peer.hears(failure('incorrect-encoding'))
        expect(proofs()).to.deep.equal([])
      })
    }

    for (const identity of [
      'other.example',
      'sub.peer.example',
      'example',
      'here.example',
      'user@peer.example',
      'peer.example/r',
      'peer.example\0',
      ' ',
    ]) {
      it(`RFC 6120 §6.5.8: the identity ${JSON.stringify(identity)} is invalid-authzid`, async () => {
        serve()
        const peer = await server.secured()
        await peer.say(auth(base64(identity)))
        await peer.hears(failure('invalid-authzid'))
        expect(proofs()).to.deep.equal([])
      })
    }

    for (const fixture of [
      'wrong-name',
      'expired',
      'self-signed',
      'client-auth-only',
      'unknown-root',
    ] satisfies Fixture[]) {
      it(`RFC 6120 §6.5.10: a certificate that does not verify (${fixture}) is not-authorized when it tries anyway`, async () => {
        serve({ rules: { strict: false } })
        const peer = await server.secured({}, fixture)
        await peer.say(auth('='))
        await peer.hears(failure('not-authorized'))
        expect(proofs()).to.deep.equal([])
      })
    }

    it('a gate that closes after the offer ends the stream', async () => {
      let open = true
      const rules = { tls: 'required', strict: true, external: true, dialback: true } as const
      serve({ gate: () => (open ? { rules } : { refused: { kind: 'policy', detail: 'blocked' } }) })
      const peer = await server.secured()
      open = false
      await peer.say(auth('='))
      await peer.hears(failure('not-authorized'))
      await peer.fails('policy-violation')
      expect(proofs()).to.deep.equal([])
    })

    it('RFC 6120 §6.4.4: abort is answered with aborted, and a new try may follow', async () => {
      serve()
      const peer = await server.secured()
      await peer.say(auth())
      await peer.hears('<challenge ')
      await peer.say(`<abort xmlns='${SASL}'/>`)
      await peer.hears(failure('aborted'))
      await peer.say(response('='))
      await peer.hears(failure('malformed-request'))
      await peer.say(auth('='))
      await peer.hears('<success ')
    })

    it('RFC 6120 §6.4.5: the third failure is policy-violation', async () => {
      serve()
      const peer = await server.secured()
      for (let i = 0; i < 3; i++) {
        await peer.say(auth('=', 'PLAIN'))
        await peer.hears(failure('invalid-mechanism'))
      }
      await peer.fails('policy-violation')
    })

    it('RFC 6120 §6.4.6: authenticating again after success is policy-violation', async () => {
      serve()
      const peer = await server.authenticated()
      await peer.say(auth('='))
      await peer.fails('policy-violation')
    })

    it('after a failure dialback is still open on the same stream', async () => {
      serve()
      const peer = await server.secured()
      await peer.say(auth(base64('other.example')))
      await peer.hears(failure('invalid-authzid'))
      await peer.say("<db:result from='peer.example' to='here.example'>k</db:result>")
      await peer.hears("type='valid'")
      expect(proofs()).to.deep.equal(['here.example → peer.example certificate'])
    })

    it('XEP-0220 §2.1: what was asked by dialback before success is void: its key was for the old stream id', async () => {
      serve({ rules: { strict: false } })
      const host = new WireHost(server, 'other.example')
      const peer = await server.secured()
      await peer.say("<db:result from='other.example' to='here.example'>k</db:result>")
      const asked = await host.secured()
      const id = / id='([^']*)'/.exec(await asked.hears('<db:verify ', '</db:verify>'))![1]
      await peer.say(auth('='))
      await peer.hears('<success ', '/>')
      await asked.say(`<db:verify from='other.example' to='here.example' id='${id}' type='valid'/>`)
      await turns()
      expect(peer.unread).to.equal('')
      expect(proofs()).to.deep.equal(['here.example → peer.example external'])
    })

    for (const name of ['success', 'challenge', 'failure', 'mechanisms']) {
      it(`<${name}/> is not for the initiating side to send: invalid-xml`, async () => {
        serve()
        const peer = await server.secured()
        await peer.say(`<${name} xmlns='${SASL}'/>`)
        await peer.fails('invalid-xml')
      })
    }
  })
})
