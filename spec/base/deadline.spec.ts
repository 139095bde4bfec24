import { expect } from 'chai'
import { Deadline, untilAborted } from '../../lib/base/deadline.js'
import { ManualClock } from '../support/manual-clock.js'

describe('deadline', () => {
  const late = (): Error => new Error('late')

  it('aborts at its time with the reason of that moment', () => {
    const clock = new ManualClock()
    let waitingFor = 'first step'
    const { signal } = new Deadline(clock, 100, () => new Error(waitingFor))
    clock.advance(99)
    expect(signal.aborted).to.equal(false)
    waitingFor = 'second step'
    clock.advance(1)
    expect(signal.aborted).to.equal(true)
    expect(signal.reason).to.have.property('message', 'second step')
  })

  it('passes the outer abort on with its reason, and asks for none of its own', () => {
    const clock = new ManualClock()
    const outer = new AbortController()
    let asked = 0
    const { signal } = new Deadline(clock, 100, () => new Error(String(asked++)), outer.signal)
    const reason = new Error('the service stops')
    outer.abort(reason)
    expect(signal.reason).to.equal(reason)
    clock.advance(1000)
    expect(signal.reason).to.equal(reason)
  })

  it('is over at once below a signal that has aborted already', () => {
    const reason = new Error('over')
    const { signal } = new Deadline(new ManualClock(), 100, late, AbortSignal.abort(reason))
    expect(signal.aborted).to.equal(true)
    expect(signal.reason).to.equal(reason)
  })

  it('never aborts after done, and leaves neither timer nor listener behind', () => {
    const clock = new ManualClock()
    const outer = new AbortController()
    const deadline = new Deadline(clock, 100, late, outer.signal)
    expect(clock.waiting).to.equal(1)
    deadline.done()
    deadline.done()
    expect(clock.waiting).to.equal(0)
    clock.advance(1000)
    outer.abort(new Error('later'))
    expect(deadline.signal.aborted).to.equal(false)
  })

  it('holds no timer any more once the outer signal has ended it', () => {
    const clock = new ManualClock()
    const outer = new AbortController()
    const before = new Deadline(clock, 100, late, outer.signal)
    outer.abort()
    const after = new Deadline(clock, 100, late, outer.signal)
    expect([before.signal.aborted, after.signal.aborted]).to.deep.equal([true, true])
    expect(clock.waiting).to.equal(0)
  })

  it('tells its own end from that of the outer signal', () => {
    const clock = new ManualClock()
    const outer = new AbortController()
    const [own, passedOn] = [new Deadline(clock, 100, late, outer.signal), new Deadline(clock, 300, late, outer.signal)]
    expect(own.passed).to.equal(false)
    clock.advance(100)
    outer.abort()
    clock.advance(1000)
    expect([own.passed, passedOn.passed]).to.deep.equal([true, false])
    expect([own.signal.reason, passedOn.signal.reason]).to.deep.equal([own.signal.reason, outer.signal.reason])
    expect(own.signal.reason).to.have.property('message', 'late')
  })
})

describe('untilAborted', () => {
  it('is what the promise comes to when that is first', async () => {
    const aborter = new AbortController()
    const fault = new Error('fault')
    expect(await untilAborted(Promise.resolve('done'), aborter.signal)).to.equal('done')
    expect(await untilAborted(Promise.reject(fault), aborter.signal).catch((error: unknown) => error)).to.equal(fault)
  })

  it('rejects with the reason of the signal when that is first, and a later failure of the promise goes unheard', async () => {
    const aborter = new AbortController()
    const reason = new Error('too late')
    let fail: (error: Error) => void = () => {}
    const slow = new Promise<never>((_, reject) => {
      fail = reject
    })
    const waiting = untilAborted(slow, aborter.signal).catch((error: unknown) => error)
    aborter.abort(reason)
    expect(await waiting).to.equal(reason)
    fail(new Error('unheard'))
    expect(await untilAborted(new Promise(() => {}), aborter.signal).catch((error: unknown) => error)).to.equal(reason)
  })
})
