import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { type SocksScript, SocksServer } from '../support/socks-server.js'
import { heard, type Member, type Sets, say, World } from './world.js'

const ONION = 'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion'
const LOGIN = { user: 'comity', password: 'never-shown' }

describe('whole services through a SOCKS5 proxy', () => {
  const authority = new TestAuthority()
  let world: World
  let proxies: SocksServer[]

  beforeEach(async () => {
    world = await World.open(authority)
    proxies = []
  })
  afterEach(async () => {
    await world.close()
    await Promise.all(proxies.map(proxy => proxy.close()))
  })

  async function proxyServer(script?: SocksScript): Promise<SocksServer> {
    const proxy = await new SocksServer(script).listen()
    proxies.push(proxy)
    return proxy
  }

  function through(proxy: SocksServer, more: Sets = {}): Sets {
    return { 'xmpp.server.proxy': `socks5://127.0.0.1:${proxy.port}`, 'xmpp.server.private-targets': false, ...more }
  }

  /** A started service in Tor, which the proxy alone knows. */
  async function hidden(proxy: SocksServer, sets: Sets, certified?: readonly string[]): Promise<Member> {
    const member = await world.member(ONION, sets, certified)
    await member.start()
    proxy.routes.set(`${ONION}:5269`, member.serverPort)
    return member
  }

  function passOn(proxy: SocksServer, { domain, serverPort }: Member): void {
    world.publish(domain, serverPort)
    proxy.routes.set(`xmpp.${domain}:${serverPort}`, serverPort)
  }

  const questions = (): string[] => world.dns.asked.map(({ type, name }) => `${type} ${name}`)

  for (const [proof, sets, certified] of [
    ['external', {}, undefined],
    [
      'dialback',
      { 'xmpp.server.certificate.strict-validation': false, 'xmpp.server.certificate.proofs': ['pkix'] },
      [],
    ],
  ] as const) {
    it(`RFC 7686 §2: a domain in Tor and one outside talk, proven by ${proof}; DNS never hears of the one, and of the other SRV only`, async () => {
      const proxy = await proxyServer({ login: LOGIN })
      const all = through(proxy, {
        ...sets,
        'xmpp.server.proxy': `socks5://${LOGIN.user}:${LOGIN.password}@127.0.0.1:${proxy.port}`,
      })
      const north = await world.member('north.example', all, certified)
      await north.start()
      passOn(proxy, north)
      const tor = await hidden(proxy, all, certified)
      const [olga, ivo] = [await north.user('olga'), await tor.user('ivo')]
      say(olga, `ivo@${ONION}`, 'there')
      expect(await heard(ivo)).to.include('<body>there</body>')
      say(ivo, 'olga@north.example', 'back')
      expect(await heard(olga)).to.include('<body>back</body>')
      expect(new Set(proxy.asked.map(({ type, host, port }) => `${type} ${host}:${port}`))).to.deep.equal(
        new Set([`name ${ONION}:5269`, `name xmpp.north.example:${north.serverPort}`]),
      )
      expect(north.log.all('s2s-out-established')[0]).to.include({ address: ONION, proof })
      expect(questions().filter(question => question.includes('onion') || !question.startsWith('SRV '))).to.deep.equal(
        [],
      )
      const steps = north.log.all('s2s-out-step').filter(({ step }) => step === 'proxy')
      expect(steps[0]?.facts).to.deep.equal({ proxy: `127.0.0.1:${proxy.port}` })
      for (const { log } of [north, tor]) expect(JSON.stringify(log.entries)).to.not.include(LOGIN.password)
    })
  }

  it('RFC 6120 §3.2.2: without SRV records the proxy gets the domain itself', async () => {
    const proxy = await proxyServer()
    const north = await world.running('north.example', through(proxy))
    const south = await world.member('south.example')
    await south.start()
    proxy.routes.set('south.example:5269', south.serverPort)
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'there')
    expect(await heard(ivo)).to.include('<body>there</body>')
    expect(questions().every(question => question.startsWith('SRV '))).to.equal(true)
  })

  it('dns.override says what the proxy is asked for, addresses and private ones too', async () => {
    const proxy = await proxyServer()
    const override = { 'south.example': 'hidden.onion:6000', 'west.example': '127.0.0.9:7000' }
    const north = await world.running('north.example', through(proxy, { 'dns.override': override }))
    const south = await world.member('south.example', { 'xmpp.domains': ['south.example', 'west.example'] }, [
      'south.example',
      'west.example',
    ])
    await south.start()
    proxy.routes.set('hidden.onion:6000', south.serverPort).set('127.0.0.9:7000', south.serverPort)
    const [olga, ivo, eva] = [
      await north.user('olga'),
      await south.user('ivo'),
      await south.user('eva', 'west.example'),
    ]
    say(olga, 'ivo@south.example', 'one')
    expect(await heard(ivo)).to.include('<body>one</body>')
    say(olga, 'eva@west.example', 'two')
    expect(await heard(eva)).to.include('<body>two</body>')
    expect(questions()).to.deep.equal([])
  })

  for (const [title, sets] of [
    ['a name in Tor', {}],
    ['an override that leads to Tor', { 'dns.override': { [ONION]: 'other.onion:5269' } }],
  ] as const) {
    it(`RFC 7686 §2: ${title}, without a proxy, is told at once and asked of nobody`, async () => {
      const north = await world.running('north.example', sets)
      const olga = await north.user('olga')
      say(olga, `ivo@${ONION}`, 'lost')
      const error = await heard(olga)
      expect(error).to.include('iqid="lost"').and.include('errorCondition="remote-server-not-found"')
      expect(error).to.include('addresses in Tor')
      expect(questions()).to.deep.equal([])
    })
  }

  it('a proxy that is set and taken away counts for the next attempt; its password is never shown', async () => {
    const proxy = await proxyServer({ login: LOGIN })
    const north = await world.running('north.example')
    const tor = await hidden(proxy, {})
    const [olga, ivo] = [await north.user('olga'), await tor.user('ivo')]
    const url = `socks5://${LOGIN.user}:${LOGIN.password}@127.0.0.1:${proxy.port}`
    const shown = url.replace(LOGIN.password, '[redacted]')
    const set = await north.admin('PUT', '/properties/xmpp.server.proxy', { value: url })
    expect(set).to.include({ value: shown, changed: true, takesEffect: 'new' })
    expect(await north.admin('GET', '/properties/xmpp.server.proxy')).to.include({ value: shown })
    expect(JSON.stringify(await north.admin('GET', '/properties'))).to.not.include(LOGIN.password)
    say(olga, `ivo@${ONION}`, 'there')
    expect(await heard(ivo)).to.include('<body>there</body>')
    const other = await north.admin('PUT', '/properties/xmpp.server.proxy', { value: url.replace('never', 'also') })
    expect(other).to.include({ value: shown, changed: true })
    await north.admin('DELETE', '/properties/xmpp.server.proxy')
    const [stream] = await north.sessions('s2s-out')
    await north.admin('DELETE', `/sessions/${stream?.id}`)
    await north.log.first('pair-lost')
    say(olga, `ivo@${ONION}`, 'late')
    expect(await heard(olga))
      .to.include('iqid="late"')
      .and.include('addresses in Tor')
    expect(JSON.stringify(north.log.entries)).to.not.include(LOGIN.password)
  })

  it('a proxy that is down is for our admin to mend, and the sender may try again', async () => {
    const gone = await proxyServer()
    await gone.close()
    const north = await world.running('north.example', through(gone))
    const olga = await north.user('olga')
    say(olga, 'ivo@south.example', 'lost')
    expect(await heard(olga))
      .to.include('iqid="lost"')
      .and.include('errorCondition="remote-server-timeout"')
    const [failed] = north.log.all('s2s-out-failed')
    expect(failed).to.include({ mends: 'our admin' })
    expect(failed?.reason).to.match(/^tcp: refused \(ECONNREFUSED: the proxy 127\.0\.0\.1:\d+ \(xmpp\.server\.proxy\)/)
  })

  for (const [title, script, words] of [
    ['forbids the connection', { code: 2 }, 'by its rules'],
    ['wants a login', { login: LOGIN }, 'wants a login'],
  ] as const) {
    it(`a proxy that ${title}: proxy-refused, for our admin to mend`, async () => {
      const north = await world.running('north.example', through(await proxyServer(script)))
      const olga = await north.user('olga')
      say(olga, 'ivo@south.example', 'lost')
      expect(await heard(olga))
        .to.include('iqid="lost"')
        .and.include('errorCondition="remote-server-not-found"')
      const [failed] = north.log.all('s2s-out-failed')
      expect(failed).to.include({ mends: 'our admin' })
      expect(String(failed?.reason))
        .to.match(/^tcp: proxy-refused /)
        .and.include(words)
    })
  }

  for (const [domain, reason] of [
    ['south.example', 'tcp: no-server'],
    [ONION, 'tcp: unreachable'],
  ] as const) {
    it(`a host that the proxy cannot reach: ${reason} for ${domain.slice(-13)}`, async () => {
      const north = await world.running('north.example', through(await proxyServer({ code: 4 })))
      const olga = await north.user('olga')
      say(olga, `ivo@${domain}`, 'lost')
      expect(await heard(olga)).to.include('iqid="lost"')
      const [failed] = north.log.all('s2s-out-failed')
      expect(failed?.mends).to.not.equal('our admin')
      expect(String(failed?.reason).startsWith(`${reason} `)).to.equal(true)
    })
  }

  it('xmpp.server.source-address: the peer sees it', async () => {
    const north = await world.running('north.example', { 'xmpp.server.source-address': ['127.0.0.42', '::1'] })
    const south = await world.running('south.example')
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'there')
    expect(await heard(ivo)).to.include('<body>there</body>')
    expect(south.log.all('s2s-in-connected').map(({ address }) => address)).to.deep.equal(['127.0.0.42'])
  })
})
