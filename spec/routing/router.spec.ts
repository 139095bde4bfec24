import { expect } from 'chai'
import { RouteTable } from '../../lib/routing/route-table.js'
import { Router } from '../../lib/routing/router.js'
import { DomainPair } from '../../lib/stanza/domain-pair.js'
import type { Refusal } from '../../lib/stanza/route.js'
import type { Stanza, StanzaKind } from '../../lib/stanza/stanza.js'
import { readError } from '../../lib/stanza/stanza-error.js'
import { Recorder, stanza } from './fixture.js'

const REFUSAL: Refusal = { condition: 'remote-server-timeout', type: 'wait', text: 'no answer' }

/** Every type of each kind, and whether RFC 6120 §8.3.1 and §8.2.3 let it be answered with an error. */
const ANSWERABLE: readonly (readonly [kind: StanzaKind, type: string | undefined, answerable: boolean])[] = [
  ['message', undefined, true],
  ['message', 'chat', true],
  ['message', 'groupchat', true],
  ['message', 'headline', true],
  ['message', 'error', false],
  ['presence', undefined, true],
  ['presence', 'subscribe', true],
  ['presence', 'probe', true],
  ['presence', 'error', false],
  ['iq', 'get', true],
  ['iq', 'set', true],
  ['iq', 'result', false],
  ['iq', 'error', false],
]

describe('router', () => {
  let table: RouteTable
  let local: Recorder
  let remote: Recorder
  let router: Router

  beforeEach(() => {
    table = new RouteTable()
    local = new Recorder()
    remote = new Recorder()
    router = new Router({
      table,
      serves: domain => domain === 'south.example' || domain === 'west.example',
      local,
      remote,
    })
  })

  it('goes to local delivery for every served domain, whatever the table says of it', () => {
    const pair = new Recorder()
    table.addPair({
      pair: new DomainPair('south.example', 'west.example'),
      route: pair,
      proof: 'external',
      stream: 'S2SO-00001',
    })
    const given = stanza('message', 'eva@west.example', 'chat')
    router.route(given)
    expect(local.taken).to.deep.equal([given])
    expect([pair.taken, remote.taken]).to.deep.equal([[], []])
  })

  it('goes by the proven pair of both domains, else to whoever can prove it', () => {
    const pair = new Recorder()
    const withdraw = table.addPair({
      pair: new DomainPair('south.example', 'north.example'),
      route: pair,
      proof: 'external',
      stream: 'S2SO-00001',
    })
    const [first, second, third] = ['olga@north.example', 'olga@sub.north.example', 'olga@north.example'].map(to =>
      stanza('message', to, 'chat'),
    ) as [Stanza, Stanza, Stanza]
    router.route(first)
    router.route(second)
    withdraw()
    router.route(third)
    expect(pair.taken).to.deep.equal([first])
    expect(remote.taken).to.deep.equal([second, third])
  })

  for (const [kind, type, answerable] of ANSWERABLE) {
    for (const when of ['at once', 'later'] as const) {
      const what = answerable ? 'its sender gets exactly one error' : 'nobody is told'
      it(`RFC 6120 §8.3.1: ${kind} of type ${type ?? '(none)'} refused ${when}: ${what}`, () => {
        const given = stanza(kind, 'olga@north.example/desk', type)
        if (when === 'at once') remote.refusal = REFUSAL
        router.route(given)
        if (when === 'later') remote.answers[0]?.(given, REFUSAL)
        expect(local.taken).to.have.length(answerable ? 1 : 0)
        expect(router.counters).to.deep.equal(
          answerable ? { routed: 2, bounced: 1, dropped: 0 } : { routed: 1, bounced: 0, dropped: 1 },
        )
        if (!answerable) return
        const [error] = local.taken as [Stanza]
        expect([error.kind, error.id, error.type]).to.deep.equal([kind, 'id1', 'error'])
        expect([String(error.from), String(error.to)]).to.deep.equal([
          'olga@north.example/desk',
          'ivo@south.example/home',
        ])
        expect(readError(error)).to.include({ condition: 'remote-server-timeout', type: 'wait', text: 'no answer' })
      })
    }
  }

  it('an error that nobody takes ends there: no error about an error, no endless bouncing', () => {
    remote.refusal = REFUSAL
    local.refusal = { condition: 'service-unavailable', type: 'cancel' }
    router.route(stanza('message', 'olga@north.example', 'chat'))
    expect(router.counters).to.deep.equal({ routed: 2, bounced: 1, dropped: 1 })
  })

  it('passes the congestion of the way taken on to the producer, and of no other', () => {
    const congestion = { onRelief: () => {} }
    remote.congestion = congestion
    expect(router.route(stanza('message', 'olga@north.example'))).to.equal(congestion)
    expect(router.route(stanza('message', 'eva@west.example'))).to.equal(undefined)
    local.congestion = congestion
    remote.congestion = undefined
    expect(router.route(stanza('message', 'eva@west.example'))).to.equal(congestion)
    expect(router.route(stanza('message', 'olga@north.example'))).to.equal(undefined)
  })

  it('reads congestion after the delivery that may have caused it', () => {
    const congestion = { onRelief: () => {} }
    remote.deliver = () => {
      remote.congestion = congestion
      return undefined
    }
    expect(router.route(stanza('message', 'olga@north.example'))).to.equal(congestion)
  })
})
