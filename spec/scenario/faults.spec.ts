import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect } from 'chai'
import { Federation } from '../../lib/service/federation.js'
import { TestAuthority } from '../support/authority.js'
import type { XimssClient } from '../support/ximss-client.js'
import { Link } from './link.js'
import { heard, type Member, say, World } from './world.js'

describe('whole services when things go wrong', () => {
  const authority = new TestAuthority()
  let world: World
  let opened: Link | undefined

  beforeEach(async () => {
    world = await World.open(authority)
  })
  afterEach(async () => {
    opened?.close()
    opened = undefined
    await world.close()
  })

  /** North, and south behind a link that can be cut, with a user each. */
  async function linked(): Promise<{
    north: Member
    south: Member
    olga: XimssClient
    ivo: XimssClient
    link: Link
  }> {
    const north = await world.running('north.example', { 'xmpp.server.backoff.initial': '100ms' })
    const south = await world.running('south.example')
    const link = await Link.open(south.serverPort)
    opened = link
    world.publish('south.example', link.port)
    return { north, south, link, olga: await north.user('olga'), ivo: await south.user('ivo') }
  }

  it('promise 2: thousands of messages arrive once each, in order', async () => {
    const { north, olga, ivo } = await linked()
    say(olga, 'ivo@south.example', 'first')
    await heard(ivo)
    for (let i = 0; i < 3000; i++) say(olga, 'ivo@south.example', `m${i}`)
    for (let i = 0; i < 3000; i++) {
      const message = await heard(ivo)
      if (!message.includes(`iqid="m${i}"`)) expect(message).to.include(`iqid="m${i}"`)
    }
    await north.stop()
    expect(north.log.all('service-stopped')).to.deep.equal([{ accepted: 3001, delivered: 3001, refused: 0 }])
  })

  it('promise 1: a cut link costs each sender at most one error, all is accounted for, and the next message gets through', async () => {
    const { north, olga, ivo, link } = await linked()
    say(olga, 'ivo@south.example', 'before')
    await heard(ivo)
    link.stop()
    const filler = 'x'.repeat(1000)
    for (let i = 0; i < 500; i++)
      olga.send(`<sendIM id="say" peer="ivo@south.example" type="chat" iqid="m${i}">${filler}</sendIM>`)
    await olga.request('noop')
    link.cut()
    await north.log.first('pair-lost')
    link.goOn()
    say(olga, 'ivo@south.example', 'after')
    let message = await heard(ivo)
    const arrived: string[] = []
    while (!message.includes('iqid="after"')) {
      arrived.push(idOf(message))
      message = await heard(ivo)
    }
    say(olga, 'olga@north.example', 'end')
    const failed: string[] = []
    for (let error = await heard(olga); idOf(error) !== 'end'; error = await heard(olga)) failed.push(idOf(error))
    expect(new Set(failed).size).to.equal(failed.length)
    expect(failed.filter(id => arrived.includes(id))).to.deep.equal([])
    const { counters, waiting } = outgoingOf(north)
    expect(waiting).to.equal(0)
    expect(counters.accepted).to.equal(502)
    expect(counters.refused).to.equal(failed.length)
    await north.stop()
    const [end] = north.log.all('service-stopped')
    expect(end).to.deep.equal({ accepted: 502, delivered: 502 - failed.length, refused: failed.length })
  })

  it('a peer that does not read holds its senders back, nobody else; when it reads again all arrives in order', async () => {
    const { north, olga, ivo, link } = await linked()
    const eva = await north.user('eva')
    say(olga, 'ivo@south.example', 'first')
    await heard(ivo)
    link.stop()
    const filler = 'x'.repeat(50_000)
    for (let i = 0; i < 300; i++)
      olga.send(`<sendIM id="s${i}" peer="ivo@south.example" type="chat" iqid="m${i}">${filler}</sendIM>`)
    await heldBack(north)
    say(eva, 'olga@north.example', 'meanwhile')
    say(eva, 'eva@north.example', 'me')
    expect(idOf(await heard(eva))).to.equal('me')
    link.goOn()
    for (let i = 0; i < 300; i++) expect(idOf(await heard(ivo))).to.equal(`m${i}`)
    const { counters, waiting } = outgoingOf(north)
    expect([waiting, counters.refused]).to.deep.equal([0, 0])
  })

  it('a peer that does not read cannot hold up the stop, and what it did not take is accounted for', async () => {
    const { north, olga, ivo, link } = await linked()
    say(olga, 'ivo@south.example', 'first')
    await heard(ivo)
    link.stop()
    const filler = 'x'.repeat(50_000)
    for (let i = 0; i < 300; i++)
      olga.send(`<sendIM id="s${i}" peer="ivo@south.example" type="chat" iqid="m${i}">${filler}</sendIM>`)
    await heldBack(north)
    const { counters } = outgoingOf(north)
    await north.service.stop()
    expect(counters.refused).to.be.greaterThan(0)
    expect(counters.accepted).to.equal(counters.delivered + counters.refused)
  })

  it('a client that does not read cannot hold up the stop', async () => {
    const north = await world.running('north.example')
    const [olga, eva] = [await north.user('olga'), await north.user('eva')]
    eva.pause()
    const filler = 'x'.repeat(50_000)
    for (let i = 0; i < 60; i++) olga.send(`<sendIM id="say" peer="eva@north.example" type="chat">${filler}</sendIM>`)
    await olga.request('noop')
    await north.service.stop()
    expect(north.log.all('service-stopped')).to.have.length(1)
  })

  it('promise 4: beyond xmpp.server.outgoing.queue the newest is refused, with resource-constraint', async () => {
    const deaf = createServer(socket => socket.on('error', () => {}))
    await once(deaf.listen(0, '127.0.0.1'), 'listening')
    try {
      const north = await world.running('north.example', { 'xmpp.server.outgoing.queue': 5 })
      world.publish('deaf.example', (deaf.address() as AddressInfo).port)
      const olga = await north.user('olga')
      for (let i = 0; i < 6; i++) say(olga, 'ivo@deaf.example', `m${i}`)
      const refused = await heard(olga)
      expect(refused).to.include('iqid="m5"').and.include('errorCondition="resource-constraint"')
      expect((await north.sessions('s2s-out')).map(row => row.state)).to.deep.equal(['connecting; 5 waiting'])
    } finally {
      deaf.close()
    }
  })

  it('an admin who closes an incoming stream costs nothing: the peer opens another', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'one')
    await heard(ivo)
    const [stream] = await south.sessions('s2s-in')
    await south.admin('DELETE', `/sessions/${stream?.id}`)
    await north.log.first('pair-lost')
    expect((await north.sessions('s2s-out')).map(row => row.state)).to.deep.equal(['idle'])
    expect((await north.admin('GET', '/routes')) as unknown[]).to.have.length(1)
    say(olga, 'ivo@south.example', 'two')
    expect(await heard(ivo)).to.include('<body>two</body>')
  })

  it('two domains of one service reach each other without any stream', async () => {
    const north = await world.running('north.example', { 'xmpp.domains': ['north.example', 'west.example'] })
    const [olga, eva] = [await north.user('olga'), await north.user('eva', 'west.example')]
    say(olga, 'eva@west.example', 'next door')
    expect(await heard(eva)).to.include('<body>next door</body>')
    expect(await north.sessions('s2s-out')).to.deep.equal([])
  })

  it('XEP-0220 §2: two services with self-signed certificates prove themselves by dialback over TLS when that is allowed', async () => {
    const sets = { 'xmpp.server.certificate.strict-validation': false, 'tls.trust': [] }
    const members: Member[] = []
    for (const domain of ['north.example', 'south.example']) {
      const member = await world.member(domain, sets, [])
      await member.start()
      world.publish(domain, member.serverPort)
      members.push(member)
    }
    const [north, south] = members as [Member, Member]
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'hello')
    expect(await heard(ivo)).to.include('<body>hello</body>')
    say(ivo, 'olga@north.example', 'hello back')
    expect(await heard(olga)).to.include('<body>hello back</body>')
    for (const member of members) {
      expect((await member.sessions('s2s-out')).map(row => row.state)).to.deep.equal([
        'established by dialback; TLSv1.3',
      ])
    }
  })
}).timeout(30_000)

function idOf(message: string): string {
  return /iqid="([^"]*)"/.exec(message)?.[1] ?? ''
}

function outgoingOf(member: Member): Federation['outgoing'] {
  const { federation } = member.service as unknown as { federation: unknown }
  if (!(federation instanceof Federation)) throw new Error('no federation in the service')
  return federation.outgoing
}

/** Waits until whoever writes to south is held back. */
async function heldBack(member: Member): Promise<void> {
  const outgoing = outgoingOf(member)
  while (outgoing.session('north.example', 'south.example')?.congestion === undefined)
    await new Promise(resolve => setImmediate(resolve))
}
