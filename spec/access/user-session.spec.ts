import { expect } from 'chai'
import { MOST_DIRECTED } from '../../lib/access/directed-presence.js'
import { IQ_DEADLINE_MS, MOST_OPEN_IQS } from '../../lib/access/open-iqs.js'
import { type Appetite, UserSession } from '../../lib/access/user-session.js'
import { RouteTable } from '../../lib/routing/route-table.js'
import { type Jid, Jids } from '../../lib/stanza/jid.js'
import type { Refusal } from '../../lib/stanza/route.js'
import { Stanza } from '../../lib/stanza/stanza.js'
import { createElement } from '../../lib/xml/element.js'
import { ManualClock } from '../support/manual-clock.js'

const jids = new Jids()
const jid = (text: string): Jid => {
  const parsed = jids.parse(text)
  if (parsed === undefined) throw new Error(`no address: ${text}`)
  return parsed
}
const olga = jid('olga@north.example')
const ivo = jid('ivo@south.example/home')
const hungry: Appetite = { messages: true, presence: true, iqs: true }
const byPresence: Appetite = { messages: undefined, presence: undefined, iqs: true }

function setUp(appetite = hungry, resource = 'desk') {
  const clock = new ManualClock()
  const routes = new RouteTable()
  const sent: Stanza[] = []
  const told: Stanza[] = []
  const shown: Stanza[] = []
  const refused: { stanza: Stanza; refusal: Refusal }[] = []
  const open = (wanted: string): UserSession => {
    const session = UserSession.open({
      account: olga,
      resource: wanted,
      clock,
      routes,
      route: stanza => void sent.push(stanza),
      broadcast: stanza => told.push(stanza),
      show: stanza => void shown.push(stanza),
      appetite,
    })
    if (session === undefined) throw new Error('no session')
    return session
  }
  const session = open(resource)
  const deliver = (stanza: Stanza): Refusal | undefined =>
    session.deliver(stanza, (stanza, refusal) => refused.push({ stanza, refusal }))
  return { clock, routes, sent, told, shown, refused, open, session, deliver }
}

const available = (priority?: string): Stanza =>
  Stanza.build('presence', {}, priority === undefined ? [] : [createElement('priority', {}, priority)])
const unavailable = (to?: Jid): Stanza => Stanza.build('presence', { to, type: 'unavailable' }, [])
const query = (): ReturnType<typeof createElement> => createElement('ping', { xmlns: 'urn:xmpp:ping' })

describe('user session', () => {
  describe('address', () => {
    it('RFC 6120 §7.6: is published as resource of its account until the end', () => {
      const { routes, session } = setUp()
      expect(session.jid.toString()).to.equal('olga@north.example/desk')
      expect(routes.resource(session.jid)).to.equal(session)
      session.end()
      session.end()
      expect(routes.rows()).to.deep.equal([])
    })

    it('gets a suffix when the resource is taken', () => {
      const { open, session } = setUp()
      const second = open('desk')
      expect(second.jid.resource).to.match(/^desk-[0-9a-f]+$/)
      expect(session.jid.resource).to.equal('desk')
      second.end()
      session.end()
    })

    it('RFC 6120 §8.1.2.1: stamps what the client sends, whatever sender it names', () => {
      const { sent, session } = setUp()
      session.submit(
        Stanza.build('message', { to: ivo, from: jid('eve@north.example') }, [createElement('body', {}, 'x')]),
      )
      session.submit(Stanza.build('iq', { to: ivo, id: '1', type: 'get', from: ivo }, [query()]))
      session.submit(unavailable(ivo))
      expect(sent.map(stanza => stanza.from?.toString())).to.deep.equal(Array(3).fill('olga@north.example/desk'))
      session.end()
    })

    for (const type of ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed']) {
      it(`RFC 6121 §3: ${type} comes from the account, not the session`, () => {
        const { sent, session } = setUp()
        session.submit(Stanza.build('presence', { to: ivo.bare, type }, []))
        expect(sent[0]?.from?.toString()).to.equal('olga@north.example')
        session.end()
        expect(sent).to.have.length(1)
      })
    }

    it('takes and accepts nothing after the end', () => {
      const { session, sent, shown, deliver } = setUp()
      session.end()
      expect(session.submit(available())).to.not.equal(undefined)
      expect(deliver(Stanza.build('message', { to: session.jid, from: ivo }, []))?.condition).to.equal(
        'service-unavailable',
      )
      expect([...sent, ...shown]).to.deep.equal([])
    })
  })

  describe('presence', () => {
    it('RFC 6121 §4.7.2.3: has a priority only while available', () => {
      const { session, told } = setUp(byPresence)
      expect(session.priority).to.equal(undefined)
      session.submit(available())
      expect(session.priority).to.equal(0)
      session.submit(available('-7'))
      expect(session.priority).to.equal(-7)
      session.submit(available('200'))
      expect(session.priority).to.equal(0)
      session.submit(unavailable())
      expect(session.priority).to.equal(undefined)
      expect(told).to.have.length(4)
      session.end()
      expect(told).to.have.length(4)
    })

    it('RFC 6121 §8.5.2: takes messages while available with a non-negative priority, presence while available', () => {
      const { session } = setUp(byPresence)
      const wants = (): boolean[] => [session.wantsMessages, session.wantsPresence]
      expect(wants()).to.deep.equal([false, false])
      session.submit(available())
      expect(wants()).to.deep.equal([true, true])
      session.submit(available('-1'))
      expect(wants()).to.deep.equal([false, true])
      session.end()
    })

    it('takes what its own rules say when it has some', () => {
      const { session } = setUp({ messages: true, presence: false, iqs: false })
      expect([session.wantsMessages, session.wantsPresence]).to.deep.equal([true, false])
      session.appetite = { messages: false, presence: true, iqs: false }
      expect([session.wantsMessages, session.wantsPresence]).to.deep.equal([false, true])
      session.end()
    })

    it('RFC 6121 §4.6.3: tells those who saw directed presence when the session ends, once', () => {
      const { session, sent } = setUp()
      const ada = jid('ada@west.example')
      session.submit(Stanza.build('presence', { to: ivo }, []))
      session.submit(Stanza.build('presence', { to: ivo }, []))
      session.submit(Stanza.build('presence', { to: ada }, []))
      sent.length = 0
      session.end()
      expect(sent.map(({ to, from, type }) => `${from} ${type} ${to}`)).to.deep.equal([
        'olga@north.example/desk unavailable ivo@south.example/home',
        'olga@north.example/desk unavailable ada@west.example',
      ])
    })

    it('RFC 6121 §4.6.3: and when its presence ends, with the status it leaves with', () => {
      const { session, sent, told } = setUp()
      session.submit(available())
      session.submit(Stanza.build('presence', { to: ivo }, []))
      sent.length = 0
      session.submit(Stanza.build('presence', { type: 'unavailable' }, [createElement('status', {}, 'gone fishing')]))
      expect(sent.map(({ to, type }) => `${type} ${to}`)).to.deep.equal(['unavailable ivo@south.example/home'])
      expect(sent[0]?.textOf('status')).to.equal('gone fishing')
      session.end()
      expect(sent).to.have.length(1)
      expect(told).to.have.length(2)
    })

    it('RFC 6121 §4.6.3: not those who were told already, nor those who refused it', () => {
      const { session, sent, deliver } = setUp()
      const ada = jid('ada@west.example')
      session.submit(Stanza.build('presence', { to: ivo }, []))
      session.submit(unavailable(ivo))
      session.submit(Stanza.build('presence', { to: ada }, []))
      deliver(Stanza.build('presence', { to: session.jid, from: ada, type: 'error' }, []))
      sent.length = 0
      session.end()
      expect(sent).to.deep.equal([])
    })

    it('remembers a bounded number of them', () => {
      const { session, sent } = setUp()
      for (let i = 0; i < MOST_DIRECTED; i++) {
        expect(session.submit(Stanza.build('presence', { to: jid(`u${i}@west.example`) }, []))).to.equal(undefined)
      }
      expect(session.submit(Stanza.build('presence', { to: ivo }, []))?.condition).to.equal('resource-constraint')
      expect(session.submit(Stanza.build('presence', { to: jid('u0@west.example') }, []))).to.equal(undefined)
      sent.length = 0
      session.end()
      expect(sent).to.have.length(MOST_DIRECTED)
    })
  })

  describe('IQ', () => {
    const request = (to: Jid, id = 'v7', from = ivo): Stanza =>
      Stanza.build('iq', { to, from, id, type: 'get' }, [query()])

    it('RFC 6120 §8.2.3: shows a request and sends its answer, once', () => {
      const { session, shown, sent, refused, clock, deliver } = setUp()
      expect(deliver(request(session.jid))).to.equal(undefined)
      expect(shown).to.have.length(1)
      session.submit(Stanza.build('iq', { to: ivo, id: 'v7', type: 'result' }, []))
      session.submit(Stanza.build('iq', { to: ivo, id: 'v7', type: 'result' }, []))
      expect(sent).to.have.length(1)
      clock.advance(2 * IQ_DEADLINE_MS)
      expect(refused).to.deep.equal([])
      session.end()
    })

    it('drops an answer to a request of somebody else or with another id', () => {
      const { session, sent, deliver } = setUp()
      deliver(request(session.jid))
      session.submit(Stanza.build('iq', { to: jid('ada@west.example'), id: 'v7', type: 'result' }, []))
      session.submit(Stanza.build('iq', { to: ivo, id: 'v8', type: 'result' }, []))
      expect(sent).to.deep.equal([])
      session.end()
    })

    it('refuses a request that is not answered in 30 s, and drops the late answer', () => {
      const { session, sent, refused, clock, deliver } = setUp()
      deliver(request(session.jid))
      clock.advance(IQ_DEADLINE_MS - 1)
      expect(refused).to.deep.equal([])
      clock.advance(1)
      expect(refused.map(({ stanza, refusal }) => `${stanza.id} ${refusal.condition}`)).to.deep.equal([
        'v7 service-unavailable',
      ])
      session.submit(Stanza.build('iq', { to: ivo, id: 'v7', type: 'result' }, []))
      expect(sent).to.deep.equal([])
      session.end()
    })

    it('refuses at once when the client takes no requests, is gone, or has too many', () => {
      const { session, shown, refused, deliver } = setUp()
      session.appetite = { ...hungry, iqs: false }
      expect(deliver(request(session.jid))?.condition).to.equal('service-unavailable')
      session.appetite = hungry
      for (let i = 0; i < MOST_OPEN_IQS; i++) expect(deliver(request(session.jid, `n${i}`))).to.equal(undefined)
      expect(deliver(request(session.jid, 'more'))?.condition).to.equal('resource-constraint')
      expect(shown).to.have.length(MOST_OPEN_IQS)
      session.end()
      expect(refused).to.have.length(MOST_OPEN_IQS)
    })

    it('shows the answer to a request of the client and drops the second', () => {
      const { session, shown, deliver } = setUp()
      session.submit(request(ivo, 'q1'))
      const answer = Stanza.build('iq', { to: session.jid, from: ivo, id: 'q1', type: 'result' }, [])
      deliver(answer)
      deliver(answer)
      expect(shown).to.deep.equal([answer])
      session.end()
    })

    it('drops an answer from an address that was not asked', () => {
      const { session, shown, deliver } = setUp()
      session.submit(request(ivo, 'q1'))
      deliver(Stanza.build('iq', { to: session.jid, from: jid('eve@west.example'), id: 'q1', type: 'result' }, []))
      expect(shown).to.deep.equal([])
      session.end()
    })

    it('answers with remote-server-timeout when nothing comes in 30 s; what comes later is dropped', () => {
      const { session, shown, clock, deliver } = setUp()
      session.submit(request(ivo, 'q1'))
      clock.advance(IQ_DEADLINE_MS)
      expect(shown.map(({ type, id, from }) => `${type} ${id} ${from}`)).to.deep.equal([
        'error q1 ivo@south.example/home',
      ])
      deliver(Stanza.build('iq', { to: session.jid, from: ivo, id: 'q1', type: 'result' }, []))
      expect(shown).to.have.length(1)
      session.end()
    })

    it('leaves no timer behind', () => {
      const { session, clock, deliver } = setUp()
      session.submit(request(ivo, 'q1'))
      deliver(request(session.jid))
      session.end()
      expect(clock.waiting).to.equal(0)
    })
  })

  it('shows errors to a client that takes neither messages nor presence, and refuses the rest', () => {
    const { session, shown, deliver } = setUp({ messages: false, presence: false, iqs: false })
    for (const kind of ['message', 'presence'] as const) {
      deliver(Stanza.build(kind, { to: session.jid, from: ivo, type: 'error' }, []))
    }
    expect(shown).to.have.length(2)
    expect(deliver(Stanza.build('message', { to: session.jid, from: ivo }, []))?.condition).to.equal(
      'service-unavailable',
    )
    expect(deliver(Stanza.build('presence', { to: session.jid, from: ivo }, []))).to.equal(undefined)
    expect(shown).to.have.length(2)
    session.end()
  })
})
