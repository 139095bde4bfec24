import { expect } from 'chai'
import { Slots } from '../../lib/base/slots.js'

const never = new AbortController().signal

/** Lets everything that is settled be heard. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('slots', () => {
  it('gives out as many places as there are; the rest wait, first come first served', async () => {
    const slots = new Slots(() => 2)
    const order: string[] = []
    const enter = async (name: string): Promise<() => void> => {
      const leave = await slots.take(never)
      order.push(name)
      return leave
    }
    const [leaveA, leaveB] = await Promise.all([enter('a'), enter('b')])
    const waiting = [enter('c'), enter('d')]
    await turn()
    expect(order).to.deep.equal(['a', 'b'])
    leaveB()
    await waiting[0]
    expect(order).to.deep.equal(['a', 'b', 'c'])
    leaveA()
    await waiting[1]
    expect(order).to.deep.equal(['a', 'b', 'c', 'd'])
  })

  it('a place given back twice is one place', async () => {
    const slots = new Slots(() => 1)
    const leave = await slots.take(never)
    const entered: string[] = []
    for (const name of ['b', 'c']) void slots.take(never).then(() => entered.push(name))
    leave()
    leave()
    await turn()
    expect(entered).to.deep.equal(['b'])
  })

  it('whoever gives up while waiting is passed over', async () => {
    const slots = new Slots(() => 1)
    const leave = await slots.take(never)
    const aborter = new AbortController()
    const given = slots.take(aborter.signal)
    const next = slots.take(never)
    const reason = new Error('waited too long')
    aborter.abort(reason)
    expect(await given.catch((error: unknown) => error)).to.equal(reason)
    leave()
    expect(await next).to.be.a('function')
  })

  it('a signal that has aborted already gets no place and takes none', async () => {
    const slots = new Slots(() => 1)
    const reason = new Error('over')
    expect(await slots.take(AbortSignal.abort(reason)).catch((error: unknown) => error)).to.equal(reason)
    expect(await slots.take(never)).to.be.a('function')
  })

  it('an abort after entering changes nothing', async () => {
    const slots = new Slots(() => 1)
    const aborter = new AbortController()
    const leave = await slots.take(aborter.signal)
    aborter.abort()
    let entered = false
    const next = slots.take(never).then(() => {
      entered = true
    })
    await turn()
    expect(entered).to.equal(false)
    leave()
    await next
    expect(entered).to.equal(true)
  })

  it('a larger capacity lets those who wait in with the next place given back', async () => {
    let capacity = 1
    const slots = new Slots(() => capacity)
    const leave = await slots.take(never)
    const waiting = [slots.take(never), slots.take(never)]
    capacity = 3
    leave()
    for (const one of waiting) expect(await one).to.be.a('function')
  })

  it('a smaller capacity lets nobody in until enough have left', async () => {
    let capacity = 2
    const slots = new Slots(() => capacity)
    const [leaveA, leaveB] = await Promise.all([slots.take(never), slots.take(never)])
    capacity = 1
    let entered = false
    void slots.take(never).then(() => {
      entered = true
    })
    leaveA()
    await turn()
    expect(entered).to.equal(false)
    leaveB()
    await turn()
    expect(entered).to.equal(true)
  })
})
