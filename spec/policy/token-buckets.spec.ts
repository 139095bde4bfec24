import { expect } from 'chai'
import { TokenBuckets } from '../../lib/policy/token-buckets.js'

describe('token buckets', () => {
  const rate = { perSecond: 2, burst: 3 }

  it('give a burst, then the steady rate, and no more than a burst after a pause', () => {
    const buckets = new TokenBuckets(10)
    const taken = (now: number): number => {
      let count = 0
      while (buckets.take('a', now, rate)) count++
      return count
    }
    expect([taken(0), taken(0), taken(499), taken(500), taken(1500), taken(60_000)]).to.deep.equal([3, 0, 0, 1, 2, 3])
  })

  it('are one for each key, and time that runs backwards gives nothing', () => {
    const buckets = new TokenBuckets(10)
    for (let i = 0; i < 3; i++) expect(buckets.take('a', 1000, rate)).to.equal(true)
    expect([buckets.take('a', 0, rate), buckets.take('b', 0, rate)]).to.deep.equal([false, true])
  })

  it('obey a changed rate at once', () => {
    const buckets = new TokenBuckets(10)
    for (let i = 0; i < 3; i++) buckets.take('a', 0, rate)
    expect(buckets.take('a', 100, { perSecond: 10, burst: 3 })).to.equal(true)
    expect(buckets.take('a', 60_000, { perSecond: 10, burst: 1 })).to.equal(true)
    expect(buckets.take('a', 60_000, { perSecond: 10, burst: 1 })).to.equal(false)
  })
})
