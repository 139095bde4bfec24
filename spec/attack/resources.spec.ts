import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'chai'
import { Stanza } from '../../lib/stanza/stanza.js'
import { createElement } from '../../lib/xml/element.js'
import { TestAuthority } from '../support/authority.js'
import { header, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

const PAIR = "from='a@peer.example' to='b@here.example'"

describe('attacks on resources', function () {
  this.timeout(60_000)
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, ...options })
  }

  function heapUsed(): number {
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    collect()
    return process.memoryUsage().heapUsed
  }

  it('a leak per connection before proof (CVE-2021-32918, CVE-2026-43506): connect, header, close, 3000 times', async () => {
    serve()
    const once = async (claimed: number): Promise<void> => {
      const peer = server.peer()
      await peer.say(header({ from: `claimed-${claimed}.example` }))
      await peer.hears('</stream:features>')
      peer.hangUp()
      await turns(2)
    }
    for (let i = 0; i < 300; i++) await once(i)
    const before = heapUsed()
    for (let i = 300; i < 3300; i++) await once(i)
    await turns()
    expect(server.incoming.size).to.equal(0)
    expect(server.clock.waiting, 'no timer is left').to.equal(0)
    expect(heapUsed() - before).to.be.below(3_000_000)
  })

  it('the same for connections that end in every other way', async () => {
    serve()
    const ways = [
      async () => {
        const peer = server.peer()
        await peer.say('garbage')
        await peer.fails('not-well-formed')
      },
      async () => {
        const peer = await server.secured()
        await peer.say('<!-- -->')
        await peer.fails('restricted-xml')
      },
      async () => {
        const peer = await server.authenticated()
        peer.hangUp()
        await turns()
      },
      async () => {
        const peer = server.peer()
        server.clock.advance(10_000)
        await peer.cut()
      },
      async () => {
        const peer = await server.secured({}, null)
        await peer.say("<db:result from='nobody.example' to='here.example'>k</db:result>")
        await peer.hears("type='error'")
        peer.hangUp()
        await turns()
      },
    ]
    for (const way of ways) await way()
    expect(server.incoming.size).to.equal(0)
    expect(server.clock.waiting, 'no timer is left').to.equal(0)
  })

  describe('dialback as a reflector (XEP-0220 §5)', () => {
    it('duplicates on one stream and on many share one connection', async () => {
      serve()
      new WireHost(server)
      const peers = await Promise.all(Array.from({ length: 15 }, () => server.secured({}, null)))
      for (const peer of peers) {
        await peer.say("<db:result from='peer.example' to='here.example'>k</db:result>".repeat(20))
        await server.fence(peer)
      }
      expect(server.network.dialed.get('peer.example')).to.equal(1)
    })

    it('one stream makes us ask at most 16 domains at once', async () => {
      serve()
      for (let i = 0; i < 60; i++) new WireHost(server, `target${i}.example`)
      const peer = await server.secured({ from: null }, null)
      for (let i = 0; i < 60; i++)
        await peer.say(`<db:result from='target${i}.example' to='here.example'>k</db:result>`)
      await server.fence(peer)
      expect(server.network.dialed.size).to.equal(16)
      expect(peer.heard.split('<resource-constraint ').length - 1).to.equal(44)
      server.clock.advance(30_000)
      await turns()
      expect(server.incoming.size).to.equal(0)
    })

    it('hanging up takes the questions back', async () => {
      serve()
      const host = new WireHost(server)
      const peer = await server.secured({}, null)
      await peer.say("<db:result from='peer.example' to='here.example'>k</db:result>")
      await host.connection()
      peer.hangUp()
      await turns()
      server.clock.advance(20_000)
      await turns()
      expect(server.clock.waiting).to.equal(0)
      expect(server.proven).to.deep.equal([])
    })
  })

  describe('error ping-pong (OF-2325)', () => {
    it('a bounce that cannot be delivered is not bounced', async () => {
      serve({ domains: ['here.example', 'also.example'] })
      const peer = await server.authenticated()
      await peer.say("<message from='a@peer.example' to='b@also.example' id='m'/>")
      await turns()
      expect(server.network.dialed.get('peer.example')).to.equal(1)
      expect(server.router.counters).to.include({ bounced: 0, dropped: 1 })
    })

    it('attempts at a dead domain decay, and every stanza has one answer', async () => {
      serve()
      let sent = 0
      for (let second = 0; second < 600; second++) {
        server.send('b@here.example', 'a@dead.example', `${sent++}`)
        await turns(1)
        server.clock.advance(1000)
        await turns(1)
      }
      expect(server.network.dialed.get('dead.example')).to.be.within(3, 14)
      const { accepted, refused } = server.outgoing.counters
      expect(accepted - refused).to.equal(server.outgoing.waiting)
      const answered = server.received.map(({ id }) => id)
      expect(new Set(answered).size).to.equal(answered.length)
      expect(answered.length + server.outgoing.waiting).to.equal(sent)
    })

    it('a mirror gets no second answer', async () => {
      serve({ domains: ['here.example', 'also.example'] })
      const host = new WireHost(server)
      const peer = await server.authenticated()
      await peer.say("<message from='a@peer.example' to='b@also.example' id='m'/>")
      const far = await host.accepting()
      const bounce = await far.hears('<message ', '</message>')
      const mirrored = bounce
        .slice(bounce.indexOf('<message '))
        .replace("from='b@also.example' to='a@peer.example'", "from='a@peer.example' to='b@also.example'")
      await peer.say(mirrored.repeat(5))
      await server.fence(peer)
      expect(far.unread).to.equal('')
    })
  })

  describe('queue exhaustion', () => {
    it('a dead domain: the newest is refused, the oldest are kept', async () => {
      serve({ settings: { queueStanzas: 10 } })
      new WireHost(server)
      for (let i = 0; i < 12; i++) server.send('b@here.example', 'a@peer.example', `${i}`)
      const refused = server.received.map(
        stanza => `${stanza.id} ${/<error type='(\w+)'/.exec(stanza.serialize().toString())?.[1]}`,
      )
      expect(refused).to.deep.equal(['10 wait', '11 wait'])
      expect(server.received[0]!.serialize().toString()).to.include('<resource-constraint ')
      expect(server.outgoing.waiting).to.equal(10)
    })

    it('bytes count as well', async () => {
      serve({ settings: { queueBytes: 10_000 } })
      new WireHost(server)
      for (let i = 0; i < 12; i++) server.send('b@here.example', 'a@peer.example', 'x'.repeat(1000), `${i}`)
      expect(server.outgoing.waiting).to.be.within(8, 10)
      expect(server.received.length).to.equal(12 - server.outgoing.waiting)
    })

    describe('over all pairs', () => {
      const SIZE = 10_000
      const body = 'x'.repeat(SIZE)

      /** How many of so many stanzas for dead domains wait; the newest are refused. */
      function waitingOf(count: number, sender: (i: number) => string): number {
        const before = server.outgoing.waiting
        for (let i = 0; i < count; i++) {
          server.network.listen(`dead${i}.example`, () => {})
          server.send(sender(i), `a@dead${i}.example`, body, `${i}`)
        }
        return server.outgoing.waiting - before
      }

      it('bytes are bounded, and one sender has a quarter of them', async () => {
        serve({ settings: { queueBytesTotal: 40 * SIZE } })
        expect(waitingOf(20, () => 'mallory@here.example/x')).to.equal(9)
        expect(waitingOf(20, () => 'mallory@here.example/y')).to.equal(0)
        expect(server.received.at(-1)!.serialize().toString()).to.include('<resource-constraint ')
        expect(waitingOf(3, () => 'olga@here.example')).to.equal(3)
        expect(waitingOf(100, i => `u${i}@here.example`)).to.equal(27)
      })

      it('what was answered makes room', async () => {
        serve({ settings: { queueBytesTotal: 40 * SIZE } })
        expect(waitingOf(20, () => 'mallory@here.example')).to.equal(9)
        await turns()
        server.clock.advance(10_000)
        await turns()
        expect(server.outgoing.waiting).to.equal(0)
        server.clock.advance(300_000)
        await turns()
        expect(waitingOf(20, () => 'mallory@here.example')).to.equal(9)
      })

      it('the bound follows its setting', async () => {
        const settings = { queueBytesTotal: 40 * SIZE }
        serve({ settings })
        expect(waitingOf(9, () => 'mallory@here.example')).to.equal(9)
        Object.assign(server.settings, { queueBytesTotal: 80 * SIZE })
        expect(waitingOf(30, () => 'mallory@here.example')).to.equal(10)
      })

      it('errors count as one sender, whatever addresses they come from', async () => {
        serve({ settings: { queueBytesTotal: 40 * SIZE } })
        let taken = 0
        for (let i = 0; i < 20; i++) {
          server.network.listen(`dead${i}.example`, () => {})
          const error = Stanza.build(
            'message',
            {
              from: server.jids.parse(`nobody${i}@here.example`),
              to: server.jids.parse(`a@dead${i}.example`),
              type: 'error',
            },
            [createElement('body', {}, body)],
          )
          if (server.outgoing.deliver(error, () => {}) === undefined) taken++
        }
        expect(taken).to.equal(9)
      })
    })

    it('a peer that reads nothing: the producer is asked to wait, the peer is cut after 30 s, and every stanza is answered or kept', async () => {
      serve({ settings: { queueStanzas: 100 } })
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'first')
      const peer = await host.accepting()
      await peer.hears('first')
      peer.stopReading()
      for (let i = 0; i < 1500; i++) {
        server.send('b@here.example', 'a@peer.example', 'x'.repeat(1000), `${i}`)
        if (i % 50 === 0) await turns(2)
      }
      await turns()
      expect(server.outgoing.queued, 'the queue is full').to.equal(100)
      expect(server.received.every(({ isError }) => isError)).to.equal(true)
      server.network.withdraw('peer.example')
      for (let i = 0; i < 4; i++) {
        server.clock.advance(15_000)
        await turns()
      }
      const { accepted, delivered, refused } = server.outgoing.counters
      expect(accepted).to.equal(delivered + refused + server.outgoing.waiting)
      expect(server.outgoing.waiting).to.equal(0)
      const ids = server.received.map(({ id }) => id)
      expect(new Set(ids).size, 'one error each').to.equal(ids.length)
      expect(ids.length).to.equal(1501 - delivered)
    })
  })

  it('one peer at full rate does not keep another from being heard', async () => {
    serve()
    const busy = await server.authenticated()
    const other = await server.authenticated({ from: 'other.example' })
    const flood = `<message ${PAIR} id='flood'/>`.repeat(500)
    for (let i = 0; i < 10; i++) {
      const said = busy.say(flood)
      await other.say(`<message from='a@other.example' to='b@here.example' id='quiet-${i}'/>`)
      await server.next(({ id }) => id === `quiet-${i}`)
      await said
    }
    await server.fence(busy)
    expect(server.received.length).to.equal(5000)
  })

  describe('maps keyed by strangers', () => {
    it('domains claimed on headers and by dialback are not remembered', async () => {
      serve()
      for (let i = 0; i < 200; i++) {
        const peer = await server.secured({ from: `h${i}.example` }, null)
        await peer.say(`<db:result from='h${i}.example' to='here.example'>k</db:result>`)
        await peer.hears("type='error'")
        peer.hangUp()
      }
      await turns()
      expect(server.outgoing.rows()).to.deep.equal([])
      expect(server.table.rows()).to.deep.equal([])
      expect(server.incoming.rows()).to.deep.equal([])
      expect(server.clock.waiting).to.equal(0)
    })

    it('pairs that are not in use are forgotten above a bound', async () => {
      serve()
      for (let i = 0; i < 1500; i++) {
        server.send('b@here.example', `a@dead${i}.example`, `${i}`)
        if (i % 50 === 49) await turns(4)
      }
      await turns()
      expect(server.received.length).to.equal(1500)
      expect(server.outgoing.rows().length).to.be.at.most(1001)
    })
  })
})
