import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { wireFingerprint } from './fingerprint.js'
import { heard, say, World } from './world.js'

describe('certificates of a running service', () => {
  const authority = new TestAuthority()
  let world: World

  beforeEach(async () => {
    world = await World.open(authority)
  })
  afterEach(() => world.close())

  it('reload(): live streams stay, new ones show the new certificate', async () => {
    const north = await world.running('north.example')
    const south = await world.running('south.example')
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'before')
    await heard(ivo)
    const before = await wireFingerprint(south.serverPort, 'south.example')
    await south.certify()
    await south.service.reload()
    expect(await wireFingerprint(south.serverPort, 'south.example')).not.to.equal(before)
    say(olga, 'ivo@south.example', 'after')
    expect(await heard(ivo)).to.include('<body>after</body>')
    expect(north.log.all('pair-lost')).to.deep.equal([])
    const [stream] = await north.sessions('s2s-out')
    await north.admin('DELETE', `/sessions/${stream?.id}`)
    await north.log.first('pair-lost')
    say(olga, 'ivo@south.example', 'once more')
    expect(await heard(ivo)).to.include('<body>once more</body>')
  })

  it('reload(): a file that is broken refuses the reload and leaves the old certificate in use', async () => {
    const south = await world.running('south.example')
    const before = await wireFingerprint(south.serverPort, 'south.example')
    const { key } = authority.issue('south.example')
    await south.writeCertificate('south.example', 'no certificate', key)
    let refused: unknown
    await south.service.reload().catch((error: unknown) => {
      refused = error
    })
    expect(String(refused)).to.include('south.example.crt')
    expect(String(refused)).not.to.include('PRIVATE KEY')
    expect(await wireFingerprint(south.serverPort, 'south.example')).to.equal(before)
    const north = await world.running('north.example')
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'still fine')
    expect(await heard(ivo)).to.include('<body>still fine</body>')
    await south.certify()
    await south.service.reload()
    expect(await wireFingerprint(south.serverPort, 'south.example')).not.to.equal(before)
  })

  it('changed files are noticed without being told of, and domains of other files keep theirs', async () => {
    const domains = ['south.example', 'west.example']
    const south = await world.member('south.example', { 'xmpp.domains': domains }, domains)
    await south.start()
    const [before, west] = await Promise.all(domains.map(domain => wireFingerprint(south.serverPort, domain)))
    expect(west).not.to.equal(before)
    await south.certify()
    await south.log.first('certificates-loaded', ({ domains }) => String(domains) === 'south.example')
    expect(await wireFingerprint(south.serverPort, 'south.example')).not.to.equal(before)
    expect(await wireFingerprint(south.serverPort, 'west.example')).to.equal(west)
  })

  it('reload(): settings that cannot be used change nothing', async () => {
    const south = await world.running('south.example')
    south.set('xmpp.domains', ['south.example', 'west.example'])
    south.set('xmpp.server.tls.policy', 'sometimes')
    let refused: unknown
    await south.service.reload().catch((error: unknown) => {
      refused = error
    })
    expect(String(refused)).to.include('xmpp.server.tls.policy')
    expect(await south.admin('GET', '/properties/xmpp.domains')).to.include({ value: '["south.example"]' })
    south.set('xmpp.server.tls.policy', 'required')
    await south.certify('west.example')
    await south.service.reload()
    const ivo = await south.user('ivo', 'west.example')
    say(ivo, 'ivo@west.example', 'served')
    expect(await heard(ivo)).to.include('<body>served</body>')
  })

  it('RFC 6120 §13.7.2: an authority that is trusted no more ends new attempts, and is trusted again at once', async () => {
    const north = await world.running('north.example', { 'xmpp.server.dialback.enabled': false })
    const south = await world.running('south.example')
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    north.set('tls.trust', [])
    await north.service.reload()
    say(olga, 'ivo@south.example', 'unknown')
    expect(await heard(olga))
      .to.include('iqid="unknown"')
      .and.include('the certificate of the remote server cannot be trusted')
    north.set('tls.trust', [world.rootFile])
    await north.service.reload()
    say(olga, 'ivo@south.example', 'known')
    expect(await heard(ivo)).to.include('<body>known</body>')
  })
}).timeout(30_000)
