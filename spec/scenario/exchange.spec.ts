import { expect } from 'chai'
import { Federation } from '../../lib/service/federation.js'
import { TestAuthority } from '../support/authority.js'
import { heard, say, World } from './world.js'

describe('two whole services', () => {
  const authority = new TestAuthority()
  let world: World

  beforeEach(async () => {
    world = await World.open(authority)
  })
  afterEach(() => world.close())

  it('RFC 6121 §5: messages go both ways between XIMSS users, in order, over a proven link in each direction', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const olga = await north.user('olga')
    const ivo = await south.user('ivo')
    for (const word of ['one', 'two', 'three']) say(olga, 'ivo@south.example', word)
    for (const word of ['one', 'two', 'three']) {
      const message = await heard(ivo)
      expect(message).to.include('peer="olga@north.example"').and.include(`<body>${word}</body>`)
    }
    say(ivo, 'olga@north.example', 'back')
    expect(await heard(olga)).to.include('<body>back</body>')
    const out = await north.sessions('s2s-out')
    expect(out.map(({ subject, state }) => [subject, state])).to.deep.equal([
      ['north.example → south.example', 'established by external; TLSv1.3'],
    ])
    expect((await north.sessions('s2s-in')).map(row => row.state)).to.deep.equal([
      'proven: north.example←south.example: external; TLSv1.3',
    ])
    const routes = (await north.admin('GET', '/routes')) as { target: string; via: string }[]
    expect(routes.map(row => row.target)).to.have.members(['north.example → south.example', 'olga@north.example/desk'])
  })

  it('RFC 6121 §4.6: directed presence goes both ways, and its end is told when the user leaves', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const olga = await north.user('olga')
    const ivo = await south.user('ivo')
    await olga.request('presenceSet', { peer: 'ivo@south.example/desk' }, '<presence>busy</presence>')
    expect(await ivo.nextWith('<presence '))
      .to.include('peer="olga@north.example"')
      .and.include('busy')
    await ivo.request('presenceSet', { peer: 'olga@north.example/desk' }, '<presence>away</presence>')
    expect(await olga.nextWith('<presence '))
      .to.include('peer="ivo@south.example"')
      .and.include('away')
    await olga.request('bye')
    expect(await ivo.nextWith('<presence ')).to.include('type="unavailable"')
  })

  it('RFC 6120 §8.2.3: an iq is answered once, by the user, the server, or with an error', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const olga = await north.user('olga')
    const ivo = await south.user('ivo')
    const query = '<query xmlns="urn:example:question"/>'
    await olga.request('iqSend', { peer: 'ivo@south.example/desk', type: 'get', iqid: 'q1' }, query)
    const asked = await ivo.nextWith('<iqRead ')
    expect(asked).to.include('type="get"').and.include('urn:example:question')
    const peer = /peer="([^"]*)"/.exec(asked)?.[1] ?? ''
    const iqid = /iqid="([^"]*)"/.exec(asked)?.[1] ?? ''
    await ivo.request('iqSend', { peer, type: 'result', iqid }, '<answer xmlns="urn:example:question"/>')
    expect(await olga.nextWith('<iqRead '))
      .to.include('type="result"')
      .and.include('iqid="q1"')
      .and.include('<answer ')
    await olga.request('iqSend', { peer: 'south.example', type: 'get', iqid: 'q2' }, '<ping xmlns="urn:xmpp:ping"/>')
    expect(await olga.nextWith('<iqRead '))
      .to.include('type="result"')
      .and.include('iqid="q2"')
    await olga.request('iqSend', { peer: 'ivo@south.example/nowhere', type: 'get', iqid: 'q3' }, query)
    expect(await olga.nextWith('<iqRead '))
      .to.include('type="error"')
      .and.include('service-unavailable')
  })

  it('RFC 6120 §8.3.3.16: an unknown domain costs its sender exactly one remote-server-not-found', async () => {
    const north = await world.running('north.example')
    const olga = await north.user('olga')
    say(olga, 'ivo@nowhere.example', 'lost')
    const error = await heard(olga)
    expect(error).to.include('type="error"').and.include('iqid="lost"').and.include('peer="ivo@nowhere.example"')
    expect(error).to.include('errorCondition="remote-server-not-found"').and.include('does not exist in DNS')
    say(olga, 'olga@north.example', 'next')
    expect(await heard(olga)).to.include('iqid="next"')
    expect(north.log.all('s2s-out-failed').map(({ reason }) => reason)).to.deep.equal(['dns: no-such-domain'])
  })

  it('a domain whose SRV record leads to our own listener is a loop: refused, with one error and no connection', async () => {
    const north = await world.running('north.example')
    world.publish('mirror.example', north.serverPort)
    const olga = await north.user('olga')
    say(olga, 'ivo@mirror.example', 'round')
    expect(await heard(olga))
      .to.include('type="error"')
      .and.include('iqid="round"')
    expect(north.log.all('s2s-in-connected')).to.deep.equal([])
    expect(String(north.log.all('s2s-out-failed')[0]?.reason)).to.match(/^tcp: forbidden-target/)
  })

  it('every accepted stanza is accounted for: accepted = delivered + refused + waiting', async () => {
    const north = await world.running('north.example')
    await world.running('south.example')
    const { federation } = north.service as unknown as { federation: unknown }
    if (!(federation instanceof Federation)) throw new Error('no federation in the service')
    const { outgoing } = federation
    const olga = await north.user('olga')
    // Nobody reads at south: the bounce of each message shows that it arrived there and came back.
    for (let i = 0; i < 20; i++) say(olga, 'nobody@south.example', `m${i}`)
    for (let i = 0; i < 20; i++) say(olga, 'nobody@nowhere.example', `n${i}`)
    const errors = new Map<string, number>()
    for (let i = 0; i < 40; i++) {
      const id = /iqid="([^"]*)"/.exec(await heard(olga))?.[1] ?? ''
      errors.set(id, (errors.get(id) ?? 0) + 1)
      const { accepted, delivered, refused } = outgoing.counters
      expect(accepted).to.equal(delivered + refused + outgoing.waiting)
    }
    expect([...errors.values()].every(count => count === 1)).to.equal(true)
    expect(errors.size).to.equal(40)
    const { accepted, delivered, refused } = outgoing.counters
    expect(delivered).to.equal(20)
    expect(outgoing.waiting).to.equal(0)
    expect(accepted).to.equal(delivered + refused)
    await north.stop()
    const [end] = north.log.all('service-stopped')
    expect(end).to.deep.equal({ accepted, delivered, refused })
  })

  it('two services in one process do not disturb each other', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const east = await world.running('east.example')
    const olga = await north.user('olga')
    const ivo = await south.user('ivo')
    const eva = await east.user('eva')
    await north.property('xmpp.server.socket.remotePort', 15_269)
    expect(await south.admin('GET', '/properties/xmpp.server.socket.remotePort')).to.include({ value: '5269' })
    await south.stop()
    await ivo.closed
    say(olga, 'eva@east.example', 'still here')
    expect(await heard(eva)).to.include('<body>still here</body>')
    expect(south.log.all('service-stopped')).to.have.length(1)
    expect(north.log.all('service-stopped')).to.have.length(0)
  })
}).timeout(30_000)
