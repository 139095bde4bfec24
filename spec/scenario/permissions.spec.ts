import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { heard, type Member, say, World } from './world.js'

describe('permission entries of a running service', () => {
  const authority = new TestAuthority()
  let world: World

  beforeEach(async () => {
    world = await World.open(authority)
  })
  afterEach(() => world.close())

  const streams = async (member: Member): Promise<number> =>
    (await member.sessions('s2s-in')).length + (await member.sessions('s2s-out')).length

  it('a block ends live streams of both directions at once; its end lets both in again', async () => {
    const [north, south] = [await world.running('north.example'), await world.running('south.example')]
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'hello')
    expect(await heard(ivo)).to.include('<body>hello</body>')
    say(ivo, 'olga@north.example', 'hello too')
    expect(await heard(olga)).to.include('<body>hello too</body>')

    await north.admin('POST', '/domains', { pattern: '*.example', action: 'block', reason: 'a quarrel' })
    await Promise.all([north.log.first('s2s-in-ended'), south.log.first('pair-lost'), south.log.first('s2s-in-ended')])
    expect(await streams(south)).to.equal(1)
    say(olga, 'ivo@south.example', 'blocked')
    expect(await heard(olga))
      .to.include('errorCondition="not-allowed"')
      .and.not.include('quarrel')
    say(ivo, 'olga@north.example', 'refused')
    expect(await heard(ivo))
      .to.include('type="error"')
      .and.not.include('quarrel')
    expect(await north.sessions('s2s-out')).to.deep.equal([])

    await north.admin('DELETE', `/domains/${encodeURIComponent('*.example')}`)
    await south.property('xmpp.server.backoff.initial', '1s')
    say(olga, 'ivo@south.example', 'again')
    expect(await heard(ivo)).to.include('<body>again</body>')
    say(ivo, 'olga@north.example', 'again')
    expect(await heard(olga)).to.include('<body>again</body>')
  })

  it('a whitelist is a setting that counts at once; entries are there again after a restart', async () => {
    const north = await world.running('north.example')
    const [south, west] = [await world.running('south.example'), await world.running('west.example')]
    const [ivo, wim] = [await south.user('ivo'), await west.user('wim')]
    let olga = await north.user('olga')
    say(olga, 'wim@west.example', 'hello')
    expect(await heard(wim)).to.include('<body>hello</body>')
    await north.admin('POST', '/domains', { pattern: 'south.example', action: 'allow', proof: 'external' })
    await north.property('xmpp.server.permission', 'whitelist')
    await west.log.first('s2s-in-ended')
    for (const again of [false, true]) {
      if (again) {
        await north.stop()
        await north.start()
        world.publish('north.example', north.serverPort)
        olga = await north.login('olga')
      }
      say(olga, 'wim@west.example', 'not listed')
      expect(await heard(olga)).to.include('errorCondition="not-allowed"')
      say(olga, 'ivo@south.example', `listed ${again}`)
      expect(await heard(ivo)).to.include(`<body>listed ${again}</body>`)
    }
  })
}).timeout(30_000)
