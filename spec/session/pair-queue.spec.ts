import { expect } from 'chai'
import { PairQueue } from '../../lib/session/pair-queue.js'
import { QueueBudget } from '../../lib/session/queue-budget.js'
import { Jids } from '../../lib/stanza/jid.js'
import { Stanza } from '../../lib/stanza/stanza.js'

describe('the queue of a pair', () => {
  const jids = new Jids()

  function item(from: string, type = 'chat') {
    const addresses = { from: jids.parse(from), to: jids.parse('b@peer.example') }
    return { stanza: Stanza.build('message', { ...addresses, type }), refused: () => {}, since: 0 }
  }

  it('what leaves it, one by one or all at once, leaves the budget that all pairs share', () => {
    const budget = new QueueBudget(() => 10_000)
    const queue = new PairQueue(() => ({ count: 10, bytes: 10_000 }), budget)
    for (const from of ['a@here.example/x', 'a@here.example/y', 'c@here.example']) queue.push(item(from))
    queue.push(item('d@here.example', 'error'))
    expect([...queue.senders]).to.deep.equal([
      ['a@here.example', 2],
      ['c@here.example', 1],
    ])
    expect(budget.used).to.equal(queue.bytes)
    expect(queue.shift()?.stanza.from?.resource).to.equal('x')
    expect(budget.used).to.equal(queue.bytes)
    expect(queue.takeAll().length).to.equal(3)
    expect([budget.used, queue.senders.size]).to.deep.equal([0, 0])
  })

  it('what it refuses for a bound of its own is not charged', () => {
    const budget = new QueueBudget(() => 10_000)
    const queue = new PairQueue(() => ({ count: 1, bytes: 10_000 }), budget)
    expect([queue.push(item('a@here.example')), queue.push(item('a@here.example'))]).to.deep.equal([true, false])
    expect(budget.used).to.equal(queue.bytes)
    queue.shift()
    expect(budget.used).to.equal(0)
  })
})
