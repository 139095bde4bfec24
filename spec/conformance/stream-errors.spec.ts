import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import type { WirePeer } from '../support/wire-peer.js'
import { type Cut, FOOTER, header, WireServer, type WireServerOptions } from '../support/wire-peer.js'

interface Row {
  readonly name: string
  readonly sent: string | Buffer
  readonly error: string
  /** Other conditions that are good as well. */
  readonly or?: string
}

/** Behind a good header, in the middle of an element. */
const inside = (text: string | Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(`${header()}<message><body>`),
    Buffer.from(text as string),
    Buffer.from('</body></message>'),
  ])
const behind = (text: string): string => header() + text
const STREAMS = 'http://etherx.jabber.org/streams'

const NOT_WELL_FORMED: readonly Row[] = [
  ['mismatched end tag', inside('</b>')],
  ["'<' in an attribute", behind("<message id='<'/>")],
  ['duplicate attribute', behind("<message id='a' id='b'/>")],
  ['duplicate attribute after namespace resolution', behind("<message xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>")],
  ['unbound prefix of an element', behind('<p:message/>')],
  ['unbound prefix of an attribute', behind("<message p:a='1'/>")],
  ["']]>' in text", inside(']]>')],
  ["bare '&'", inside('a & b')],
  ['illegal character reference', inside('&#0;')],
  ['character reference out of range', inside('&#x110000;')],
  ['reference to a surrogate', inside('&#xD800;')],
  ['NUL', inside('\0')],
  ['U+FFFE', inside('\ufffe')],
  ['overlong UTF-8', inside(Buffer.from([0xc0, 0xaf]))],
  ['UTF-8 of a surrogate', inside(Buffer.from([0xed, 0xa0, 0x80]))],
  ['truncated UTF-8', inside(Buffer.from([0xe2, 0x82, 0x3c]))],
  ['UTF-8 above U+10FFFF', inside(Buffer.from([0xf4, 0x90, 0x80, 0x80]))],
  ['bytes that are not XML', 'GET / HTTP/1.1\r\nHost: here.example\r\n\r\n'],
  ['a second XML declaration', `<?xml version='1.0'?><?xml version='1.0'?>${header()}`],
  ['an XML declaration behind the header', behind("<?xml version='1.0'?>")],
].map(([name, sent]) => ({ name: name as string, sent: sent as string | Buffer, error: 'not-well-formed' }))

const RESTRICTED: readonly Row[] = [
  ['comment before the header', `<!-- c -->${header()}`],
  ['comment behind the header', behind('<!-- c -->')],
  ['comment in an element', inside('<!-- c -->')],
  ['processing instruction before the header', `<?php x?>${header()}`],
  ['processing instruction behind the header', behind('<?php x?>')],
  ['processing instruction in an element', inside('<?php x?>')],
  ['DOCTYPE', `<!DOCTYPE stream>${header()}`],
  ['DOCTYPE with a subset', `<!DOCTYPE s [<!ENTITY a "b">]>${header()}`],
  ['entity in text', inside('&lol;')],
  ['entity in an attribute', behind("<message id='&lol;'/>")],
  ['entity in an attribute of the header', header({ 'xml:lang': '&lol;' })],
].map(([name, sent]) => ({ name: name as string, sent: sent as string, error: 'restricted-xml' }))

const ENCODINGS: readonly Row[] = [
  { name: 'ISO-8859-1', sent: `<?xml version='1.0' encoding='ISO-8859-1'?>${header()}`, error: 'unsupported-encoding' },
  {
    name: 'UTF-16 with BOM',
    sent: Buffer.from(`\ufeff${header()}`, 'utf16le'),
    error: 'unsupported-encoding',
    or: 'not-well-formed',
  },
  {
    name: 'UTF-16 without BOM',
    sent: Buffer.from(header(), 'utf16le'),
    error: 'unsupported-encoding',
    or: 'not-well-formed',
  },
]

/** What a header can have wrong that is wrong at every stage alike. */
const HEADERS: readonly Row[] = [
  { name: '<stream:foo>', sent: header().replace('<stream:stream', '<stream:foo'), error: 'invalid-xml' },
  { name: '<message> as first element', sent: "<message xmlns='jabber:server'/>", error: 'invalid-xml' },
  {
    name: 'unknown stream namespace',
    sent: header({ 'xmlns:stream': 'http://etherx.jabber.org/stream' }),
    error: 'invalid-namespace',
  },
  {
    name: 'namespaces swapped',
    sent: header({ xmlns: STREAMS, 'xmlns:stream': 'jabber:server' }),
    error: 'invalid-namespace',
  },
  { name: 'content namespace jabber:client', sent: header({ xmlns: 'jabber:client' }), error: 'invalid-namespace' },
  { name: 'no content namespace', sent: header({ xmlns: null }), error: 'invalid-namespace' },
  { name: 'unknown content namespace', sent: header({ xmlns: 'urn:x' }), error: 'invalid-namespace' },
  { name: "version 'abc'", sent: header({ version: 'abc' }), error: 'unsupported-version' },
  { name: 'empty version', sent: header({ version: '' }), error: 'unsupported-version' },
  { name: 'version 0.9', sent: header({ version: '0.9' }), error: 'unsupported-version' },
  { name: "no 'to'", sent: header({ to: null }), error: 'improper-addressing' },
  { name: "empty 'to'", sent: header({ to: '' }), error: 'improper-addressing' },
  { name: "'to' with a localpart", sent: header({ to: 'user@here.example' }), error: 'improper-addressing' },
  { name: "unknown 'to'", sent: header({ to: 'elsewhere.example' }), error: 'host-unknown' },
  { name: "a sub-domain of ours as 'to'", sent: header({ to: 'sub.here.example' }), error: 'host-unknown' },
  { name: "malformed 'from'", sent: header({ from: 'a b' }), error: 'improper-addressing' },
  { name: "'from' is ours", sent: header({ from: 'here.example' }), error: 'invalid-from' },
  { name: "'from' is another of ours", sent: header({ from: 'also.example' }), error: 'invalid-from' },
  { name: "'from' is ours in another spelling", sent: header({ from: 'HERE.example.' }), error: 'invalid-from' },
]

const STAGES = ['first header', 'after STARTTLS', 'after SASL', 'on Direct TLS'] as const

describe('stream errors (RFC 6120 §4.9)', function () {
  this.timeout(60_000)
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: ['here.example', 'also.example'], ...options })
  }

  function at(stage: (typeof STAGES)[number]): Promise<WirePeer> | WirePeer {
    if (stage === 'first header') return server.peer()
    if (stage === 'on Direct TLS') return server.direct()
    return stage === 'after STARTTLS' ? server.encrypted() : server.authenticated({}, false)
  }

  async function refused(peer: WirePeer, row: Row, cut: Cut): Promise<void> {
    await peer.say(row.sent, cut)
    const answer = await peer.fails(row.error, row.or ?? row.error)
    expect(answer).to.match(/<stream:stream [^>]* id='[0-9a-f]{32}'/)
  }

  describe('in every segmentation of the first header', () => {
    for (const row of [...NOT_WELL_FORMED, ...RESTRICTED, ...ENCODINGS, ...HEADERS]) {
      it(`${row.error}: ${row.name}`, async () => {
        serve()
        const length = Buffer.byteLength(row.sent)
        await refused(server.peer(), row, 'whole')
        await refused(server.peer(), row, 'byte by byte')
        for (let split = 1; split < length; split++) await refused(server.peer(), row, split)
        expect(server.received).to.deep.equal([])
      })
    }
  })

  for (const stage of STAGES.slice(1)) {
    describe(stage, () => {
      for (const row of [...NOT_WELL_FORMED, ...RESTRICTED, ...ENCODINGS, ...HEADERS]) {
        it(`${row.error}: ${row.name}`, async () => {
          serve()
          for (const cut of ['whole', 'byte by byte'] as const) await refused(await at(stage), row, cut)
          expect(server.received).to.deep.equal([])
        })
      }
    })
  }

  for (const stage of STAGES) {
    describe(`headers, ${stage}`, () => {
      it('RFC 6120 §4.9.3.5: host-gone for a domain removed while running', async () => {
        serve()
        const peer = await at(stage)
        server.domains.delete('here.example')
        server.gone.add('here.example')
        await refused(peer, { name: 'gone', sent: header(), error: 'host-gone' }, 'whole')
      })

      it('RFC 6120 §4.9.3.14: policy-violation for a blocked domain', async () => {
        let blocked = false
        const rules = { tls: 'required', strict: true, external: true, dialback: true } as const
        serve({ gate: () => (blocked ? { refused: { kind: 'policy', detail: 'blocked' } } : { rules }) })
        const peer = await at(stage)
        blocked = true
        await refused(peer, { name: 'blocked', sent: header(), error: 'policy-violation' }, 'whole')
      })

      for (const version of ['2.0', '1.7', '1.0', '01.00']) {
        it(`RFC 6120 §4.7.5: version ${version} is answered with 1.0`, async () => {
          serve()
          const peer = await at(stage)
          await peer.say(header({ version }))
          expect(await peer.hears('<stream:stream ', '>')).to.include("version='1.0'")
          await peer.hears('</stream:features>')
        })
      }

      it('RFC 6120 §4.7.5: without version the answer has neither version nor features', async () => {
        serve({ rules: { tls: 'optional' } })
        const peer = await at(stage)
        await peer.say(header({ version: null }))
        await server.fence(peer)
        const answer = peer.heard.slice(peer.heard.lastIndexOf('<stream:stream'))
        expect(answer).to.include(" from='here.example'").and.not.to.include(' version=').and.not.to.include('features')
      })

      it('RFC 6120 §4.8.5: another prefix than stream is accepted, and the dialback namespace under any prefix', async () => {
        serve()
        const peer = await at(stage)
        const attributes = `xmlns:s='${STREAMS}' xmlns='jabber:server' to='here.example' from='peer.example' version='1.0'`
        await peer.say(`<?xml version="1.0" encoding="utf-8"?>\n<s:stream ${attributes}>`, 'byte by byte')
        await peer.hears('</stream:features>')
        for (const [id, open] of [
          ['one', '<verify xmlns="jabber:server:dialback"'],
          ['two', '<x:verify xmlns:x="jabber:server:dialback"'],
        ] as const) {
          const name = open.slice(1).split(' ')[0]
          await peer.say(`${open} from='peer.example' to='nowhere.example' id='${id}'>k</${name}>`)
          await peer.hears(`<db:verify `, `id='${id}'`)
        }
      })
    })
  }

  it('RFC 6120 §4.7.5: without version and with TLS required, the answer is policy-violation', async () => {
    serve()
    await refused(server.peer(), { name: 'old', sent: header({ version: null }), error: 'policy-violation' }, 'whole')
  })

  it('RFC 6120 §4.9.3.12: a stanza before any proof is policy-violation without the TLS that is required, else not-authorized', async () => {
    const stanza = "<presence from='peer.example' to='here.example'/>"
    serve()
    await refused(server.peer(), { name: 'plain', sent: behind(stanza), error: 'policy-violation' }, 'byte by byte')
    await refused(
      await server.encrypted(),
      { name: 'TLS', sent: behind(stanza), error: 'not-authorized' },
      'byte by byte',
    )
    await server.stop()
    serve({ rules: { tls: 'optional' } })
    await refused(server.peer(), { name: 'optional', sent: behind(stanza), error: 'not-authorized' }, 'byte by byte')
    await server.stop()
    serve({ rules: { tls: 'disabled' } })
    await refused(server.peer(), { name: 'disabled', sent: behind(stanza), error: 'not-authorized' }, 'byte by byte')
  })

  it("the error header names us only when 'to' is served (RFC 6120 §4.9.1.3)", async () => {
    serve()
    const unknown = server.peer()
    await unknown.say(header({ to: 'elsewhere.example' }))
    expect(await unknown.hears(FOOTER)).to.not.match(/<stream:stream [^>]*from=/)
    const known = server.peer()
    await known.say(header({ from: 'here.example' }))
    expect(await known.hears(FOOTER)).to.match(/<stream:stream [^>]*from='here.example'/)
  })

  it('every stream has an id of its own, and every restart another (RFC 6120 §4.7.3)', async () => {
    serve()
    const ids = new Set<string>()
    const peer = server.peer()
    const next = async (): Promise<void> => {
      ids.add(/id='([0-9a-f]{32})'/.exec(await peer.hears('<stream:stream ', '</stream:features>'))![1]!)
    }
    await peer.say(header())
    await next()
    await peer.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await peer.hears('<proceed ')
    await peer.secure(server.credentialsOf('peer.example', 'both'))
    await peer.say(header())
    await next()
    await peer.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
    await peer.hears('<success ')
    await peer.say(header())
    await next()
    expect(ids.size).to.equal(3)
  })
})
