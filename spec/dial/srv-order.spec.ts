import { expect } from 'chai'
import { inSrvOrder } from '../../lib/dial/srv-order.js'

/** The same numbers in every run: the low bits of a linear congruence are dropped. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

describe('RFC 2782: order of SRV records', () => {
  const record = (name: string, priority: number, weight: number) => ({ name, priority, weight })

  it('groups by priority, lowest first, and loses none', () => {
    const records = [record('a', 30, 1), record('b', 10, 0), record('c', 20, 5), record('d', 10, 9)]
    const groups = inSrvOrder(records, () => 0.999)
    expect(groups.map(group => group.map(({ name }) => name).sort())).to.deep.equal([['b', 'd'], ['c'], ['a']])
  })

  it('over 1000 draws the first is chosen in proportion to its weight', () => {
    const random = seeded(1)
    const records = [record('ten', 1, 10), record('thirty', 1, 30), record('sixty', 1, 60)]
    const first: Record<string, number> = { ten: 0, thirty: 0, sixty: 0 }
    const second: Record<string, number> = { ten: 0, thirty: 0, sixty: 0 }
    for (let draws = 0; draws < 1000; draws++) {
      const [order] = inSrvOrder(records, random)
      first[order![0]!.name]!++
      second[order![1]!.name]!++
    }
    expect(first.ten).to.be.within(70, 140)
    expect(first.thirty).to.be.within(250, 350)
    expect(first.sixty).to.be.within(550, 650)
    // After sixty the other two stand 1 to 3, after thirty 1 to 6, after ten 1 to 2.
    expect(second.thirty).to.be.within(420, 550)
  })

  it('weight 0 beside others has a very small chance, first in the running sum', () => {
    const records = [record('heavy', 1, 99), record('zero', 1, 0)]
    expect(inSrvOrder(records, () => 0)[0]![0]!.name).to.equal('zero')
    expect(inSrvOrder(records, () => 0.01)[0]![0]!.name).to.equal('heavy')
    expect(inSrvOrder(records, () => 0.9999)[0]![0]!.name).to.equal('heavy')
  })

  it('nothing gives nothing', () => expect(inSrvOrder([], () => 0)).to.deep.equal([]))
})
