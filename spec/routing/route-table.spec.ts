import { expect } from 'chai'
import { RouteTable } from '../../lib/routing/route-table.js'
import { DomainPair } from '../../lib/stanza/domain-pair.js'
import { ManualClock } from '../support/manual-clock.js'
import { jid, Recorder, Resource } from './fixture.js'

const PAIR = new DomainPair('north.example', 'south.example')

describe('route table', () => {
  it('finds a session by its full JID only, and all sessions of an account by any of its addresses', () => {
    const table = new RouteTable()
    const desk = new Resource('olga@north.example/desk', 1)
    const phone = new Resource('olga@north.example/phone', 0)
    table.addResource(desk)
    table.addResource(phone)
    expect(table.resource(jid('olga@north.example/desk'))).to.equal(desk)
    expect(table.resource(jid('olga@north.example/Desk'))).to.equal(undefined)
    expect(table.resource(jid('olga@north.example'))).to.equal(undefined)
    expect(table.resource(jid('eva@north.example/desk'))).to.equal(undefined)
    expect([...table.resources(jid('olga@north.example/other'))]).to.deep.equal([desk, phone])
    expect([...table.resources(jid('eva@north.example'))]).to.deep.equal([])
  })

  it('RFC 6120 §7.7.2.2: a full JID is published once; after its withdrawal it is free again', () => {
    const table = new RouteTable()
    const first = new Resource('olga@north.example/desk', 0)
    const second = new Resource('olga@north.example/desk', 0)
    const withdraw = table.addResource(first)
    expect(table.addResource(second)).to.equal(undefined)
    expect(table.resource(first.jid)).to.equal(first)
    withdraw?.()
    expect(table.resource(first.jid)).to.equal(undefined)
    expect(table.addResource(second)).to.be.a('function')
    withdraw?.()
    expect(table.resource(second.jid)).to.equal(second)
    expect([...table.resources(second.jid)]).to.deep.equal([second])
  })

  it('a withdrawn session leaves the others of its account', () => {
    const table = new RouteTable()
    const [desk, phone] = [new Resource('olga@north.example/desk', 0), new Resource('olga@north.example/phone', 0)]
    const withdraw = table.addResource(desk)
    table.addResource(phone)
    withdraw?.()
    expect([...table.resources(desk.jid)]).to.deep.equal([phone])
  })

  it('a pair has one route; a newer one takes its place, and the older cannot withdraw it', () => {
    const table = new RouteTable()
    const [older, newer] = [new Recorder(), new Recorder()]
    const withdrawOlder = table.addPair({ pair: PAIR, route: older, proof: 'dialback', stream: 'S2SO-00001' })
    expect(table.pair('north.example', 'south.example')).to.equal(older)
    const withdrawNewer = table.addPair({ pair: PAIR, route: newer, proof: 'external', stream: 'S2SO-00002' })
    withdrawOlder()
    expect(table.pair('north.example', 'south.example')).to.equal(newer)
    withdrawNewer()
    withdrawNewer()
    expect(table.pair('north.example', 'south.example')).to.equal(undefined)
    expect(table.rows()).to.deep.equal([])
  })

  it('a pair is ordered, and says nothing about other domains', () => {
    const table = new RouteTable()
    table.addPair({ pair: PAIR, route: new Recorder(), proof: 'external', stream: 'S2SO-00001' })
    for (const [local, remote] of [
      ['south.example', 'north.example'],
      ['north.example', 'sub.south.example'],
      ['east.example', 'south.example'],
    ] as const) {
      expect(table.pair(local, remote), `${local} ${remote}`).to.equal(undefined)
    }
  })

  it('names that are properties of every object are names like others', () => {
    const table = new RouteTable()
    for (const name of ['constructor', '__proto__', 'tostring']) {
      expect(table.pair(name, name)).to.equal(undefined)
      const route = new Recorder()
      table.addPair({ pair: new DomainPair(name, name), route, proof: 'external', stream: 'S2SO-00001' })
      expect(table.pair(name, name)).to.equal(route)
    }
  })

  it('rows tell admins what is published, how, and since when', () => {
    const clock = new ManualClock()
    const table = new RouteTable(clock)
    const began = clock.date()
    table.addResource(new Resource('olga@north.example/desk', 5))
    clock.advance(1000)
    table.addResource(new Resource('olga@north.example/phone', undefined))
    table.addPair({ pair: PAIR, route: new Recorder(), proof: 'external', stream: 'S2SO-00001' })
    const later = clock.date()
    clock.advance(1000)
    expect(table.rows()).to.deep.equal([
      { target: 'north.example → south.example', kind: 'domain pair', via: 'S2SO-00001 (external)', since: later },
      { target: 'olga@north.example/desk', kind: 'session', via: 'priority 5', since: began },
      { target: 'olga@north.example/phone', kind: 'session', via: 'not available', since: later },
    ])
  })
})
