import type { SecureContext } from 'node:tls'
import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { scriptedAttempt } from '../support/scripted-initiator.js'
import { type PeerSettings, scriptedKey } from '../support/scripted-party.js'
import { GOOD, HERE, Scene, settled, THERE } from '../support/scripted-scene.js'
import { child, DIALBACK, ScriptedStream, type XmlNode } from '../support/scripted-stream.js'

const STREAMS = 'urn:ietf:params:xml:ns:xmpp-streams'

describe('Server Dialback with a third party', () => {
  const authority = new TestAuthority()
  let scene: Scene

  afterEach(() => scene.stop())

  /** A stream to our server, through TLS, with its features read. */
  async function opened(
    from = THERE,
    to = HERE,
    certificate?: SecureContext,
  ): Promise<{ stream: ScriptedStream; id: string }> {
    const stream = new ScriptedStream(scene.network.connect(to)!)
    stream.open({ from, to })
    await stream.expect('stream')
    await stream.expect('features')
    stream.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await stream.expect('proceed')
    await stream.startTls('client', certificate, to)
    stream.open({ from, to })
    const header = await stream.expect('stream')
    await stream.expect('features')
    return { stream, id: header.attributes.id! }
  }

  function request(stream: ScriptedStream, id: string, from = THERE, to = HERE): void {
    stream.send(
      `<db:result ${DIALBACK} from='${from}' to='${to}'>${scriptedKey(`of ${from}`, to, from, id)}</db:result>`,
    )
  }

  function verification(id: string, key: string, from = THERE, to = HERE): string {
    return `<db:verify ${DIALBACK} from='${from}' to='${to}' id='${id}'>${key}</db:verify>`
  }

  function answerOf({ attributes, children }: XmlNode): string {
    return [attributes.type, children[0]?.children[0]?.name].filter(one => one !== undefined).join(' ')
  }

  /** An authoritative server that does with a question what the spec says; `stream` is there once it is asked. */
  function authoritative(answer: (stream: ScriptedStream, question: XmlNode) => void): { asked: number } {
    const count = { asked: 0 }
    scene.network.listen(THERE, async socket => {
      const stream = new ScriptedStream(socket)
      await stream.expect('stream')
      stream.open({ from: THERE, to: HERE, id: 'authority' })
      stream.features('')
      const question = await stream.expect('verify')
      count.asked++
      answer(stream, question)
      await stream.closeInTurn()
    })
    return count
  }

  const plain = { rules: { tls: 'optional' }, certificate: null } as const

  /** A plain stream to our server. */
  async function openedPlain(from = THERE, to = HERE): Promise<{ stream: ScriptedStream; id: string }> {
    const stream = new ScriptedStream(scene.network.connect(HERE)!)
    stream.open({ from, to })
    const header = await stream.expect('stream')
    await stream.expect('features')
    return { stream, id: header.attributes.id! }
  }

  describe('the leg to the authoritative server', () => {
    const fails = 'remote-connection-failed'
    const cases: readonly [PeerSettings['tls'], boolean, Partial<PeerSettings>, 'plain' | 'tls' | typeof fails][] = [
      ['required', true, { tls: 'disabled' }, fails],
      ['required', true, { tls: 'optional', certificate: 'missing' }, fails],
      ['required', false, { tls: 'disabled' }, fails],
      ['optional', true, { tls: 'disabled' }, 'plain'],
      ['optional', true, { tls: 'optional', certificate: 'missing' }, 'plain'],
      ['optional', true, { certificate: 'invalid' }, fails],
      ['required', true, { certificate: 'invalid' }, fails],
      ['optional', false, { certificate: 'invalid', strict: false }, 'tls'],
      ['required', false, { certificate: 'invalid', strict: false }, 'tls'],
      ['optional', true, {}, 'tls'],
      ['required', true, {}, 'tls'],
      ['disabled', true, { tls: 'required' }, fails],
      ['disabled', true, { tls: 'optional' }, 'plain'],
    ]
    for (const [tls, strict, other, expected] of cases) {
      const authoritativeSide = Object.values(other).join(', ') || 'as one hopes'
      it(`XEP-0220 §2.2: policy ${tls}, ${strict ? 'strict' : 'lax'}, authoritative server ${authoritativeSide}: ${expected}`, async () => {
        scene = new Scene(authority, { rules: { tls, strict } })
        const confirming = scene.receiver({ settings: { ...GOOD, ...other } })
        const party = scene.party(THERE, { tls: 'optional', certificate: 'missing' })
        const { proof, detail, encrypted } = await scriptedAttempt(party, HERE)
        expect(encrypted).to.equal(tls !== 'disabled')
        if (expected === fails) {
          expect([proof, detail]).to.deep.equal(['none', fails])
          expect(confirming.visits.some(({ asked }) => asked)).to.equal(false)
        } else {
          expect(proof).to.equal('dialback')
          expect(confirming.visits.map(({ asked, stream }) => [asked, stream.encrypted])).to.deep.equal([
            [true, expected === 'tls'],
          ])
        }
      })
    }
  })

  describe('what the authoritative server answers', () => {
    const error = (condition: string): string =>
      `<error type='cancel'><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
    const names = `${DIALBACK} from='${THERE}' to='${HERE}'`
    const answers: Record<string, [(stream: ScriptedStream, id: string) => void, string]> = {
      valid: [(stream, id) => stream.send(`<db:verify ${names} id='${id}' type='valid'/>`), 'valid'],
      invalid: [(stream, id) => stream.send(`<db:verify ${names} id='${id}' type='invalid'/>`), 'invalid'],
      'item-not-found': [
        (stream, id) =>
          stream.send(`<db:verify ${names} id='${id}' type='error'>${error('item-not-found')}</db:verify>`),
        'error remote-server-not-found',
      ],
      'host-unknown on its stream': [stream => stream.fail('host-unknown'), 'error remote-server-not-found'],
      'another stream error': [stream => stream.fail('internal-server-error'), 'error remote-server-timeout'],
      'another dialback error': [
        (stream, id) =>
          stream.send(`<db:verify ${names} id='${id}' type='error'>${error('service-unavailable')}</db:verify>`),
        'error remote-server-timeout',
      ],
      'its footer': [stream => stream.close(), 'error remote-server-timeout'],
      'a cut': [stream => stream.cut(), 'error remote-server-timeout'],
      'valid with another id': [
        (stream, id) => stream.send(`<db:verify ${names} id='x${id}' type='valid'/>`),
        'error remote-server-timeout',
      ],
      'valid without an id': [
        stream => stream.send(`<db:verify ${names} type='valid'/>`),
        'error remote-server-timeout',
      ],
      'valid for another domain': [
        (stream, id) => stream.send(`<db:verify ${DIALBACK} from='x.example' to='${HERE}' id='${id}' type='valid'/>`),
        'error remote-server-timeout',
      ],
      'valid to another domain': [
        (stream, id) => stream.send(`<db:verify ${DIALBACK} from='${THERE}' to='x.example' id='${id}' type='valid'/>`),
        'error remote-server-timeout',
      ],
      'a result instead of a verification': [
        stream => stream.send(`<db:result ${names} type='valid'/>`),
        'error remote-server-timeout',
      ],
    }
    for (const [title, [answer, told]] of Object.entries(answers)) {
      it(`XEP-0220 §2.2, §2.4: ${title} → ${told}`, async () => {
        scene = new Scene(authority, plain)
        const counted = authoritative((stream, question) => answer(stream, question.attributes.id!))
        const { stream, id } = await openedPlain()
        request(stream, id)
        expect(answerOf(await stream.expect('result'))).to.equal(told)
        expect(counted.asked).to.equal(1)
        expect(scene.server.proven.length).to.equal(told === 'valid' ? 1 : 0)
        if (told === 'invalid') expect((await stream.read()).kind).to.equal('footer')
        else {
          // An error leaves the stream alone: another domain may still prove itself on it.
          expect(scene.server.incoming.size).to.equal(1)
          scene.receiver({ domain: 'second.example', settings: { ...GOOD, tls: 'disabled' } })
          request(stream, id, 'second.example')
          expect(answerOf(await stream.expect('result'))).to.equal('valid')
        }
        stream.cut()
      })
    }

    it('XEP-0220 §2.4: nobody there → remote-connection-failed', async () => {
      scene = new Scene(authority, plain)
      const { stream, id } = await openedPlain()
      request(stream, id)
      expect(answerOf(await stream.expect('result'))).to.equal('error remote-connection-failed')
      stream.cut()
    })

    it('XEP-0220 §2.4: no answer in time → remote-server-timeout, and the time was ours', async () => {
      scene = new Scene(authority, plain)
      let ask = (): void => {}
      const asked = new Promise<void>(resolve => (ask = resolve))
      authoritative(() => ask())
      const { stream, id } = await openedPlain()
      request(stream, id)
      await asked
      scene.clock.advance(10_000)
      expect(answerOf(await stream.expect('result'))).to.equal('error remote-server-timeout')
      stream.cut()
    })

    it('XEP-0220 §2.1.1: an invalid key beside a proven pair is an error, and the stream stays', async () => {
      scene = new Scene(authority, plain)
      scene.receiver({ settings: { ...GOOD, tls: 'disabled' } })
      const { stream, id } = await openedPlain()
      request(stream, id)
      expect(answerOf(await stream.expect('result'))).to.equal('valid')
      scene.receiver({ domain: 'second.example', settings: { ...GOOD, tls: 'disabled' }, secret: 'another' })
      request(stream, id, 'second.example')
      expect(answerOf(await stream.expect('result'))).to.equal('error forbidden')
      stream.send(`<message from='a@${THERE}' to='b@${HERE}'><body>still here</body></message>`)
      expect((await scene.server.next()).textOf('body')).to.equal('still here')
      stream.cut()
    })

    it('XEP-0220 §2.2: the same request twice is asked once', async () => {
      scene = new Scene(authority, plain)
      let give = (): void => {}
      const counted = authoritative((stream, { attributes }) => {
        give = () => stream.send(`<db:verify ${names} id='${attributes.id}' type='valid'/>`)
      })
      const { stream, id } = await openedPlain()
      request(stream, id)
      request(stream, id)
      await settled()
      give()
      expect(answerOf(await stream.expect('result'))).to.equal('valid')
      await settled()
      expect(counted.asked).to.equal(1)
      stream.cut()
    })
  })

  describe('several pairs on one stream', () => {
    it('XEP-0220 §2.5: each is proven for itself and carries only its own stanzas', async () => {
      scene = new Scene(authority, { domains: [HERE, 'also.example'] })
      scene.receiver()
      scene.receiver({ domain: 'second.example' })
      const { stream, id } = await opened()
      for (const [from, to] of [
        [THERE, HERE],
        ['second.example', HERE],
        [THERE, 'also.example'],
      ] as const) {
        request(stream, id, from, to)
        const answer = await stream.expect('result')
        expect([answerOf(answer), answer.attributes.from, answer.attributes.to]).to.deep.equal(['valid', to, from])
        stream.send(`<message from='a@${from}' to='b@${to}'><body>${from} ${to}</body></message>`)
        expect((await scene.server.next()).textOf('body')).to.equal(`${from} ${to}`)
      }
      expect(scene.server.proven.filter(({ direction }) => direction === 'incoming').length).to.equal(3)
      // (also, second) is made of two proven halves and is not proven.
      stream.send("<message from='a@second.example' to='b@also.example' id='no'><body>no</body></message>")
      stream.send(`<message from='a@${THERE}' to='b@${HERE}'><body>yes</body></message>`)
      expect((await scene.server.next()).textOf('body')).to.equal('yes')
      stream.send(`<message from='a@sub.${THERE}' to='b@${HERE}'><body>no</body></message>`)
      const error = await stream.expect('error')
      expect(child(error, 'invalid-from')?.namespace).to.equal(STREAMS)
    })

    it('RFC 6120 §4.9.3.12: a stanza before any proof ends the stream', async () => {
      scene = new Scene(authority)
      const { stream } = await opened()
      stream.send(`<message from='a@${THERE}' to='b@${HERE}'><body>early</body></message>`)
      expect(child(await stream.expect('error'), 'not-authorized')?.namespace).to.equal(STREAMS)
      expect(scene.server.received).to.deep.equal([])
    })

    for (const step of ['result', 'verify'] as const) {
      it(`XEP-0220 §2.1, §2.2: an answer that nobody asked for (${step}) proves nothing and ends the stream`, async () => {
        scene = new Scene(authority)
        const { stream } = await opened()
        stream.send(`<db:${step} ${DIALBACK} from='${THERE}' to='${HERE}' id='1' type='valid'/>`)
        expect(child(await stream.expect('error'), 'invalid-from')?.namespace).to.equal(STREAMS)
        expect(scene.server.proven).to.deep.equal([])
      })
    }
  })

  describe('a certificate beside the request', () => {
    async function withCertificate(rules: object): Promise<{ stream: ScriptedStream; id: string }> {
      scene = new Scene(authority, { rules })
      return await opened(THERE, HERE, scene.party(THERE).certificates.context(THERE, GOOD))
    }

    it('XEP-0220 §2.6: that verifies for the very name is proof enough; nobody is asked', async () => {
      const { stream, id } = await withCertificate({})
      request(stream, id)
      expect(answerOf(await stream.expect('result'))).to.equal('valid')
      expect(scene.server.proven.map(({ proof }) => proof)).to.deep.equal(['certificate'])
      expect(scene.network.dialed.get(THERE)).to.equal(undefined)
      stream.cut()
    })

    it('XEP-0220 §2.6: that does not verify for the name ends the request where validation is strict', async () => {
      const { stream, id } = await withCertificate({})
      scene.receiver({ domain: 'second.example' })
      request(stream, id, 'second.example')
      expect(answerOf(await stream.expect('result'))).to.equal('error not-authorized')
      expect(scene.network.dialed.get('second.example')).to.equal(undefined)
      stream.cut()
    })

    it('XEP-0220 §2.6: and counts for nothing where it is lax', async () => {
      const { stream, id } = await withCertificate({ strict: false })
      scene.receiver({ domain: 'second.example' })
      request(stream, id, 'second.example')
      expect(answerOf(await stream.expect('result'))).to.equal('valid')
      expect(scene.server.proven.map(({ proof }) => proof)).to.include('dialback')
      stream.cut()
    })
  })

  describe('as the authoritative server', () => {
    const key = (receiving: string, id: string): string => scriptedKey(`secret of ${HERE}`, receiving, HERE, id)

    it('XEP-0220 §2.2: says valid for its own key and for no other, on a stream that has proven nothing', async () => {
      scene = new Scene(authority)
      const { stream } = await opened()
      for (const [id, value, told] of [
        ['1', key(THERE, '1'), 'valid'],
        ['1', ` ${key(THERE, '1')}\n`, 'valid'],
        ['2', key(THERE, '1'), 'invalid'],
        ['1', key('x.example', '1'), 'invalid'],
        ['1', key(THERE, '1').toUpperCase(), 'invalid'],
        ['1', '', 'error bad-request'],
        ['', key(THERE, ''), 'error bad-request'],
        ['i'.repeat(256), key(THERE, 'i'.repeat(256)), 'error bad-request'],
      ] as const) {
        stream.send(verification(id, value))
        const answer = await stream.expect('verify')
        expect(answerOf(answer), id).to.equal(told)
        expect([answer.attributes.from, answer.attributes.to, answer.attributes.id]).to.deep.equal([HERE, THERE, id])
      }
      stream.send(verification('1', key(THERE, '1'), THERE, 'x.example'))
      expect(answerOf(await stream.expect('verify'))).to.equal('error item-not-found')
      expect(scene.server.proven).to.deep.equal([])
      stream.cut()
    })

    for (const [title, rules] of [
      ['dialback is switched off', { tls: 'optional', dialback: false }],
      ['TLS is required and not there', { tls: 'required' }],
    ] as const) {
      it(`XEP-0220 §2.4: policy-violation where ${title}`, async () => {
        scene = new Scene(authority, { rules })
        const { stream, id } = await openedPlain()
        stream.send(verification('1', key(THERE, '1')))
        expect(answerOf(await stream.expect('verify'))).to.equal('error policy-violation')
        request(stream, id)
        expect(answerOf(await stream.expect('result'))).to.equal('error policy-violation')
        stream.cut()
      })
    }
  })
})
