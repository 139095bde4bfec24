import { expect } from 'chai'
import { LocalDelivery } from '../../lib/routing/local-delivery.js'
import { RouteTable } from '../../lib/routing/route-table.js'
import { answerForServer } from '../../lib/routing/server-answers.js'
import type { Refusal } from '../../lib/stanza/route.js'
import type { Stanza } from '../../lib/stanza/stanza.js'
import { createElement } from '../../lib/xml/element.js'
import { NS_PING } from '../../lib/xml/namespaces.js'
import { Resource, stanza } from './fixture.js'

const BARE = 'olga@north.example'
const MATCH = 'olga@north.example/desk'
const NO_MATCH = 'olga@north.example/gone'

/** What is connected, by resource: its priority, undefined while it has sent no presence. */
type Connected = Readonly<Record<string, number | undefined>>

const NOBODY: Connected = {}
const NOT_AVAILABLE: Connected = { desk: undefined }
const NEGATIVE: Connected = { desk: -1, phone: -5 }
const ONE: Connected = { desk: 0 }
const SEVERAL: Connected = { desk: 1, phone: 0, hidden: -1, silent: undefined }

/** To whom it goes by resource, an error, or nothing at all. */
type Fate = readonly string[] | 'error' | 'ignored'

type Row = readonly [connected: Connected, to: string, fates: Readonly<Record<string, Fate>>]

/** RFC 6121 §8.5.4, table 1. There is no store for offline messages here: what it calls O is an error. */
const MESSAGES: Readonly<Record<string, Row>> = {
  'no resource, bare': [
    NOBODY,
    BARE,
    { normal: 'error', chat: 'error', groupchat: 'error', headline: 'ignored', error: 'ignored' },
  ],
  'no resource, full': [
    NOBODY,
    MATCH,
    { normal: 'error', chat: 'error', groupchat: 'error', headline: 'ignored', error: 'ignored' },
  ],
  'connected but not available, bare': [
    NOT_AVAILABLE,
    BARE,
    { normal: 'error', chat: 'error', groupchat: 'error', headline: 'ignored', error: 'ignored' },
  ],
  'connected but not available, full': [
    NOT_AVAILABLE,
    MATCH,
    { normal: ['desk'], chat: ['desk'], groupchat: ['desk'], headline: ['desk'], error: ['desk'] },
  ],
  'only negative priorities, bare': [
    NEGATIVE,
    BARE,
    { normal: 'error', chat: 'error', groupchat: 'error', headline: 'ignored', error: 'ignored' },
  ],
  'only negative priorities, full': [
    NEGATIVE,
    MATCH,
    { normal: ['desk'], chat: ['desk'], groupchat: ['desk'], headline: ['desk'], error: ['desk'] },
  ],
  'only negative priorities, full without match': [
    NEGATIVE,
    NO_MATCH,
    { normal: 'error', chat: 'error', groupchat: 'error', headline: 'ignored', error: 'ignored' },
  ],
  'one of non-negative priority, bare': [
    ONE,
    BARE,
    { normal: ['desk'], chat: ['desk'], groupchat: 'error', headline: ['desk'], error: 'ignored' },
  ],
  'one of non-negative priority, full': [
    ONE,
    MATCH,
    { normal: ['desk'], chat: ['desk'], groupchat: ['desk'], headline: ['desk'], error: ['desk'] },
  ],
  'one of non-negative priority, full without match': [
    ONE,
    NO_MATCH,
    { normal: 'error', chat: ['desk'], groupchat: 'error', headline: 'ignored', error: 'ignored' },
  ],
  'several, bare': [
    SEVERAL,
    BARE,
    {
      normal: ['desk', 'phone'],
      chat: ['desk', 'phone'],
      groupchat: 'error',
      headline: ['desk', 'phone'],
      error: 'ignored',
    },
  ],
  'several, full': [
    SEVERAL,
    'olga@north.example/hidden',
    { normal: ['hidden'], chat: ['hidden'], groupchat: ['hidden'], headline: ['hidden'], error: ['hidden'] },
  ],
  'several, full without match': [
    SEVERAL,
    NO_MATCH,
    { normal: 'error', chat: ['desk', 'phone'], groupchat: 'error', headline: 'ignored', error: 'ignored' },
  ],
}

const SUBSCRIPTION = ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed']

/** RFC 6121 §8.5.2.1.2, §8.5.2.2.2, §8.5.3.1 and §8.5.3.2.2; presence is never answered with an error. */
const PRESENCE: Readonly<Record<string, Row>> = {
  'no resource, bare': [NOBODY, BARE, all('ignored')],
  'no resource, full': [NOBODY, MATCH, all('ignored')],
  'several, bare': [SEVERAL, BARE, { ...all(['desk', 'phone', 'hidden']), probe: 'ignored', error: 'ignored' }],
  'several, full': [
    SEVERAL,
    MATCH,
    {
      ...all(['desk']),
      // Between accounts, not sessions (RFC 6121 §3): every interested one is told.
      ...Object.fromEntries(SUBSCRIPTION.map(type => [type, ['desk', 'phone', 'hidden']])),
      probe: 'ignored',
    },
  ],
  'several, full without match': [
    SEVERAL,
    NO_MATCH,
    { ...all('ignored'), ...Object.fromEntries(SUBSCRIPTION.map(type => [type, ['desk', 'phone', 'hidden']])) },
  ],
}

/** RFC 6121 §8.5.1, §8.5.2.1.3, §8.5.2.2.3, §8.5.3.1 and §8.5.3.2.3 for a request that the server does not know. */
const IQS: Readonly<Record<string, Row>> = {
  'no resource, bare': [NOBODY, BARE, { get: 'error', set: 'error', result: 'ignored', error: 'ignored' }],
  'no resource, full': [NOBODY, MATCH, { get: 'error', set: 'error', result: 'error', error: 'error' }],
  'several, bare': [SEVERAL, BARE, { get: 'error', set: 'error', result: 'ignored', error: 'ignored' }],
  'several, full': [SEVERAL, MATCH, { get: ['desk'], set: ['desk'], result: ['desk'], error: ['desk'] }],
  'several, full without match': [SEVERAL, NO_MATCH, { get: 'error', set: 'error', result: 'error', error: 'error' }],
}

describe('local delivery', () => {
  let table: RouteTable
  let resources: Resource[]
  let answered: Stanza[]
  let delivery: LocalDelivery

  beforeEach(() => {
    table = new RouteTable()
    resources = []
    answered = []
    delivery = new LocalDelivery(table, answerForServer, answer => answered.push(answer))
  })

  function connect(connected: Connected): void {
    for (const [name, priority] of Object.entries(connected)) {
      const resource = new Resource(`${BARE}/${name}`, priority)
      table.addResource(resource)
      resources.push(resource)
    }
  }

  const takers = (): string[] => resources.filter(({ taken }) => taken.length > 0).map(one => one.jid.resource)
  const deliver = (given: Stanza): Refusal | undefined => delivery.deliver(given, () => {})

  for (const [kind, rows] of [
    ['message', MESSAGES],
    ['presence', PRESENCE],
    ['iq', IQS],
  ] as const) {
    describe(`RFC 6121 §8.5: ${kind}`, () => {
      for (const [title, [connected, to, fates]] of Object.entries(rows)) {
        for (const [type, fate] of Object.entries(fates)) {
          it(`${title}, type ${type}: ${typeof fate === 'string' ? fate : `to ${fate.join(' and ')}`}`, () => {
            connect(connected)
            const child = createElement('query', { xmlns: 'urn:example:unknown' })
            const typed = type === 'normal' || type === 'available' ? undefined : type
            const refusal = deliver(stanza(kind, to, typed, [child]))
            expect(takers()).to.deep.equal(typeof fate === 'string' ? [] : fate)
            expect(refusal?.condition).to.equal(fate === 'error' ? 'service-unavailable' : undefined)
            for (const { taken } of resources) expect(taken.length).to.be.at.most(1)
            expect(answered).to.deep.equal([])
          })
        }
      }
    })
  }

  it('RFC 6121 §5.2.2: a message of an unknown type is a normal one', () => {
    connect(ONE)
    expect(deliver(stanza('message', BARE, 'shout'))).to.equal(undefined)
    expect(takers()).to.deep.equal(['desk'])
    expect(deliver(stanza('message', NO_MATCH, 'shout'))?.condition).to.equal('service-unavailable')
  })

  it('RFC 6120 §13.11: an unknown account and an absent one are answered alike, to the word', () => {
    connect(ONE)
    const answers = ['nobody@north.example', 'nobody@north.example/x', NO_MATCH].map(to =>
      deliver(stanza('iq', to, 'get')),
    )
    expect(answers[0]).to.have.property('condition', 'service-unavailable')
    expect(answers[1]).to.deep.equal(answers[0])
    expect(answers[2]).to.deep.equal(answers[0])
    expect(deliver(stanza('message', 'nobody@north.example', 'chat'))).to.deep.equal(answers[0])
  })

  it('a message is taken when one of several sessions takes it, and refused with their reason when all refuse', () => {
    connect({ desk: 0, phone: 0 })
    const refusal: Refusal = { condition: 'resource-constraint', type: 'wait' }
    resources[0]!.refusal = refusal
    expect(deliver(stanza('message', BARE, 'chat'))).to.equal(undefined)
    expect(takers()).to.deep.equal(['phone'])
    resources[1]!.refusal = refusal
    expect(deliver(stanza('message', BARE, 'chat'))).to.equal(refusal)
  })

  it("a session's own refusal of what is addressed to it reaches the sender", () => {
    connect(ONE)
    const refusal: Refusal = { condition: 'resource-constraint', type: 'wait' }
    resources[0]!.refusal = refusal
    expect(deliver(stanza('message', MATCH, 'chat'))).to.equal(refusal)
  })

  it('a session that wants messages gets them whatever its priority, and none when it does not', () => {
    connect({ desk: undefined, phone: 5 })
    resources[0]!.wantsMessages = true
    resources[1]!.wantsMessages = false
    deliver(stanza('message', BARE, 'chat'))
    expect(takers()).to.deep.equal(['desk'])
  })

  it('congestion is that of whoever took the stanza, for this stanza only', () => {
    connect({ desk: 0, phone: 0 })
    const congestion = { onRelief: () => {} }
    resources[1]!.congestion = congestion
    deliver(stanza('message', BARE, 'chat'))
    expect(delivery.congestion).to.equal(congestion)
    deliver(stanza('message', MATCH, 'chat'))
    expect(delivery.congestion).to.equal(undefined)
  })

  describe('for the server itself', () => {
    it('RFC 6120 §10.5.3: a known request is answered in the name it was addressed to', () => {
      connect({ desk: 0 })
      for (const to of ['north.example', BARE]) {
        answered = []
        delivery = new LocalDelivery(table, answerForServer, answer => answered.push(answer))
        expect(deliver(stanza('iq', to, 'get', [createElement('ping', { xmlns: NS_PING })]))).to.equal(undefined)
        expect(answered).to.have.length(1)
        expect([answered[0]?.type, String(answered[0]?.from), String(answered[0]?.to)]).to.deep.equal([
          'result',
          to,
          'ivo@south.example/home',
        ])
      }
    })

    it('RFC 6121 §8.5.1: nothing is answered for an account that nobody uses, as for one that does not exist', () => {
      const ping = [createElement('ping', { xmlns: NS_PING })]
      expect(deliver(stanza('iq', BARE, 'get', ping))?.condition).to.equal('service-unavailable')
    })

    it('an unknown request and every message are refused; presence, results and errors are not', () => {
      const fates = (
        [
          ['iq', 'get'],
          ['iq', 'set'],
          ['message', 'chat'],
          ['iq', 'result'],
          ['iq', 'error'],
          ['presence', undefined],
          ['presence', 'subscribe'],
          ['presence', 'probe'],
        ] as const
      ).map(([kind, type]) => deliver(stanza(kind, 'north.example', type))?.condition)
      const refused = 'service-unavailable'
      expect(fates).to.deep.equal([refused, refused, refused, undefined, undefined, undefined, undefined, undefined])
      expect(answered).to.deep.equal([])
    })
  })
})

function all(fate: Fate): Record<string, Fate> {
  return Object.fromEntries(['available', 'unavailable', ...SUBSCRIPTION, 'probe', 'error'].map(type => [type, fate]))
}
