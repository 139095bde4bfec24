import { expect } from 'chai'
import { Pending } from '../../lib/access/pending.js'
import { ManualClock } from '../support/manual-clock.js'

describe('pending answers', () => {
  const setUp = () => {
    const clock = new ManualClock()
    const expired: string[] = []
    const pending = new Pending<string>({ clock, ttlMs: 1000, most: 3, expired: entry => expired.push(entry) })
    return { clock, expired, pending }
  }

  it('ends each wait at its own time, with one timer for all', () => {
    const { clock, expired, pending } = setUp()
    pending.add('a', 'A')
    clock.advance(400)
    pending.add('b', 'B')
    expect(clock.waiting).to.equal(1)
    clock.advance(599)
    expect(expired).to.deep.equal([])
    clock.advance(1)
    expect(expired).to.deep.equal(['A'])
    clock.advance(399)
    expect(expired).to.deep.equal(['A'])
    clock.advance(1)
    expect(expired).to.deep.equal(['A', 'B'])
    expect(clock.waiting).to.equal(0)
  })

  it('hands out an answered one once and forgets it', () => {
    const { clock, expired, pending } = setUp()
    pending.add('a', 'A')
    expect(pending.take('a')).to.equal('A')
    expect(pending.take('a')).to.equal(undefined)
    expect(clock.waiting).to.equal(0)
    clock.advance(5000)
    expect(expired).to.deep.equal([])
  })

  it('refuses a key that waits already and one too many', () => {
    const { pending } = setUp()
    expect(pending.add('a', 'A')).to.equal(true)
    expect(pending.add('a', 'again')).to.equal(false)
    expect(pending.add('b', 'B') && pending.add('c', 'C')).to.equal(true)
    expect(pending.add('d', 'D')).to.equal(false)
    expect(pending.takeAll()).to.deep.equal(['A', 'B', 'C'])
    expect(pending.add('d', 'D')).to.equal(true)
  })
})
