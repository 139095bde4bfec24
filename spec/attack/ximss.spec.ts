import { expect } from 'chai'
import fc from 'fast-check'
import { LoginGuard } from '../../lib/access/ximss/login-guard.js'
import { readRequest } from '../../lib/access/ximss/request.js'
import { defaultXimssLimits } from '../../lib/access/ximss/services.js'
import { readIq } from '../../lib/access/ximss/translation/iq.js'
import { readMessage } from '../../lib/access/ximss/translation/message.js'
import { readPresence } from '../../lib/access/ximss/translation/presence.js'
import { XimssError } from '../../lib/access/ximss/ximss-error.js'
import { LocalDelivery } from '../../lib/routing/local-delivery.js'
import { Jids } from '../../lib/stanza/jid.js'
import type { Refusal } from '../../lib/stanza/route.js'
import { Stanza } from '../../lib/stanza/stanza.js'
import { childrenOf, namespaceOf } from '../../lib/xml/element.js'
import { CONTENT_NAMESPACES, NS_SERVER } from '../../lib/xml/namespaces.js'
import type { ElementToken } from '../../lib/xml/token.js'
import { Tokenizer } from '../../lib/xml/tokenizer.js'
import { Fixture, type FixtureOptions, TestAccounts } from '../access/ximss/fixture.js'
import { ManualClock } from '../support/manual-clock.js'
import type { XimssClient } from '../support/ximss-client.js'

const jids = new Jids()
const DESK = 'olga@north.example/desk'
const FAILED = /errorText="incorrect password or account name" errorNum="515"\/>$/
const { password } = TestAccounts

/** A first-level element as it comes over a stream of a peer, whose header declares some prefixes. */
function tokenOf(text: string, contentNamespaces: readonly string[] = CONTENT_NAMESPACES): ElementToken {
  const limits = {
    streamBytes: 1e7,
    elementBytes: 262_144,
    skippedBytes: 1e6,
    startTagBytes: 65_536,
    attributes: 100,
    declarations: 20,
    depth: 50,
    elements: 20_000,
    streamElements: 1e6,
  }
  const tokenizer = new Tokenizer({ mode: 'stream', limits, contentNamespaces })
  const prefixes = ['a', 'b', 'stream', 'zz'].map(prefix => ` xmlns:${prefix}='urn:header:${prefix}'`).join('')
  tokenizer.write(Buffer.from(`<s:stream xmlns='${NS_SERVER}' xmlns:s='urn:s'${prefixes}>${text}`))
  expect(tokenizer.next()?.kind).to.equal('header')
  const token = tokenizer.next()
  if (token?.kind !== 'element') throw new Error(token?.kind === 'error' ? token.text : `${token?.kind}`)
  return token
}

function stanzaOf(text: string): Stanza {
  const stanza = Stanza.fromToken(tokenOf(text), jids)
  if ('defect' in stanza) throw new Error(stanza.defect)
  return stanza
}

const addressed = `from='a@evil.example/r' to='${DESK}'`

describe('attacks on and by XIMSS clients', function () {
  this.timeout(20_000)
  let fixture: Fixture
  const start = async (options?: FixtureOptions): Promise<Fixture> => (fixture = await Fixture.start(options))
  afterEach(() => fixture?.stop())

  describe('amplification by long namespaces (CWE-776)', () => {
    const content = (namespace: string, count: number): string =>
      `<x xmlns:a='${namespace}' xmlns='urn:x'>${'<a:y/>'.repeat(count)}</x>`
    const bombs: readonly (readonly [name: string, text: string])[] = [
      [
        'message, 32 KB of quotes, 2850 elements',
        `<message ${addressed} type='chat'>${content('"'.repeat(32_000), 2850)}</message>`,
      ],
      [
        'message, 32 KB of letters, 16000 elements',
        `<message ${addressed}>${content('n'.repeat(32_000), 16_000)}</message>`,
      ],
      ['message, 500 bytes, 800 elements', `<message ${addressed}>${content('n'.repeat(500), 800)}</message>`],
      [
        'presence, 32 KB of quotes, 2850 elements',
        `<presence ${addressed}>${content('"'.repeat(32_000), 2850)}</presence>`,
      ],
      [
        'iq, 3 KB of quotes, 2000 elements',
        `<iq ${addressed} type='get' id='1'>${content('"'.repeat(3000), 2000)}</iq>`,
      ],
      [
        'attributes instead of elements',
        `<message ${addressed}><x xmlns:a='${'"'.repeat(30_000)}' xmlns='urn:x'>${'<y a:b=""/>'.repeat(2850)}</x></message>`,
      ],
    ]
    for (const [name, text] of bombs) {
      it(`${name}: what the client gets is bounded, and means the same`, async () => {
        await start()
        const client = await fixture.boundClient()
        const refusal = fixture.deliver(stanzaOf(text))
        expect(refusal).to.equal(undefined)
        const shown = await client.next()
        expect(shown.length).to.be.at.most(4 * text.length + 65_536)
        const request = readRequest(Buffer.from(shown.replaceAll('<a:y/>', '').replaceAll('<y a:b=""/>', '')))
        if ('problem' in request) throw new Error(request.problem)
        expect(childrenOf(request.element).map(namespaceOf)).to.include('urn:x')
        expect((await client.request('noop'))[0]).to.match(/^<response id="c\d"\/>$/)
      })
    }

    it('what would grow too large is refused to its sender: not-acceptable', async () => {
      await start()
      const client = await fixture.boundClient()
      const refusal = fixture.deliver(
        stanzaOf(`<message ${addressed}>${`<x xmlns='urn:x' a='${'"'.repeat(30_000)}'/>`.repeat(6)}</message>`),
      )
      expect(refusal).to.include({ condition: 'not-acceptable', type: 'modify' })
      expect(await client.request('noop')).to.have.length(1)
    })

    it('a request that is refused so is not open any more; an answer that is becomes an error for the client', async () => {
      await start()
      const client = await fixture.boundClient()
      const big = `<x xmlns='urn:x' a='${'"'.repeat(30_000)}'/>`.repeat(6)
      const request = (payload: string): Stanza =>
        stanzaOf(`<iq ${addressed} type='set' id='1'><q xmlns='urn:q'>${payload}</q></iq>`)
      expect(fixture.deliver(request(big))?.condition).to.equal('not-acceptable')
      expect(fixture.deliver(request(''))).to.equal(undefined)
      await client.next()
      await client.request('iqSend', { type: 'get', peer: 'a@evil.example/r', iqid: '2' }, '<q xmlns="urn:q"/>')
      fixture.deliver(stanzaOf(`<iq ${addressed} type='result' id='2'><q xmlns='urn:q'>${big}</q></iq>`))
      expect(await client.next()).to.match(/^<iqRead peer="a@evil.example\/r" .*type="error" iqid="2" .*not-acceptable/)
    })

    it('from a local client: its request fails, or its stanza is bounded as well', async () => {
      await start()
      const client = await fixture.boundClient()
      const long = '&quot;'.repeat(32_000)
      const peer = 'olga@north.example'
      const [inner] = await client.request(
        'sendIM',
        { peer },
        `<x xmlns="urn:x" xmlns:a="${long}">${'<a:y/>'.repeat(2900)}</x>`,
      )
      expect(inner).to.match(/^<response id="c\d"\/>$/)
      expect(fixture.sent[0]?.size).to.be.below(300_000)
      client.send(`<sendIM id="o" peer="${peer}" xmlns:a="${'n'.repeat(32_000)}">${'<a:y/>'.repeat(2900)}</sendIM>`)
      expect(await client.nextWith('id="o"')).to.contain('errorNum="501"')
    })
  })

  it('a stanza that the translation breaks on (CWE-248) is refused: internal-server-error, and all goes on', async () => {
    await start()
    const client = await fixture.boundClient()
    // It has the looks of a stanza, and fails when its content is read.
    const broken: Stanza = Object.create(stanzaOf(`<message ${addressed}><body>b</body></message>`))
    expect(fixture.deliver(broken)?.condition).to.equal('internal-server-error')
    expect(fixture.log.events()).to.include('ximss-show-failed')
    fixture.deliverText('still here')
    expect(await client.next()).to.contain('still here')
  })

  describe('prefixes of nobody on a stream shared with others (Namespaces in XML 1.0 §5)', () => {
    const read = (text: string): Stanza | undefined => {
      const request = readRequest(Buffer.from(text))
      if ('problem' in request) return undefined
      try {
        if (request.name === 'sendIM') return readMessage(request, jids)
        return request.name === 'presenceSet' ? readPresence(request, jids) : readIq(request, jids)
      } catch (error) {
        if (error instanceof XimssError || error instanceof RangeError) return undefined
        throw error
      }
    }

    for (const [error, child] of [
      ['<error xmlns:zz="urn:z"><zz:y/></error>', 'urn:z'],
      [
        '<error xmlns:stream="urn:z" type="cancel"><stream:error><x xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></error>',
        'urn:z',
      ],
      ['<error xmlns:zz="urn:z"><y xmlns="urn:y" zz:a="1"/></error>', 'urn:y'],
    ] as const) {
      it(`iqSend of type error with ${error} declares what it uses`, () => {
        const stanza = read(`<iqSend id="3" peer="a@peer.example/desk" type="error" iqid="Q1">${error}</iqSend>`)
        const token = tokenOf(stanza?.serialize().toString() ?? '')
        expect(token.portable).to.equal(true)
        expect(childrenOf(stanza!.childNamed('error')!).map(namespaceOf)).to.deep.equal([child])
      })
    }

    it('whatever a client sends: the stanza stands on its own, and takes nothing from the header', () => {
      const prefix = fc.constantFrom('', '', 'a:', 'b:', 'stream:', 'zz:')
      const name = fc.constantFrom('error', 'body', 'status', 'show', 'presence', 'x', 'y', 'active')
      const namespaces = fc.constantFrom('urn:1', 'urn:2', 'http://etherx.jabber.org/streams', ...CONTENT_NAMESPACES)
      const declarations = fc
        .dictionary(fc.constantFrom('xmlns', 'xmlns:a', 'xmlns:b', 'xmlns:stream', 'xmlns:zz'), namespaces, {
          maxKeys: 3,
        })
        .map(all =>
          Object.entries(all)
            .map(([key, value]) => ` ${key}="${value}"`)
            .join(''),
        )
      const attribute = fc.constantFrom('', '', ' c="1"', ' a:c="1"', ' zz:c="&lt;"', ' xml:lang="de"')
      const { element } = fc.letrec<{ element: string }>(tie => ({
        element: fc
          .tuple(
            prefix,
            name,
            declarations,
            attribute,
            fc.array(fc.oneof({ depthSize: 'small' }, fc.constantFrom('', 't'), tie('element')), { maxLength: 3 }),
          )
          .map(([p, n, d, a, inner]) => `<${p}${n}${d}${a}>${inner.join('')}</${p}${n}>`),
      }))
      const head = fc.constantFrom(
        'sendIM peer="p@peer.example"',
        'presenceSet',
        'presenceSet peer="p@peer.example" type="subscribe"',
        'iqSend peer="p@peer.example" type="get"',
        'iqSend peer="p@peer.example" type="result" iqid="1"',
        'iqSend peer="p@peer.example" type="error" iqid="1"',
      )
      let made = 0
      fc.assert(
        fc.property(
          head,
          declarations,
          declarations,
          fc.array(element, { maxLength: 3 }),
          (start, outer, own, inner) => {
            const [operation = ''] = start.split(' ')
            const inError = start.includes('"error"') ? own.replace(/ xmlns="[^"]*"/, '') : undefined
            const wrapped = inError === undefined ? inner.join('') : `<error${inError}>${inner.join('')}</error>`
            // All prefixes are bound, as the parser of requests demands, and those of `<error>` by nothing else.
            const declared = `${outer}${inError ?? ''}`
            const all = ['a', 'b', 'stream', 'zz'].filter(p => !declared.includes(`xmlns:${p}=`))
            const bound = all.map(p => ` xmlns:${p}="urn:request:${p}"`).join('')
            const stanza = read(`<${start}${outer.replace(/ xmlns="[^"]*"/, '')}${bound}>${wrapped}</${operation}>`)
            if (stanza === undefined) return
            made++
            const text = stanza.serialize().toString()
            expect(text).not.to.contain('urn:header:')
            expect(tokenOf(text, []).portable, text).to.equal(true)
          },
        ),
        { numRuns: 2000 },
      )
      expect(made).to.be.above(300)
    })
  })

  describe('disconnecting somebody by what he is sent (CWE-400)', () => {
    it('the largest stanza that a peer may send is shown, though it grows fourfold', async () => {
      await start()
      const client = await fixture.boundClient()
      const text = `<message ${addressed} type='chat'><body>${'>'.repeat(262_000 - 300)}</body></message>`
      expect(fixture.deliver(stanzaOf(text))).to.equal(undefined)
      expect((await client.next()).length).to.be.above(1_000_000)
      expect(await client.request('noop')).to.have.length(1)
    })

    it('a client that reads slowly loses nothing but what it is told the sender of: resource-constraint', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.boundClient()
      client.pause()
      const refusals: (Refusal | undefined)[] = []
      const stanza = stanzaOf(`<message ${addressed} type='chat'><body>${'x'.repeat(200_000)}</body></message>`)
      // More than any socket buffer of the system takes.
      for (let i = 0; i < 100; i++) refusals.push(fixture.deliver(stanza))
      const refused = refusals.filter(refusal => refusal !== undefined)
      expect(refused.length).to.be.within(1, 99)
      for (const refusal of refused) expect(refusal).to.include({ condition: 'resource-constraint', type: 'wait' })
      client.resume()
      for (let i = refused.length; i < 100; i++) expect(await client.next()).to.contain('<readIM ')
      fixture.deliverText('and goes on')
      expect(await client.next()).to.contain('and goes on')
    })
  })

  describe('guessing passwords (CWE-307)', () => {
    const limits = { ...defaultXimssLimits, failedLoginDelayMs: 0 }
    const olga = { local: 'olga', domain: 'north.example' }
    const ivo = { local: 'ivo', domain: 'north.example' }
    /** What comes of a login, while timers that are due at once fire. */
    const outcome = async (clock: ManualClock, login: Promise<string[]>): Promise<string> => {
      let answer: string | undefined
      void login.then(([first = '']) => {
        answer = first
      })
      while (answer === undefined) {
        clock.advance(0)
        await new Promise(resolve => setImmediate(resolve))
      }
      return answer
    }
    const anew = async (clock: ManualClock, word: string): Promise<string> => {
      const client = await fixture.client()
      const answer = await outcome(clock, client.login('olga', word))
      client.destroy()
      return answer
    }

    it('over a new connection each time: after five failures the right password is refused like a wrong one, unseen', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const answers = new Set<string>()
      for (let i = 0; i < 5; i++) answers.add(await anew(clock, 'wrong'))
      answers.add(await anew(clock, password))
      answers.add(await anew(clock, 'wrong'))
      expect([...answers]).to.have.length(1)
      expect([...answers][0]).to.match(FAILED)
      expect(fixture.accounts.asked).to.have.length(5)
      clock.advance(1000)
      expect(await anew(clock, password)).to.match(/^<session /)
      expect(fixture.accounts.asked).to.have.length(6)
      expect(await anew(clock, 'wrong')).to.match(FAILED)
      expect(await anew(clock, password)).to.match(/^<session /)
    })

    it('by SCRAM and by PLAIN they count as well', async () => {
      const clock = new ManualClock()
      await start({ clock })
      for (let i = 0; i < 3; i++) {
        const client = await fixture.client()
        expect(await outcome(clock, client.loginScram('olga', 'wrong'))).to.match(FAILED)
      }
      for (let i = 0; i < 2; i++) {
        const client = await fixture.client()
        await client.startTls(Fixture.trust)
        const plain = Buffer.from('\0olga\0wrong').toString('base64')
        expect(await outcome(clock, client.request('login', { method: 'PLAIN', authData: plain }))).to.match(FAILED)
      }
      const client = await fixture.client()
      expect(await outcome(clock, client.loginScram('olga', password))).to.match(FAILED)
      clock.advance(1000)
      expect(await outcome(clock, client.loginScram('olga', password))).to.match(/^<session /)
    })

    it('the rest doubles from one second to five minutes, and a success ends the row', () => {
      const clock = new ManualClock()
      const guard = new LoginGuard(clock, limits)
      const rests: number[] = []
      for (let i = 0; i < 15; i++) {
        expect(guard.admits('192.0.2.1', olga)).to.equal(true)
        const rest = guard.record('192.0.2.1', olga, false)
        rests.push(rest / 1000)
        if (rest === 0) continue
        clock.advance(rest - 1)
        expect(guard.admits('192.0.2.1', olga)).to.equal(false)
        clock.advance(1)
      }
      expect(rests).to.deep.equal([0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
      expect(guard.record('192.0.2.1', olga, true)).to.equal(0)
      expect(guard.record('192.0.2.1', olga, false)).to.equal(0)
    })

    it('from many addresses at one account, and from one /64 at many accounts', () => {
      const guard = new LoginGuard(new ManualClock(), limits)
      for (let i = 0; i < 5; i++) guard.record(`192.0.2.${i}`, olga, false)
      expect(guard.admits('198.51.100.1', olga)).to.equal(false)
      expect(guard.admits('198.51.100.1', ivo)).to.equal(true)
      for (let i = 0; i < 5; i++) guard.record(`2001:db8::${i}`, { local: `u${i}`, domain: 'north.example' }, false)
      expect(guard.admits('2001:db8::ffff', ivo)).to.equal(false)
      expect(guard.admits('2001:db8:0:1::1', ivo)).to.equal(true)
    })

    it('does not lock the owner out of a network he has logged in from (CWE-645)', () => {
      const guard = new LoginGuard(new ManualClock(), limits)
      guard.record('198.51.100.1', olga, true)
      for (let i = 0; i < 5; i++) guard.record(`192.0.2.${i}`, olga, false)
      expect(guard.admits('198.51.100.1', olga)).to.equal(true)
      expect(guard.admits('198.51.100.2', olga)).to.equal(false)
    })

    it('at most two passwords of one address are looked at at a time; the others wait, and not too many', async () => {
      const answers: ((isProven: boolean) => void)[] = []
      const accounts = {
        credentials: async () => undefined,
        verifyPassword: () => new Promise<boolean>(resolve => answers.push(resolve)),
      }
      await start({ services: { accounts }, limits: { freeFailures: 100 } })
      const clients = await Promise.all(Array.from({ length: 25 }, () => fixture.client()))
      let left = clients.length
      const told = clients.map(client => client.login('olga', 'x').finally(() => left--))
      // Two are looked at and twenty wait, so that the next is refused at once.
      await Promise.race(told)
      expect(answers).to.have.length(2)
      let answered = 0
      while (left > 0) {
        expect(answers.length - answered).to.be.at.most(2)
        if (answered < answers.length) answers[answered++]!(false)
        await new Promise(resolve => setImmediate(resolve))
      }
      expect(answered).to.be.within(22, 24)
      for (const [answer] of await Promise.all(told)) expect(answer).to.match(FAILED)
    })
  })

  it('silent connections of one address (CWE-770): a quarter of all places, and only until they log in', async () => {
    await start({ channels: 40 })
    const silent = await Promise.all(Array.from({ length: 10 }, () => fixture.client()))
    const refused = await fixture.client()
    expect(await refused.next()).to.equal('<bye errorText="too many connections, try later"/>')
    await refused.closed
    expect(fixture.listener.sessions.size).to.equal(10)
    await silent[0]!.login('olga', password)
    const next = await fixture.client()
    expect((await next.request('noop'))[0]).to.match(/^<response /)
  })

  it('asking whether somebody is there (RFC 6121 §8.5.1, §13.2): a session that takes no part and one that is absent answer alike', async () => {
    await start()
    const client: XimssClient = await fixture.boundClient()
    await client.request('signalUnbind')
    const local = new LocalDelivery(
      fixture.routes,
      () => undefined,
      () => {},
    )
    const ask = (to: string, kind: string, attributes: string): Refusal | undefined => {
      const stanza = stanzaOf(`<${kind} from='a@evil.example' to='${to}' ${attributes}><q xmlns='urn:q'/></${kind}>`)
      const refusal = local.deliver(stanza, () => {})
      return stanza.answerable ? refusal : undefined
    }
    for (const [kind, attributes] of [
      ['iq', "type='get' id='1'"],
      ['iq', "type='set' id='1'"],
      ['iq', "type='result' id='1'"],
      ['message', ''],
      ['message', "type='chat'"],
      ['message', "type='groupchat'"],
      ['message', "type='headline'"],
      ['message', "type='error'"],
      ['presence', ''],
    ] as const) {
      const there = ask(DESK, kind, attributes)
      expect(there, `${kind} ${attributes}`).to.deep.equal(ask('olga@north.example/absent', kind, attributes))
      expect(there).to.deep.equal(ask('nobody@north.example/absent', kind, attributes))
    }
  })
})
