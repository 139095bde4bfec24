import { expect } from 'chai'
import { ReaderPressure } from '../../../lib/access/ximss/reader-pressure.js'
import { ManualClock } from '../../support/manual-clock.js'

describe('pressure of a client that does not keep up', () => {
  it('lets those who wait go on when it has read, in their order', () => {
    const pressure = new ReaderPressure(new ManualClock())
    const gone: number[] = []
    for (const i of [1, 2]) pressure.onRelief(() => gone.push(i))
    expect(gone).to.deep.equal([])
    pressure.ease()
    expect(gone).to.deep.equal([1, 2])
  })

  it('holds nobody up for more than 2 s, and then nobody at all until it has read', () => {
    const clock = new ManualClock()
    const pressure = new ReaderPressure(clock)
    let gone = 0
    pressure.onRelief(() => gone++)
    clock.advance(1999)
    expect([gone, pressure.isSpent]).to.deep.equal([0, false])
    clock.advance(1)
    expect([gone, pressure.isSpent]).to.deep.equal([1, true])
    pressure.onRelief(() => gone++)
    expect(gone).to.equal(2)
    pressure.ease()
    expect([pressure.isSpent, clock.waiting]).to.deep.equal([false, 0])
  })
})
