import { expect } from 'chai'
import { VerificationLimits } from '../../lib/session/verification-limits.js'
import { ManualClock } from '../support/manual-clock.js'

describe('limits of verifications (XEP-0220 §5)', () => {
  it('64 questions of one place, 512 in all; each makes room once when it is over', () => {
    const limits = new VerificationLimits(new ManualClock())
    const leaves = Array.from({ length: 64 }, () => limits.enter('here'))
    expect(leaves).not.to.include(undefined)
    expect(limits.enter('here')).to.equal(undefined)
    for (let i = 0; i < 448; i++) expect(limits.enter(`place ${i}`)).to.be.a('function')
    expect(limits.enter('elsewhere')).to.equal(undefined)
    leaves[0]!()
    expect(limits.enter('here')).to.be.a('function')
    expect(limits.enter('elsewhere')).to.equal(undefined)
  })

  it('32 streams of one place in a minute, which begins with the first of them', () => {
    const clock = new ManualClock()
    const limits = new VerificationLimits(clock)
    const opened = (): number => Array.from({ length: 40 }, () => limits.mayOpen('here')).filter(may => may).length
    expect(opened()).to.equal(32)
    expect(limits.mayOpen('elsewhere')).to.equal(true)
    clock.advance(59_999)
    expect(opened()).to.equal(0)
    clock.advance(1)
    expect(opened()).to.equal(32)
  })

  it('of very many places the oldest is forgotten, not the newest', () => {
    const limits = new VerificationLimits(new ManualClock())
    for (let i = 0; i < 10_001; i++) for (let k = 0; k < 32; k++) limits.mayOpen(`place ${i}`)
    expect(limits.mayOpen('place 10000')).to.equal(false)
    expect(limits.mayOpen('place 1')).to.equal(false)
    expect(limits.mayOpen('place 0')).to.equal(true)
  })
})
