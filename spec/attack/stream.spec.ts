import { expect } from 'chai'
import fc from 'fast-check'
import { TestAuthority } from '../support/authority.js'
import type { WirePeer } from '../support/wire-peer.js'
import {
  auth,
  base64,
  FOOTER,
  header,
  STARTTLS,
  turns,
  WireHost,
  WireServer,
  type WireServerOptions,
} from '../support/wire-peer.js'

const PAIR = "from='a@peer.example' to='b@here.example'"

describe('attacks on XML and stream', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
  }

  const states: readonly (readonly [name: string, reach: () => Promise<WirePeer> | WirePeer])[] = [
    ['before the header', () => server.peer()],
    [
      'behind the header',
      async () => {
        const peer = server.peer()
        await peer.say(header())
        return peer
      },
    ],
    ['after STARTTLS', () => server.encrypted()],
    [
      'at SASL',
      async () => {
        const peer = await server.secured()
        await peer.say(auth())
        await peer.hears('<challenge ')
        return peer
      },
    ],
    ['after SASL', () => server.authenticated({}, false)],
    ['established', () => server.authenticated()],
  ]

  for (const [state, reach] of states) {
    it(`DTD and entity expansion (CVE-2011-2205, CVE-2022-0217, CVE-2024-8176), ${state}: restricted-xml`, async () => {
      const lol = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join('')
      const texts = [
        `<!DOCTYPE l [<!ENTITY l0 "lol">${lol}]>`,
        "<!DOCTYPE s SYSTEM 'file:///etc/passwd'>",
        '<x a="&l9;"/>',
      ]
      // Before the header the start tag alone ends the stream.
      if (['behind the header', 'at SASL', 'established'].includes(state)) texts.push("<x xmlns='u'>&l9;</x>")
      for (const text of texts) {
        serve()
        const peer = await reach()
        await peer.say(text)
        await peer.fails('restricted-xml')
        expect(server.received).to.deep.equal([])
        await server.stop()
      }
    })

    it(`comments, processing instructions, a second declaration, encodings (RFC 6120 §11.1), ${state}`, async () => {
      for (const [text, ...conditions] of [
        ['<!-- -->', 'restricted-xml'],
        ['<?x y?>', 'restricted-xml'],
        ["<?xml version='1.0'?><?xml version='1.0'?>", 'not-well-formed'],
        ['\xff\xfe<\0', 'not-well-formed', 'unsupported-encoding'],
      ] as const) {
        serve()
        const peer = await reach()
        await peer.say(Buffer.from(text, 'latin1'), 'byte by byte')
        await peer.fails(...conditions)
        await server.stop()
      }
    })
  }

  describe('stanza smuggling (CVE-2022-22784)', () => {
    for (const text of [
      `<message ${PAIR} id='1'><body>a</body></message><\u0000message ${PAIR} id='2'/>`,
      `<message ${PAIR} id='1'/><message\u00a0${PAIR} id='2'/>`,
      `<message ${PAIR} id='1'/></message><message ${PAIR} id='2'/>`,
      `<message ${PAIR} id='1'/></stream:stream ><message ${PAIR} id='2'/>`,
      `<message ${PAIR} id='1'/></ stream:stream><message ${PAIR} id='2'/>`,
    ]) {
      it(JSON.stringify(text.slice(-60)), async () => {
        serve()
        const peer = await server.authenticated()
        await peer.say(Buffer.from(text))
        await peer.closed()
        expect(server.received.map(({ id }) => id)).to.not.include('2')
      })
    }
  })

  it('values of strangers are copied escaped into bounces, dialback answers and error texts (CVE-2026-113867)', async () => {
    serve()
    const host = new WireHost(server)
    const peer = await server.authenticated()
    const evil = '&apos;&quot;/&gt;&lt;/iq&gt;&lt;message from=&apos;admin@here.example&apos;/&gt;&amp;lt;'
    await peer.say(`<db:verify from='peer.example' to='here.example' id='${evil}'>k</db:verify>`)
    const answer = await peer.hears("<db:verify xmlns:db='jabber:server:dialback' ", "type='invalid'/>")
    expect(answer).to.not.include('<message').and.not.to.include('</iq')
    await peer.say(`<iq ${PAIR} type='get' id='${evil}' xmlns:p='urn:x' p:q='${evil}'/>`)
    const far = await host.accepting()
    const bounce = await far.hears('<iq ', '</iq>')
    expect(bounce).to.include("type='error'").and.not.to.include('<message')
    await peer.say(`<x${'y'.repeat(50)}:z/>`)
    expect(await peer.fails('not-well-formed')).to.not.include('yyyy')
  })

  describe('namespace confusion (OF-1335, OF-2681)', () => {
    it('forwarding keeps the meaning of every element', async () => {
      serve()
      const peer = await server.authenticated()
      await peer.say(
        `<message ${PAIR}><body>real</body><x xmlns='urn:x'><body>not</body></x><body xmlns='urn:y'>not</body>` +
          `<f xmlns='urn:f'><message xmlns='jabber:client' from='admin@here.example'><body>inner</body></message></f></message>`,
      )
      const stanza = await server.next()
      expect(stanza.textOf('body')).to.equal('real')
      expect(stanza.from!.toString()).to.equal('a@peer.example')
      expect(stanza.childNamed('x', 'urn:x')).to.not.equal(undefined)
      expect(stanza.childNamed('body', 'urn:y')).to.not.equal(undefined)
    })

    it('prefixes declared on the header are declared where they are needed', async () => {
      serve()
      const peer = await server.authenticated({ 'xmlns:p': 'urn:p' })
      await peer.say(`<message ${PAIR}><p:x/></message>`)
      const text = (await server.next()).serialize().toString()
      expect(text).to.include('urn:p')
      expect(text).to.match(/xmlns(:p)?=["']urn:p["']/)
    })

    for (const [name, sent, condition] of [
      ['xmlns:stream rebound on a child', "<stream:error xmlns:stream='jabber:server'/>", 'unsupported-stanza-type'],
      ['the default namespace redeclared', `<message xmlns='jabber:client' ${PAIR}/>`, 'invalid-namespace'],
      ['a stanza in the stream namespace', `<stream:message ${PAIR}/>`, 'invalid-xml'],
      ['xmlns bound to a prefix', "<message xmlns:x='http://www.w3.org/2000/xmlns/'/>", 'not-well-formed'],
      ['xml rebound', "<message xmlns:xml='urn:x'/>", 'not-well-formed'],
    ] as const) {
      it(`${name}: ${condition}`, async () => {
        serve()
        const peer = await server.authenticated()
        await peer.say(sent)
        await peer.fails(condition)
        expect(server.received).to.deep.equal([])
      })
    }
  })

  it('compression is never offered, and refused when asked for (CVE-2014-2741, CVE-2014-2744, CVE-2014-2745)', async () => {
    const request = "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>"
    for (const [, reach] of states
      .slice(1)
      .filter(([name]) => name === 'behind the header' || name === 'established')) {
      serve()
      const peer = await reach()
      await peer.say(request)
      await peer.fails('unsupported-stanza-type')
      expect(peer.heard).to.not.include('<compression')
      await server.stop()
    }
  })

  describe('wrong order', () => {
    const elements = [
      header(),
      header({ from: 'good.example' }),
      STARTTLS,
      auth('='),
      auth(base64('good.example')),
      auth(),
      "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</response>",
      "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
      "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
      "<db:result from='good.example' to='here.example'>k</db:result>",
      "<db:result from='here.example' to='good.example'>k</db:result>",
      "<db:result from='good.example' to='here.example' type='valid'/>",
      "<db:verify from='good.example' to='here.example' id='i'>k</db:verify>",
      "<db:verify from='good.example' to='here.example' id='i' type='valid'/>",
      "<message from='a@good.example' to='b@here.example' id='routed'/>",
      "<iq type='get' id='1' from='good.example' to='here.example'><x xmlns='u'/></iq>",
      '<stream:features/>',
      "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
      "<x xmlns='urn:x'/>",
      ' ',
      'text',
      '<',
      FOOTER,
    ]

    async function play(said: readonly string[], reach: () => Promise<WirePeer> | WirePeer): Promise<void> {
      serve({ rules: { strict: false } })
      try {
        const peer = await reach()
        await peer.say(said.join(''))
        await turns(6)
        for (const text of said) await peer.say(text)
        await turns(6)
        expect(server.received).to.deep.equal([])
        expect(server.proven.filter(({ pair }) => pair.remote !== 'peer.example')).to.deep.equal([])
        server.clock.advance(20_000)
        await turns(6)
        server.clock.advance(2_000_000)
        await turns(6)
        expect(peer.isOver, 'it ends').to.equal(true)
        expect(peer.heard.split('<stream:error>').length, 'at most one error').to.be.at.most(2)
        expect(server.incoming.size).to.equal(0)
      } finally {
        await server.stop()
      }
      expect(server.clock.waiting, 'no timer is left').to.equal(0)
    }

    for (const [name, reach] of [
      ['in plain text', () => server.peer()],
      ['after the header', states[1]![1]],
      ['over TLS', () => server.encrypted()],
    ] as const) {
      it(`nothing is routed before proof, there is one end, and nothing is left behind: ${name}`, async function () {
        this.timeout(30_000)
        const sequences = fc.array(fc.constantFrom(...elements), { minLength: 1, maxLength: 8 })
        await fc.assert(
          fc.asyncProperty(sequences, said => play(said, reach)),
          { numRuns: 120 },
        )
      })
    }
  })
})
