import { once } from 'node:events'
import { connect } from 'node:net'
import * as tls from 'node:tls'
import { expect } from 'chai'
import { ManualClock } from '../../support/manual-clock.js'
import type { XimssClient } from '../../support/ximss-client.js'
import { Fixture, type FixtureOptions, TestAccounts } from './fixture.js'

const { password } = TestAccounts
const SESSION = /^<session id="[^"]+" urlID="\d+-[\w-]{24}-node1" userName="olga@north\.example" version="0\.0\.0"\/>$/
const FAILED = /^<response id="[^"]+" errorText="incorrect password or account name" errorNum="515"\/>$/

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const plain = (name: string, word: string): string => base64(`\0${name}\0${word}`)

describe('XIMSS login', () => {
  let fixture: Fixture
  const start = async (options?: FixtureOptions): Promise<Fixture> => (fixture = await Fixture.start(options))
  afterEach(() => fixture.stop())

  const secured = async (): Promise<XimssClient> => {
    const client = await fixture.client()
    expect(await client.startTls(Fixture.trust)).to.equal(undefined)
    return client
  }

  describe('in clear text', () => {
    for (const name of ['olga', 'olga@north.example', 'OLGA@North.Example']) {
      it(`takes ${name} on a loopback connection: session, then response`, async () => {
        await start()
        const client = await fixture.client()
        const messages = await client.login(name, password)
        expect(messages[0]).to.match(SESSION)
        expect(messages[1]).to.match(/^<response id="[^"]+"\/>$/)
        expect(messages).to.have.length(2)
        expect(fixture.routes.rows()).to.have.length(1)
      })
    }

    it('is refused without TLS where loopback is no exception, before the password is looked at', async () => {
      await start({ services: { clearTextOnLoopback: false } })
      const client = await fixture.client()
      expect((await client.login('olga', password))[0]).to.contain('errorNum="504"')
      expect(fixture.accounts.asked).to.deep.equal([])
      expect(await client.startTls(Fixture.trust)).to.equal(undefined)
      expect((await client.login('olga', password))[0]).to.match(SESSION)
    })

    it('fails alike for an unknown account, a wrong password, a domain not served and a name that is none', async () => {
      await start({ limits: { failedLogins: 100, freeFailures: 100 } })
      const client = await fixture.client()
      const answers = new Set<string>()
      for (const name of [
        'olga',
        'ivo',
        'olga@south.example',
        'olga@@',
        '@',
        'x'.repeat(5000),
        'olga@north.example/desk',
      ]) {
        const [answer = '', ...rest] = await client.login(name, 'wrong')
        expect(rest).to.deep.equal([])
        expect(answer).to.match(FAILED)
        answers.add(answer.replace(/id="[^"]+"/, ''))
      }
      expect([...answers]).to.have.length(1)
      // As much work for all names that a password could be looked up for.
      expect(fixture.accounts.asked).to.have.length(6)
    })

    it('waits the same time before every failure', async () => {
      const clock = new ManualClock()
      await start({ clock, limits: { failedLoginDelayMs: 1000 } })
      for (const name of ['olga', 'nobody']) {
        const client = await fixture.client()
        const timers = clock.waiting
        const answer = client.login(name, 'wrong')
        while (clock.waiting === timers) await new Promise(resolve => setImmediate(resolve))
        let seen = false
        void answer.then(() => (seen = true))
        clock.advance(999)
        await new Promise(resolve => setImmediate(resolve))
        expect(seen).to.equal(false)
        clock.advance(1)
        expect((await answer)[0]).to.match(FAILED)
      }
    })

    it('a failure leaves the connection usable; the third ends it', async () => {
      await start()
      const first = await fixture.client()
      await first.login('olga', 'wrong')
      await first.login('olga', 'wrong')
      expect((await first.login('olga', password))[0]).to.match(SESSION)
      const second = await fixture.client()
      for (let i = 0; i < 3; i++) expect((await second.login('olga', 'wrong'))[0]).to.match(FAILED)
      expect(await second.next()).to.equal('<bye errorText="too many failed logins"/>')
      await second.closed
    })

    it('no client that has gone meanwhile is logged in', async () => {
      let release: (value: boolean) => void = () => {}
      const asked = new Promise<void>(resolve => {
        const accounts = {
          credentials: async () => undefined,
          verifyPassword: () => {
            resolve()
            return new Promise<boolean>(answer => (release = answer))
          },
        }
        void start({ services: { accounts } }).then(async () => {
          const client = await fixture.client()
          client.send('<login id="1" authData="olga" password="x"/>')
        })
      })
      await asked
      fixture.listener.sessions.close(1)
      await fixture.gone()
      release(true)
      await new Promise(resolve => setImmediate(resolve))
      expect(fixture.routes.rows()).to.deep.equal([])
    })

    it('shows Authenticating, the running operation and the account in its row', async () => {
      await start()
      const client = await fixture.client()
      await client.request('noop')
      const row = () => fixture.listener.snapshot()[0]
      expect(row()).to.include({ id: 1, address: '127.0.0.1', account: '', status: 'Connected' })
      client.send(`<login id="1" method="SCRAM-SHA-256"/>`)
      await client.next()
      expect(row()?.status).to.equal('Authenticating')
      client.send(`<noop id="2"/>`)
      await client.nextWith('id="2"')
      expect(row()?.status).to.equal('Connected')
      await client.login('olga', password)
      expect(row()).to.include({ account: 'olga@north.example', status: 'Authenticated' })
    })
  })

  describe('RFC 5802: SCRAM', () => {
    for (const hash of ['sha256', 'sha1'] as const) {
      it(`${hash}: both sides prove themselves, also without TLS`, async () => {
        await start({ services: { clearTextOnLoopback: false } })
        const client = await fixture.client()
        const messages = await client.loginScram('olga', password, hash)
        expect(messages[0]).to.match(SESSION)
        expect(messages[1]).to.match(/^<response id="[^"]+"\/>$/)
      })
    }

    it('fails alike for an unknown account and a wrong password', async () => {
      await start()
      const client = await fixture.client()
      expect((await client.loginScram('olga', 'wrong'))[0]).to.match(FAILED)
      expect((await client.loginScram('nobody', 'wrong'))[0]).to.match(FAILED)
    })

    it('RFC 4422 §3.3: a login without initial response is asked for it', async () => {
      await start()
      const client = await fixture.client()
      client.send('<login id="1" method="SCRAM-SHA-256"/>')
      expect(await client.next()).to.equal('<challenge id="1" value=""/>')
      client.send(`<auth id="1" value="${base64('n,,n=olga,r=abcdef')}"/>`)
      expect(await client.next()).to.match(/^<challenge id="1" value="[A-Za-z0-9+/=]+"\/>$/)
    })

    it('RFC 4422 §3.6: nothing but silence is taken as answer to the last words', async () => {
      await start()
      const client = await fixture.client()
      const login = client.loginScram('olga', password)
      // The helper answers with an empty value; this client says more.
      const original = client.send.bind(client)
      client.send = message => original(message.replace(/value=""/, 'value="eA=="'))
      expect((await login)[0]).to.match(FAILED)
      expect(fixture.routes.rows()).to.deep.equal([])
    })

    const rubbish = ['!!', 'a', 'YQ', 'YQ==YQ==', 'Y Q=', base64('x'.repeat(20_000))]
    it('what is no Base64 or no SCRAM message fails', async () => {
      await start({ limits: { failedLogins: 100 } })
      const client = await fixture.client()
      for (const value of rubbish) {
        const answer = await client.request('login', { method: 'SCRAM-SHA-256', authData: value })
        expect(answer[0]).to.match(FAILED)
      }
    })

    for (const other of [
      '<noop id="2"/>',
      '<login id="2" authData="olga" password="x"/>',
      '<auth id="2" value=""/>',
      '<frob id="2"/>',
    ]) {
      it(`${other} cancels a running exchange and is an error itself`, async () => {
        await start()
        const client = await fixture.client()
        client.send('<login id="1" method="SCRAM-SHA-256"/>')
        await client.next()
        client.send(other)
        expect(await client.next())
          .to.match(FAILED)
          .and.contain('id="1"')
        expect(await client.next()).to.equal('<response id="2" errorText="request sequence error" errorNum="505"/>')
        client.send(`<auth id="1" value="${base64('n,,n=olga,r=abcdef')}"/>`)
        expect(await client.next()).to.contain('errorNum="505"')
        expect((await client.login('olga', password))[0]).to.match(SESSION)
      })
    }

    it('bye is obeyed during an exchange', async () => {
      await start()
      const client = await fixture.client()
      client.send('<login id="1" method="SCRAM-SHA-256"/>\0<bye id="2"/>')
      expect(await client.next()).to.contain('challenge')
      expect(await client.next()).to.match(FAILED)
      expect(await client.next()).to.equal('<response id="2"/>')
      await client.closed
    })

    it('cancelled exchanges count as failed logins', async () => {
      await start()
      const client = await fixture.client()
      for (let i = 0; i < 3; i++) client.send(`<login id="${i}" method="SCRAM-SHA-256"/>\0<noop id="n${i}"/>`)
      expect(await client.nextWith('<bye')).to.equal('<bye errorText="too many failed logins"/>')
      await client.closed
    })
  })

  describe('features and TLS', () => {
    it('lists methods and the way to TLS; PLAIN only under it', async () => {
      await start()
      const client = await fixture.client()
      const scram = '<sasl>SCRAM-SHA-256</sasl><sasl>SCRAM-SHA-1</sasl>'
      client.send('<listFeatures id="f"/>')
      expect(await client.next()).to.equal(`<features id="f" domain="north.example"><starttls/>${scram}</features>`)
      await client.next()
      await client.startTls(Fixture.trust)
      client.send('<listFeatures id="f"/>')
      expect(await client.next()).to.equal(
        `<features id="f" domain="north.example">${scram}<sasl>PLAIN</sasl></features>`,
      )
    })

    it('the domain that was named last is the one names without domain mean', async () => {
      await start()
      const client = await fixture.client()
      expect((await client.request('listFeatures', { domain: 'EAST.example' }))[0]).to.contain('domain="east.example"')
      expect((await client.request('listFeatures', { domain: 'south.example' }))[0]).to.contain('domain="east.example"')
      await client.login('olga', password)
      expect(fixture.accounts.asked).to.deep.equal(['olga@east.example'])
    })

    it('PLAIN works under TLS', async () => {
      await start()
      const client = await secured()
      const messages = await client.request('login', {
        method: 'PLAIN',
        authData: plain('olga', password),
        version: '6.2',
      })
      expect(messages[0]).to.match(SESSION)
      expect(messages).to.have.length(2)
    })

    it('starttls is refused under TLS, and 504 where there is no certificate', async () => {
      await start()
      const client = await secured()
      expect((await client.request('starttls'))[0]).to.contain('errorNum="505"')
      await fixture.stop()
      await start({ services: { contextFor: () => undefined } })
      const other = await fixture.client()
      expect((await other.request('listFeatures'))[0]).not.to.contain('starttls')
      expect((await other.request('starttls'))[0]).to.contain('errorNum="504"')
    })

    for (const [what, rest] of [
      ['a whole request', '<noop id="evil"/>\0'],
      ['part of one', '<noop id="evil"'],
      ['a zero byte', '\0'],
    ] as const) {
      it(`${what} behind starttls ends the connection; nothing of it is answered`, async () => {
        await start()
        const client = await fixture.client()
        client.sendBytes(`<starttls id="1"/>\0${rest}`)
        expect(await client.next()).to.equal('<bye errorText="data behind starttls"/>')
        await client.closed
        expect(await client.next().catch((error: Error) => error.message)).to.contain('closed')
        expect(fixture.log.events()).to.include('ximss-starttls-injection')
      })
    }

    it('clear text that comes in place of the handshake ends the connection', async () => {
      await start()
      const client = await fixture.client()
      await client.request('starttls')
      client.send('<noop id="evil"/>')
      await client.closed
      await fixture.gone()
      expect(fixture.log.lines.filter(line => line.event === 'ximss-request')).to.have.length(1)
    })

    it('bytes that are no TLS, in the middle of it, end the connection', async () => {
      await start({ tls: true })
      const raw = connect(fixture.listener.endpoints.find(({ tls }) => tls)!.port, '127.0.0.1')
      const secure = tls.connect({ socket: raw, ...Fixture.trust })
      secure.on('error', () => {})
      await once(secure, 'secureConnect')
      secure.write('<noop id="1"/>\0')
      await once(secure, 'data')
      raw.write('<noop id="evil"/>\0')
      await fixture.gone()
      expect(fixture.log.lines.filter(line => line.event === 'ximss-request')).to.have.length(1)
      raw.destroy()
    })

    it('the time before login goes on during a handshake that never ends', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.client()
      await client.request('starttls')
      clock.advance(60_000)
      clock.advance(5000)
      await client.closed
      await fixture.gone()
      expect(clock.waiting).to.equal(0)
    })

    it('RFC 6066 §3: the name asked for chooses certificate and target domain', async () => {
      await start({ tls: true })
      const client = await fixture.tlsClient('East.example')
      expect((await client.request('listFeatures'))[0]).to.contain('domain="east.example"')
    })

    it('takes TLS from the first byte', async () => {
      await start({ tls: true, services: { clearTextOnLoopback: false } })
      const client = await fixture.tlsClient()
      expect((await client.login('olga', password))[0]).to.match(SESSION)
    })
  })

  it('no password, name of a failed login, authentication data or message is logged', async () => {
    await start()
    const client = await secured()
    await client.login('olga', 'wr0ng-w0rd')
    await client.request('login', { method: 'PLAIN', authData: plain('olga', 'wr0ng-w0rd') })
    await client.loginScram('olga', password)
    await client.request('sendIM', { peer: 'ivo@south.example' }, 'between us')
    await client.request('bye')
    await fixture.gone()
    const text = JSON.stringify(fixture.log.lines)
    for (const secret of ['wr0ng', 's3cret', plain('olga', 'wr0ng-w0rd'), 'between us'])
      expect(text).not.to.contain(secret)
    expect(fixture.log.events()).to.include.members([
      'ximss-listening',
      'ximss-connected',
      'ximss-tls',
      'ximss-login-failed',
    ])
    expect(fixture.log.events()).to.include.members(['ximss-login', 'ximss-closed'])
    const tags = new Set(fixture.log.lines.map(line => line.fields.tag))
    expect([...tags]).to.have.members(['XIMSSI', 'XIMSS-00001'])
  })
})
