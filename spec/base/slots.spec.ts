import { setMaxListeners } from 'node:events'
import { expect } from 'chai'
import { Slots, type Turn } from '../../lib/base/slots.js'

const never = new AbortController().signal
// Every place that is waited for listens to it.
setMaxListeners(0, never)

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

  describe('in fair turns', () => {
    const places = (slots: Slots, turn: Turn, count: number, order: string[], name: string): Promise<() => void>[] =>
      Array.from({ length: count }, () => {
        const place = slots.take(never, { ...turn })
        void place.then(() => order.push(name))
        return place
      })

    it('a group may have all but the last quarter while nobody else wants any; a newcomer finds a place', async () => {
      const slots = new Slots(() => 100)
      const order: string[] = []
      places(slots, { group: 'greedy' }, 200, order, 'greedy')
      await turn()
      expect(order.length).to.equal(75)
      places(slots, { group: 'other' }, 1, order, 'other')
      await turn()
      expect(order.at(-1)).to.equal('other')
    })

    it('while others wait, no group gets more than eight', async () => {
      const slots = new Slots(() => 32)
      const order: string[] = []
      places(slots, { group: 'a' }, 8, [], 'a')
      const others = await Promise.all(Array.from({ length: 24 }, (_, i) => slots.take(never, { group: `${i}` })))
      places(slots, { group: 'a' }, 5, order, 'a')
      places(slots, { group: 'b' }, 9, order, 'b')
      for (const leave of others.slice(0, 12)) leave()
      await turn()
      expect(order).to.deep.equal(Array.from({ length: 8 }, () => 'b'))
      for (const leave of others.slice(12)) leave()
      await turn()
      expect(order.filter(name => name === 'a').length).to.equal(5)
      expect(order.length).to.equal(14)
    })

    it('who holds least goes first, whoever came first', async () => {
      const slots = new Slots(() => 4)
      const order: string[] = []
      const held = await Promise.all(['a', 'b', 'c', 'd'].map(group => slots.take(never, { group })))
      places(slots, { group: 'a' }, 1, order, 'a')
      places(slots, { group: 'e' }, 1, order, 'e')
      held[1]!()
      await turn()
      expect(order).to.deep.equal(['e'])
      held[0]!()
      await turn()
      expect(order).to.deep.equal(['e', 'a'])
    })

    it('of several who want the same, the one who holds least counts, and all are charged', async () => {
      const slots = new Slots(() => 8)
      const order: string[] = []
      const wanted = (...names: string[]): Turn => ({ wantedBy: () => names })
      places(slots, wanted('greedy'), 9, order, 'greedy')
      await turn()
      expect(order.length).to.equal(6)
      places(slots, wanted('greedy', 'modest'), 1, order, 'both')
      await turn()
      expect(order.at(-1)).to.equal('both')
      places(slots, wanted('modest'), 1, order, 'modest')
      await turn()
      expect(order.at(-1)).to.equal('modest')
      places(slots, wanted('modest'), 1, order, 'modest again')
      await turn()
      expect(order.at(-1)).to.equal('modest')
    })

    it('what is wanted by somebody else too is given out as soon as that is told', async () => {
      const slots = new Slots(() => 8)
      const order: string[] = []
      const names = ['greedy']
      places(slots, { wantedBy: () => ['greedy'] }, 6, order, 'greedy')
      const shared: Turn = { wantedBy: () => names }
      void slots.take(never, shared).then(() => order.push('shared'))
      await turn()
      expect(order).not.to.include('shared')
      names.push('modest')
      slots.reconsider(shared)
      await turn()
      expect(order.at(-1)).to.equal('shared')
    })

    it('however long the line of one is, what somebody else wants too is not lost in it', async () => {
      const slots = new Slots(() => 8)
      const order: string[] = []
      places(slots, { wantedBy: () => ['greedy'] }, 200, [], 'greedy')
      const names = ['greedy']
      const shared: Turn = { wantedBy: () => names }
      void slots.take(never, shared).then(() => order.push('shared'))
      const [leave] = await Promise.all([slots.take(never, { group: 'a' }), slots.take(never, { group: 'b' })])
      names.push('modest')
      slots.reconsider(shared)
      names.push('other')
      places(slots, { wantedBy: () => ['other'] }, 5, [], 'other')
      slots.reconsider(shared)
      leave!()
      await turn()
      expect(order).to.deep.equal(['shared'])
    })

    it('between equals the preferred go first, then the side that holds less', async () => {
      const slots = new Slots(() => 2)
      const order: string[] = []
      const held = await Promise.all([
        slots.take(never, { group: 'a', side: 'left' }),
        slots.take(never, { group: 'b', side: 'left' }),
      ])
      places(slots, { group: 'c', side: 'left' }, 1, order, 'left')
      places(slots, { group: 'd', side: 'right' }, 1, order, 'right')
      places(slots, { group: 'e', side: 'left', isPreferred: () => true }, 1, order, 'preferred')
      held[0]!()
      await turn()
      held[1]!()
      await turn()
      expect(order).to.deep.equal(['preferred', 'right'])
    })

    it('what is in the background has a quarter of the places, and at least one', async () => {
      const order: string[] = []
      for (const [capacity, most] of [
        [100, 25],
        [2, 1],
      ] as const) {
        const slots = new Slots(() => capacity)
        order.length = 0
        const taken = places(slots, { isBackground: () => true }, 50, order, 'background')
        await turn()
        expect(order.length).to.equal(most)
        const leave = await taken[0]!
        leave()
        await turn()
        expect(order.length).to.equal(most + 1)
      }
    })
  })
})
