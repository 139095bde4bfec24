import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.js'

/** Lets timers of no delay fire. */
const wait = (ms: number): Promise<void> => new Promise(resolve => systemClock.after(ms, resolve))

describe('clock', () => {
  it('calls once, and later timers after earlier ones', async () => {
    const order: string[] = []
    await Promise.all([
      wait(20).then(() => order.push('late')),
      wait(1).then(() => order.push('early')),
      wait(0).then(() => order.push('now')),
    ])
    expect(order.at(-1)).to.equal('late')
    expect(order).to.have.length(3)
  })

  it('what is cancelled is not called; cancelling is allowed at any time', async () => {
    let called = 0
    const cancel = systemClock.after(1, () => called++)
    cancel()
    const kept = systemClock.after(1, () => called++)
    await wait(15)
    kept()
    kept()
    cancel()
    expect(called).to.equal(1)
  })

  it('does not fire at once what is further away than the timers of Node reach (2^31 ms)', async () => {
    let called = false
    const cancels = [2 ** 31 - 1, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY].map(ms =>
      systemClock.after(ms, () => {
        called = true
      }),
    )
    await wait(15)
    for (const cancel of cancels) cancel()
    expect(called).to.equal(false)
  })

  it('goes the rest of a long way after the first part', () => {
    const asked: number[] = []
    const pending: (() => void)[] = []
    const original = globalThis.setTimeout
    globalThis.setTimeout = ((action: () => void, ms: number) => {
      asked.push(ms)
      pending.push(action)
      return original(() => {}, 0)
    }) as typeof setTimeout
    try {
      let called = 0
      systemClock.after(2 ** 31 + 5, () => called++)
      pending[0]?.()
      expect(called).to.equal(0)
      pending[1]?.()
      expect(called).to.equal(1)
    } finally {
      globalThis.setTimeout = original
    }
    expect(asked).to.deep.equal([2 ** 31 - 1, 6])
  })

  it('now never goes back; date is the calendar time', () => {
    const first = systemClock.now()
    const second = systemClock.now()
    expect(second).to.be.at.least(first)
    const before = Date.now()
    const date = systemClock.date().getTime()
    expect(date).to.be.within(before, Date.now())
  })
})
