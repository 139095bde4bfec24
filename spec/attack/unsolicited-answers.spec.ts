import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import type { WirePeer } from '../support/wire-peer.js'
import { header, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

describe('unsolicited dialback answers (CVE-2012-3525, CVE-2012-4669, CVE-2012-4672)', () => {
  const authority = new TestAuthority()
  let server: WireServer

  afterEach(() => server.stop())

  function serve(options: WireServerOptions = {}): void {
    server = new WireServer({ authority, domains: ['here.example', 'also.example'], ...options })
  }

  const proofs = (): string[] => server.proven.map(({ pair, proof, direction }) => `${direction} ${pair} ${proof}`)
  const message = (from: string, to: string, id = 'm'): string => `<message from='${from}' to='${to}' id='${id}'/>`

  const answers = [
    "<db:result from='good.example' to='here.example' type='valid'/>",
    "<db:result from='here.example' to='good.example' type='valid'/>",
    "<db:result from='peer.example' to='here.example' type='valid'/>",
    "<db:verify from='good.example' to='here.example' id='ID' type='valid'/>",
    "<db:verify from='peer.example' to='here.example' id='ID' type='valid'/>",
    "<db:result from='good.example' to='here.example' type=''>k</db:result>",
    "<db:result from='good.example' to='here.example' type='VALID'>k</db:result>",
  ]
  for (const answer of answers) {
    for (const [name, reach] of [
      ['plain', () => openPlain()],
      ['before proof', () => server.secured({}, null)],
      ['behind proof', () => server.authenticated()],
    ] as const) {
      it(`on an incoming stream, ${name}: ${answer}`, async () => {
        serve({ rules: { tls: 'optional' } })
        const peer = await reach()
        const before = proofs()
        const id = [...peer.heard.matchAll(/<stream:stream [^>]* id='([^']*)'/g)].at(-1)![1]!
        await peer.say(answer.replace('ID', id) + message('a@good.example', 'b@here.example'))
        await peer.fails('invalid-from')
        expect(proofs()).to.deep.equal(before)
        expect(server.received).to.deep.equal([])
      })
    }

    it(`on an outgoing stream: ${answer}`, async () => {
      serve()
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'hello')
      const peer = await host.accepting()
      await peer.hears('hello')
      const before = proofs()
      await peer.say(answer)
      await peer.fails('invalid-from')
      expect(proofs()).to.deep.equal(before)
    })
  }

  async function openPlain(): Promise<WirePeer> {
    const peer = server.peer()
    await peer.say(header())
    await peer.hears('</stream:features>')
    return peer
  }

  it('an answer with other names or another id than what is being asked', async () => {
    for (const wrong of [
      "from='other.example' to='here.example' id='ID'",
      "from='peer.example' to='also.example' id='ID'",
      "from='peer.example' to='here.example' id='another'",
      "from='peer.example' to='here.example'",
    ]) {
      serve()
      const host = new WireHost(server)
      const peer = await server.secured({}, null)
      await peer.say("<db:result from='peer.example' to='here.example'>k</db:result>")
      const asked = await host.secured()
      const id = / id='([^']*)'/.exec(await asked.hears('<db:verify ', '</db:verify>'))![1]!
      await asked.say(`<db:verify ${wrong.replace('ID', id)} type='valid'/>`)
      await asked.fails('invalid-from')
      await peer.hears("type='error'")
      expect(proofs()).to.deep.equal([])
      await server.stop()
    }
  })

  it('an answer said twice', async () => {
    serve()
    const host = new WireHost(server)
    const peer = await server.secured({}, null)
    await peer.say("<db:result from='peer.example' to='here.example'>k</db:result>")
    const asked = await host.secured()
    const id = / id='([^']*)'/.exec(await asked.hears('<db:verify ', '</db:verify>'))![1]!
    await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='invalid'/>`.repeat(2))
    await asked.fails('invalid-from')
    expect(proofs()).to.deep.equal([])
  })

  it('a stranger who asks and hangs up does not make us cut our stream to the domain it named', async () => {
    serve()
    const host = new WireHost(server)
    server.send('b@here.example', 'a@peer.example', 'hello')
    const live = await host.accepting()
    await live.hears('hello')
    for (let i = 0; i < 100; i++) {
      const stranger = await server.secured({}, null)
      await stranger.say("<db:result from='peer.example' to='here.example'>forged</db:result>")
      const id = / id='([^']*)'/.exec(await live.hears('<db:verify ', '</db:verify>'))![1]!
      stranger.hangUp()
      await turns(5)
      await live.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='invalid'/>`)
    }
    server.send('b@here.example', 'a@peer.example', 'again')
    await live.hears('again')
    expect(server.network.dialed.get('peer.example')).to.equal(1)
  })
})
