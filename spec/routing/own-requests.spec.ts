import { expect } from 'chai'
import { OwnRequests } from '../../lib/routing/own-requests.js'
import { Jids } from '../../lib/stanza/jid.js'
import { Stanza } from '../../lib/stanza/stanza.js'
import { NS_PING } from '../../lib/xml/namespaces.js'
import { ManualClock } from '../support/manual-clock.js'

describe('OwnRequests', () => {
  const jids = new Jids()
  const jid = (text: string) => jids.parse(text)!
  const never = new AbortController().signal
  let clock: ManualClock
  let requests: OwnRequests

  beforeEach(() => {
    clock = new ManualClock()
    requests = new OwnRequests(clock)
  })

  const ping = () => requests.ping(jid('north.example'), jid('south.example'), 1000)!

  function answerTo(stanza: Stanza, from = 'south.example', to = 'north.example', type = 'result'): Stanza {
    return Stanza.build('iq', { from: jid(from), to: jid(to), id: stanza.id, type })
  }

  it('XEP-0199 §4.1: a ping is a request of the domain itself', () => {
    const { stanza } = ping()
    expect(stanza).to.include({ kind: 'iq', type: 'get' })
    expect([String(stanza.from), String(stanza.to)]).to.deep.equal(['north.example', 'south.example'])
    expect(stanza.childNamed('ping', NS_PING)).not.to.equal(undefined)
  })

  it('RFC 6120 §8.2.3: a result and an error are answers, and the deadline ends with them', async () => {
    for (const type of ['result', 'error']) {
      const request = ping()
      const answer = request.answer(never)
      const given = answerTo(request.stanza, 'south.example', 'north.example', type)
      requests.heard(given)
      expect(await answer).to.equal(given)
      expect(clock.waiting).to.equal(0)
    }
  })

  it('only whoever was asked answers, and only the domain that asked', async () => {
    const request = ping()
    const answer = request.answer(never)
    requests.heard(answerTo(request.stanza, 'west.example'))
    requests.heard(answerTo(request.stanza, 'ivo@south.example'))
    requests.heard(answerTo(request.stanza, 'south.example', 'east.example'))
    requests.heard(
      Stanza.build('iq', { from: jid('south.example'), to: jid('north.example'), id: 'x', type: 'result' }),
    )
    const right = answerTo(request.stanza)
    requests.heard(right)
    expect(await answer).to.equal(right)
  })

  it('an answer that comes too late is nobody’s', async () => {
    const request = ping()
    const answer = request.answer(never).catch(String)
    clock.advance(1000)
    expect(await answer).to.include('the time for an answer is over')
    requests.heard(answerTo(request.stanza))
    expect(clock.waiting).to.equal(0)
  })

  it('it ends with the signal', async () => {
    const aborter = new AbortController()
    const answer = ping().answer(aborter.signal).catch(String)
    aborter.abort(new Error('gone'))
    expect(await answer).to.include('gone')
    expect(clock.waiting).to.equal(0)
  })

  it('no more than 100 are under way, and one that has ended makes room', async () => {
    const asked = Array.from({ length: 100 }, ping)
    expect(requests.ping(jid('north.example'), jid('south.example'), 1000)).to.equal(undefined)
    const answer = asked[0]!.answer(never)
    requests.heard(answerTo(asked[0]!.stanza))
    await answer
    expect(ping()).not.to.equal(undefined)
  })
})
