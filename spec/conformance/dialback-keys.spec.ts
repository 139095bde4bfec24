import { createHash, createHmac } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { dialbackKey, isDialbackKey, type KeyScope } from '../../lib/negotiation/dialback/key.js'
import { TestAuthority } from '../support/authority.js'
import { WireServer, type WireServerOptions } from '../support/wire-peer.js'

const SECRET = 's3cr3tf0rd14lb4ck'
const SCOPE: KeyScope = { receiving: 'xmpp.example.com', originating: 'example.org', streamId: 'D60000229F' }
const HEXADECIMAL = '0123456789abcdef'
const KEY = '37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643'

describe('dialback keys (XEP-0185, XEP-0220 §2.4)', () => {
  const published: readonly (readonly [
    secret: string,
    receiving: string,
    originating: string,
    id: string,
    key: string,
  ])[] = [
    [SECRET, 'xmpp.example.com', 'example.org', 'D60000229F', KEY],
    [
      SECRET,
      'montague.example',
      'capulet.example',
      'D60000229F',
      'b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3',
    ],
    [
      'd14lb4ck43v3r',
      'capulet.example',
      'montague.example',
      '417GAF25',
      '225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d',
    ],
  ]
  for (const [secret, receiving, originating, streamId, key] of published) {
    it(`XEP-0185 §3: ${originating} towards ${receiving}`, () => {
      expect(dialbackKey(secret, { receiving, originating, streamId })).to.equal(key)
      expect(isDialbackKey(key, [secret], { receiving, originating, streamId })).to.equal(true)
    })
  }

  const { receiving, originating, streamId } = SCOPE
  const data = `${receiving} ${originating} ${streamId}`
  const hashed = createHash('sha256').update(SECRET)
  for (const [name, key, begin] of [
    ['names swapped', dialbackKey(SECRET, { receiving: originating, originating: receiving, streamId }), '07335aa4'],
    ['the inner hash as bytes', createHmac('sha256', hashed.copy().digest()).update(data).digest('hex'), '4530485c'],
    ['the secret not hashed', createHmac('sha256', SECRET).update(data).digest('hex'), 'dd4ce6bd'],
  ] as const) {
    it(`${name}: another key, which is invalid`, () => {
      expect(key).to.match(new RegExp(`^${begin}`))
      expect(isDialbackKey(key, [SECRET], SCOPE)).to.equal(false)
    })
  }

  it('CVE-2016-0756: fields are not run together', () => {
    const one = dialbackKey(SECRET, { receiving: 'example.in', originating: 'form.example.org', streamId })
    const other = dialbackKey(SECRET, { receiving: 'example.info', originating: 'rm.example.org', streamId })
    expect(one).to.not.equal(other)
  })

  const label = fc.stringMatching(/^[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,2}$/)
  const scopes = fc.record({ receiving: label, originating: label, streamId: fc.stringMatching(/^[A-Za-z0-9]{1,16}$/) })

  it('property: other fields, other key', () => {
    fc.assert(
      fc.property(scopes, scopes, (one, other) => {
        const same = (Object.keys(one) as (keyof KeyScope)[]).every(field => one[field] === other[field])
        expect(dialbackKey(SECRET, one) === dialbackKey(SECRET, other)).to.equal(same)
      }),
    )
  })

  it('property: a character moved across a field boundary changes the key', () => {
    fc.assert(
      fc.property(scopes, scope => {
        const key = dialbackKey(SECRET, scope)
        const { receiving, originating, streamId } = scope
        for (const moved of [
          { ...scope, receiving: receiving + originating[0], originating: originating.slice(1) },
          { ...scope, receiving: receiving.slice(0, -1), originating: receiving.at(-1) + originating },
          { ...scope, originating: originating + streamId[0], streamId: streamId.slice(1) },
          { ...scope, originating: originating.slice(0, -1), streamId: originating.at(-1) + streamId },
        ]) {
          expect(isDialbackKey(key, [SECRET], moved)).to.equal(false)
        }
      }),
    )
  })

  it('property: a key with one character changed, cut or added is invalid', () => {
    fc.assert(
      fc.property(fc.nat(63), fc.constantFrom(...HEXADECIMAL), (at, digit) => {
        const changed = KEY.slice(0, at) + digit + KEY.slice(at + 1)
        expect(isDialbackKey(changed, [SECRET], SCOPE)).to.equal(changed === KEY)
        expect(isDialbackKey(KEY.slice(0, at), [SECRET], SCOPE)).to.equal(false)
        expect(isDialbackKey(KEY + digit, [SECRET], SCOPE)).to.equal(false)
      }),
    )
  })

  it('the previous secret is good while it is listed, and no longer', () => {
    expect(isDialbackKey(KEY, ['new', SECRET], SCOPE)).to.equal(true)
    expect(isDialbackKey(KEY, ['new'], SCOPE)).to.equal(false)
    expect(isDialbackKey(KEY, [], SCOPE)).to.equal(false)
  })

  describe('asked for on a stream (XEP-0220 §2.2)', () => {
    const authority = new TestAuthority()
    const servers: WireServer[] = []

    afterEach(() => Promise.all(servers.splice(0).map(server => server.stop())))

    function serve(options: WireServerOptions = {}): WireServer {
      const server = new WireServer({
        authority,
        domains: ['example.org', 'xn--bcher-kva.example', 'bücher.example'],
        secret: SECRET,
        ...options,
      })
      servers.push(server)
      return server
    }

    async function ask(server: WireServer, key: string, attributes: object = {}): Promise<string> {
      const peer = await server.secured({ to: 'example.org', from: 'xmpp.example.com' }, null)
      const names = { from: 'xmpp.example.com', to: 'example.org', id: 'D60000229F', ...attributes }
      const text = Object.entries(names).map(([name, value]) => ` ${name}='${value}'`)
      await peer.say(`<db:verify${text.join('')}>${key}</db:verify>`)
      const answer = await peer.hears('<db:verify ', " type='", "'")
      peer.hangUp()
      return answer
    }

    it('the answer echoes the id and swaps the names', async () => {
      expect(await ask(serve(), KEY)).to.include(
        "from='example.org' to='xmpp.example.com' id='D60000229F' type='valid'",
      )
    })

    for (const [name, key, type] of [
      ['white space around it', ` \n\t${KEY}\n `, 'valid'],
      ['upper-case', KEY.toUpperCase(), 'invalid'],
      ['shorter', KEY.slice(1), 'invalid'],
      ['longer', `${KEY}0`, 'invalid'],
      ['not hexadecimal', 'z'.repeat(64), 'invalid'],
      ['512 characters', 'a'.repeat(512), 'invalid'],
      ['empty', '', 'error'],
      ['white space alone', '  ', 'error'],
      ['513 characters', 'a'.repeat(513), 'error'],
      ['60 kB', 'a'.repeat(60_000), 'error'],
      ['with white space within', `${KEY.slice(0, 32)} ${KEY.slice(32)}`, 'error'],
      ['not ASCII', 'é'.repeat(64), 'error'],
    ] as const) {
      it(`a key that is ${name}: ${type}`, async () => {
        expect(await ask(serve(), key)).to.include(`type='${type}'`)
      })
    }

    it('a key of 1 MB ends the stream: policy-violation', async () => {
      const server = serve()
      const peer = await server.secured({ to: 'example.org', from: 'xmpp.example.com' }, null)
      await peer.say(`<db:verify from='xmpp.example.com' to='example.org' id='i'>${'a'.repeat(1_000_000)}</db:verify>`)
      await peer.fails('policy-violation')
    })

    it('RFC 7622 §3.2: names in mixed case or with a trailing dot are the same names', async () => {
      const server = serve()
      expect(await ask(server, KEY, { from: 'XMPP.Example.COM.', to: 'Example.ORG.' })).to.include("type='valid'")
    })

    it('RFC 7622 §3.2: an A-label is the same name as its U-label', async () => {
      const server = serve()
      const key = dialbackKey(SECRET, { receiving: 'xmpp.example.com', originating: 'bücher.example', streamId: 'i' })
      for (const to of ['bücher.example', 'BÜCHER.example', 'xn--bcher-kva.example', 'bu\u0308cher.example']) {
        expect(await ask(server, key, { to, id: 'i' })).to.include("type='valid'")
      }
    })

    it('it is valid for exactly its names and id', async () => {
      const server = serve()
      expect(await ask(server, KEY, { id: 'd60000229F' })).to.include("type='invalid'")
      expect(await ask(server, KEY, { id: 'D60000229F ' })).to.include("type='invalid'")
      expect(await ask(server, KEY, { from: 'sub.xmpp.example.com' })).to.include("type='invalid'")
      expect(await ask(server, KEY, { to: 'bücher.example' })).to.include("type='invalid'")
    })

    it('two servers with one secret give the same answer', async () => {
      for (const server of [serve(), serve()]) expect(await ask(server, KEY)).to.include("type='valid'")
      expect(await ask(serve({ secret: 'another' }), KEY)).to.include("type='invalid'")
    })
  })
})
