import { expect } from 'chai'
import { Trace, type TraceStep } from '../../lib/base/trace.js'
import { ManualClock } from '../support/manual-clock.js'

describe('trace', () => {
  it('keeps steps in order with whole milliseconds from its start, and tells each as it is noted', () => {
    const clock = new ManualClock()
    clock.advance(500)
    const told: TraceStep[] = []
    const trace = new Trace(clock, step => told.push(step))
    trace.note('dns', { name: 'south.example' })
    clock.advance(12.6)
    trace.note('tcp')
    expect(trace.steps).to.deep.equal([
      { atMs: 0, step: 'dns', facts: { name: 'south.example' } },
      { atMs: 13, step: 'tcp', facts: {} },
    ])
    expect(told).to.deep.equal(trace.steps)
  })

  it('names what is being waited for', () => {
    const trace = new Trace(new ManualClock())
    expect(trace.waitingFor).to.equal('start')
    trace.waitFor('TLS handshake')
    expect(trace.waitingFor).to.equal('TLS handshake')
  })

  it('does not grow without end, whatever a peer does', () => {
    let told = 0
    const trace = new Trace(new ManualClock(), () => told++)
    for (let i = 0; i < 10_000; i++) trace.note(`step ${i}`)
    expect(trace.steps).to.have.length(200)
    expect(told).to.equal(200)
    expect(trace.steps[0]?.step).to.equal('step 0')
  })
})
