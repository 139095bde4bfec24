import { expect } from 'chai'
import fc from 'fast-check'
import { BoundedQueue } from '../../lib/base/bounded-queue.js'

describe('bounded queue', () => {
  const queueOf = (count: number, bytes: number): BoundedQueue<string> =>
    new BoundedQueue(
      () => ({ count, bytes }),
      item => item.length,
    )

  it('gives out what came first, and knows its length and size', () => {
    const queue = queueOf(10, 100)
    for (const item of ['one', 'three', 'x']) expect(queue.push(item)).to.equal(true)
    expect([queue.length, queue.bytes, queue.first]).to.deep.equal([3, 9, 'one'])
    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).to.deep.equal(['one', 'three', 'x', undefined])
    expect([queue.length, queue.bytes, queue.first]).to.deep.equal([0, 0, undefined])
  })

  it('says no to the newest when its count is reached, and takes again when there is room', () => {
    const queue = queueOf(2, 100)
    expect([queue.push('a'), queue.push('b'), queue.push('c')]).to.deep.equal([true, true, false])
    queue.shift()
    expect(queue.push('d')).to.equal(true)
    expect(queue.takeAll()).to.deep.equal(['b', 'd'])
  })

  it('says no when its size would be passed; exactly full is not too much', () => {
    const queue = queueOf(100, 5)
    expect([queue.push('abc'), queue.push('de'), queue.push('f')]).to.deep.equal([true, true, false])
    expect(queue.bytes).to.equal(5)
    expect(queueOf(100, 5).push('abcdef')).to.equal(false)
  })

  it('limits are read at each push', () => {
    let count = 1
    const queue = new BoundedQueue<string>(
      () => ({ count, bytes: 100 }),
      item => item.length,
    )
    queue.push('a')
    expect(queue.push('b')).to.equal(false)
    count = 2
    expect(queue.push('b')).to.equal(true)
    count = 1
    expect(queue.push('c')).to.equal(false)
    expect(queue.length).to.equal(2)
  })

  it('puts back in front, in order, whatever the limits', () => {
    const queue = queueOf(2, 4)
    queue.push('c')
    queue.push('d')
    queue.unshift(['a', 'b'])
    expect([queue.length, queue.bytes, queue.first]).to.deep.equal([4, 4, 'a'])
    expect(queue.push('e')).to.equal(false)
    expect(queue.takeAll()).to.deep.equal(['a', 'b', 'c', 'd'])
    expect([queue.length, queue.bytes]).to.deep.equal([0, 0])
  })

  it('behaves like a list through thousands of steps, also where it drops its used front', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), count: fc.integer({ min: 1, max: 900 }) }),
      fc.record({ kind: fc.constant('shift' as const), count: fc.integer({ min: 1, max: 900 }) }),
      fc.record({ kind: fc.constant('unshift' as const), count: fc.integer({ min: 1, max: 5 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const queue = new BoundedQueue<number>(
          () => ({ count: 4000, bytes: 1_000_000 }),
          () => 2,
        )
        const model: number[] = []
        let next = 0
        for (const { kind, count } of steps) {
          if (kind === 'unshift') {
            const items = Array.from({ length: count }, () => next++)
            queue.unshift(items)
            model.unshift(...items)
          } else {
            for (let i = 0; i < count; i++) {
              if (kind === 'shift') expect(queue.shift()).to.equal(model.shift())
              else if (queue.push(next)) model.push(next++)
              else expect(model.length).to.be.at.least(4000)
            }
          }
          expect([queue.length, queue.bytes, queue.first]).to.deep.equal([model.length, model.length * 2, model[0]])
        }
        expect(queue.takeAll()).to.deep.equal(model)
      }),
      { numRuns: 30 },
    )
  })
})
