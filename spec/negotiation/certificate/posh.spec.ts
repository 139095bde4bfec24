import { setMaxListeners } from 'node:events'
import { expect } from 'chai'
import type { ServerAddress } from '../../../lib/dial/dns-record.js'
import { Resolver } from '../../../lib/dial/resolver.js'
import { Posh, type PoshAnswer } from '../../../lib/negotiation/certificate/posh.js'
import { readPoshDocument } from '../../../lib/negotiation/certificate/posh-document.js'
import { CertificateJudge } from '../../../lib/negotiation/certificate/verdict.js'
import { type Fixture, TestAuthority } from '../../support/authority.js'
import { defaultDialSettings } from '../../support/dial-settings.js'
import { ManualClock } from '../../support/manual-clock.js'
import { POSH_PATH, PoshServer, poshDocument, redirect } from '../../support/posh-server.js'
import { ScriptedDns } from '../../support/scripted-dns.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('POSH', () => {
  const authority = new TestAuthority({ now: new ManualClock().date() })
  const leaf = authority.makeLeaf('peer.example', { issuer: 'self' }).der
  const other = authority.makeLeaf('peer.example', { issuer: 'self' }).der
  const { signal } = new AbortController()
  let clock: ManualClock
  let dns: ScriptedDns
  let server: ServerAddress
  let web: PoshServer
  let posh: Posh

  beforeEach(async () => {
    clock = new ManualClock()
    const A = ['127.0.0.1']
    dns = new ScriptedDns({ 'peer.example': { A }, 'web.example': { A }, 'third.example': { A } })
    web = new PoshServer(authority)
    await web.listen()
    server = await dns.listen()
    posh = start()
  })

  afterEach(async () => {
    await Promise.all([dns.close(), web.close()])
    // Nothing that was started still waits.
    expect(clock.waiting).to.equal(0)
  })

  function start({ privateTargets = true, forbidden = (): boolean => false } = {}): Posh {
    const settings = { ...defaultDialSettings, privateTargets }
    return new Posh({
      judge: new CertificateJudge({ anchors: authority.anchors, clock }),
      resolver: new Resolver({ servers: [server], clock, capacity: 100 }),
      clock,
      dialing: () => ({ settings, forbidden }),
      port: web.port,
    })
  }

  const ask = (certificate = leaf): Promise<PoshAnswer> => posh.lists('peer.example', certificate, signal)
  const url = (host: string, path = POSH_PATH): string => `https://${host}:${web.port}${path}`

  async function expectNone(text: RegExp): Promise<void> {
    const answer = await ask()
    expect(answer.isListed).to.equal(false)
    expect(answer.text).to.match(text)
  }

  describe('the document', () => {
    it('RFC 7711 §3.1: a certificate that is listed, and one that is not', async () => {
      web.pages[`peer.example${POSH_PATH}`] = poshDocument([other, leaf])
      expect(await ask()).to.deep.equal({ isListed: true, text: 'listed' })
      expect(await ask(authority.makeLeaf('peer.example').der)).to.include({ isListed: false })
      expect(web.asked).to.deep.equal([`peer.example${POSH_PATH}`])
    })

    for (const hashes of [['sha256'], ['sha512']]) {
      it(`RFC 7711 §3.1: ${hashes} alone is enough`, async () => {
        web.pages[`peer.example${POSH_PATH}`] = poshDocument([leaf], 60, hashes)
        expect(await ask()).to.include({ isListed: true })
      })
    }

    it('RFC 7711 §3.1: all digests of one fingerprint belong to one certificate', async () => {
      const [one, two] = [poshDocument([leaf], 60, ['sha256']), poshDocument([other], 60, ['sha512'])] as {
        fingerprints: object[]
      }[]
      const mixed = { ...one!.fingerprints[0], ...two!.fingerprints[0] }
      web.pages[`peer.example${POSH_PATH}`] = { fingerprints: [mixed], expires: 60 }
      expect(await ask()).to.include({ isListed: false })
    })

    it('RFC 7711 §3.1: unknown hashes and members do not disturb', () => {
      const [one] = (poshDocument([leaf]) as { fingerprints: object[] }).fingerprints
      const body = { fingerprints: [{ 'sha-1': 'AAAA', ...one }, { 'sha-3': 'x' }], expires: 60, comment: 'x' }
      const found = readPoshDocument(Buffer.from(JSON.stringify(body)))
      expect(found).to.include({ expiresSeconds: 60 })
      expect(found).to.have.property('fingerprints').with.length(2)
    })

    const good = JSON.stringify(poshDocument([leaf]))
    const wrong: Readonly<Record<string, string | Buffer | object>> = {
      'no JSON': '<html>',
      'cut short': good.slice(0, -1),
      'not UTF-8': Buffer.concat([Buffer.from('{"comment":"'), Buffer.from([0xff]), Buffer.from(`",${good.slice(1)}`)]),
      empty: '',
      'a list': '[]',
      'no fingerprints': { fingerprints: [], expires: 60 },
      'fingerprints that are no list': { fingerprints: {}, expires: 60 },
      'a digest that is no base64': { fingerprints: [{ 'sha-256': '*'.repeat(44) }], expires: 60 },
      'a digest of the wrong size': { fingerprints: [{ 'sha-256': Buffer.alloc(31).toString('base64') }], expires: 60 },
      'no expiry': { ...poshDocument([leaf]), expires: undefined },
      'a negative expiry': poshDocument([leaf], -1),
      'an expiry of nothing': poshDocument([leaf], 0),
      'a broken expiry': poshDocument([leaf], 1.5),
      'an expiry in words': { ...poshDocument([leaf]), expires: '60' },
      'fingerprints and a reference': { ...poshDocument([leaf]), url: 'https://peer.example/' },
      'a reference that is no text': { url: 7, expires: 60 },
      'too many fingerprints': { fingerprints: Array.from({ length: 51 }, () => ({})), expires: 60 },
    }
    for (const [which, body] of Object.entries(wrong)) {
      it(`RFC 7711 §3: ${which}: no document`, () => {
        const bytes = Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body)
        expect(readPoshDocument(Buffer.from(bytes))).to.equal(undefined)
      })
    }

    it('RFC 7711 §3: what is no document lists nothing', async () => {
      web.pages[`peer.example${POSH_PATH}`] = '<html>'
      await expectNone(/no POSH document/)
    })

    it('nothing there, or an error of the web server', async () => {
      await expectNone(/answered 404/)
      posh.flush()
      web.pages[`peer.example${POSH_PATH}`] = (_, response) => void response.writeHead(500).end(good)
      await expectNone(/answered 500/)
    })

    for (const how of ['said beforehand', 'not said']) {
      it(`more than 16 KiB, ${how}`, async () => {
        const body = good + ' '.repeat(16 * 1024)
        web.pages[`peer.example${POSH_PATH}`] = (_, response) => {
          if (how === 'not said') response.write(' ')
          response.end(body)
        }
        await expectNone(/longer than 16384 bytes/)
      })
    }

    it('up to 16 KiB', async () => {
      web.pages[`peer.example${POSH_PATH}`] = good + ' '.repeat(16 * 1024 - good.length)
      expect(await ask()).to.include({ isListed: true })
    })

    it('compressed, which could become of any size', async () => {
      web.pages[`peer.example${POSH_PATH}`] = (_, response) =>
        void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')
      await expectNone(/compressed/)
    })

    it('cut off by a closed connection', async () => {
      web.pages[`peer.example${POSH_PATH}`] = (request, response) => {
        response.writeHead(200, { 'content-length': 1000 })
        response.write(good, () => request.socket.destroy())
      }
      expect(await ask()).to.include({ isListed: false })
    })

    it('a web server that does not answer has 5 s', async () => {
      web.pages[`peer.example${POSH_PATH}`] = () => {}
      const asked = ask()
      await web.askedTimes(1)
      clock.advance(5000)
      expect(await asked).to.deep.equal({ isListed: false, text: 'the time is up' })
    })
  })

  describe('redirects and references', () => {
    it('RFC 7711 §3.2: a reference to another host, whose document counts', async () => {
      web.pages[`peer.example${POSH_PATH}`] = { url: url('web.example', '/p.json?a=b'), expires: 86_400 }
      web.pages['web.example/p.json?a=b'] = poshDocument([leaf])
      expect(await ask()).to.include({ isListed: true })
    })

    it('RFC 7711 §3.2: the shorter expiry of both counts', async () => {
      web.pages[`peer.example${POSH_PATH}`] = { url: url('web.example'), expires: 60 }
      web.pages[`web.example${POSH_PATH}`] = poshDocument([leaf], 3000)
      await ask()
      clock.advance(59_000)
      await ask()
      expect(web.asked).to.have.length(2)
      clock.advance(1000)
      expect(await ask()).to.include({ isListed: true })
      expect(web.asked).to.have.length(4)
    })

    it('RFC 7711 §3.2: a reference does not lead to another one', async () => {
      web.pages[`peer.example${POSH_PATH}`] = { url: url('web.example'), expires: 60 }
      web.pages[`web.example${POSH_PATH}`] = { url: url('third.example'), expires: 60 }
      web.pages[`third.example${POSH_PATH}`] = poshDocument([leaf])
      await expectNone(/one reference leads to another/)
    })

    for (const status of [301, 302, 303, 307, 308]) {
      it(`RFC 9110 §15.4: ${status} is followed, also to another host and within one`, async () => {
        web.pages[`peer.example${POSH_PATH}`] = redirect(url('web.example', '/a'), status)
        web.pages['web.example/a'] = redirect('/b', status)
        web.pages['web.example/b'] = poshDocument([leaf])
        expect(await ask()).to.include({ isListed: true })
      })
    }

    it('three redirects, references or not, are the most', async () => {
      web.pages[`peer.example${POSH_PATH}`] = redirect('/1')
      web.pages['peer.example/1'] = redirect('/2')
      web.pages['peer.example/2'] = { url: url('web.example', '/3'), expires: 60 }
      web.pages['web.example/3'] = redirect('/4')
      web.pages['web.example/4'] = poshDocument([leaf])
      expect(await ask()).to.include({ isListed: true })
      posh.flush()
      web.pages['web.example/4'] = redirect('/5')
      web.pages['web.example/5'] = poshDocument([leaf])
      await expectNone(/redirected too often/)
    })

    const unusable = [
      'http://peer.example/',
      'ftp://peer.example/',
      'https://127.0.0.1/',
      'https://[::1]/',
      'https://2130706433/',
      'https://user:secret@peer.example/',
      'https://',
    ]
    for (const place of unusable) {
      it(`RFC 7711 §3.2: ${place} is not gone to`, async () => {
        web.pages[`peer.example${POSH_PATH}`] = redirect(place)
        await expectNone(/no usable address/)
        posh.flush()
        web.pages[`peer.example${POSH_PATH}`] = { url: place, expires: 60 }
        await expectNone(/no usable address/)
      })
    }
  })

  describe('the web server', () => {
    for (const fixture of ['expired', 'self-signed', 'unknown-root', 'wrong-name'] satisfies Fixture[]) {
      it(`RFC 7711 §3: with a certificate that is ${fixture} is asked nothing`, async () => {
        web.pages[`peer.example${POSH_PATH}`] = poshDocument([leaf])
        web.shown['peer.example'] = fixture
        await expectNone(/the certificate of peer\.example/)
        expect(web.asked).to.deep.equal([])
      })
    }

    it('RFC 7711 §3: that it redirects to, too', async () => {
      web.pages[`peer.example${POSH_PATH}`] = redirect(url('web.example'))
      web.pages[`web.example${POSH_PATH}`] = poshDocument([leaf])
      web.shown['web.example'] = 'wrong-name'
      await expectNone(/the certificate of web\.example/)
    })

    it('RFC 9110 §4.3.4: names that only XMPP servers have do not count', async () => {
      const names = { srv: ['_xmpp-server.peer.example'], xmpp: ['peer.example'] }
      const xmpp = authority.makeLeaf('peer.example', { names })
      web.shown['peer.example'] = authority.credentials(xmpp, authority.intermediate)
      web.pages[`peer.example${POSH_PATH}`] = poshDocument([leaf])
      await expectNone(/not for the web server/)
    })

    it('forbidden targets are not dialed', async () => {
      posh = start({ privateTargets: false })
      await expectNone(/private-targets/)
      expect(web.asked).to.deep.equal([])
    })

    it('nor is one behind a redirect, nor our own listeners', async () => {
      let dialed = 0
      posh = start({ forbidden: () => dialed++ > 0 })
      web.pages[`peer.example${POSH_PATH}`] = redirect(url('web.example'))
      await expectNone(/leads back/)
      expect(web.asked).to.have.length(1)
    })

    it('a domain without address, and names that cannot have a web server', async () => {
      for (const domain of ['nowhere.example', 'abc.onion', '192.0.2.1', '[::1]', 'localhost.invalid'])
        expect(await posh.lists(domain, leaf, signal), domain).to.include({ isListed: false })
      expect(web.asked).to.deep.equal([])
    })

    it('RFC 5891 §4: a domain in U-labels is asked for in A-labels', async () => {
      dns.zone['xn--mnchen-3ya.example'] = { A: ['127.0.0.1'] }
      web.pages[`xn--mnchen-3ya.example${POSH_PATH}`] = poshDocument([leaf])
      expect(await posh.lists('münchen.example', leaf, signal)).to.include({ isListed: true })
    })
  })

  describe('what is remembered', () => {
    const place = `peer.example${POSH_PATH}`

    it('RFC 7711 §6: a document for as long as it says', async () => {
      web.pages[place] = poshDocument([leaf], 600)
      await ask()
      clock.advance(10 * MINUTE - 1)
      expect(await ask()).to.include({ isListed: true })
      expect(web.asked).to.have.length(1)
      web.pages[place] = poshDocument([other], 600)
      clock.advance(1)
      expect(await ask()).to.include({ isListed: false })
      expect(web.asked).to.have.length(2)
    })

    it('RFC 7711 §6: but not for more than an hour', async () => {
      web.pages[place] = poshDocument([leaf], 864_000)
      await ask()
      clock.advance(HOUR - 1)
      await ask()
      expect(web.asked).to.have.length(1)
      clock.advance(1)
      await ask()
      expect(web.asked).to.have.length(2)
    })

    it('that there is none, or no such certificate, for five minutes', async () => {
      await ask()
      web.pages[place] = poshDocument([leaf])
      clock.advance(5 * MINUTE - 1)
      expect(await ask()).to.include({ isListed: false })
      clock.advance(1)
      expect(await ask()).to.include({ isListed: true })
      web.pages[place] = poshDocument([leaf, other])
      clock.advance(5 * MINUTE)
      expect(await ask(other)).to.include({ isListed: true })
      expect(web.asked).to.have.length(3)
    })

    it('a web server that fails takes nothing back that still counts', async () => {
      web.pages[place] = poshDocument([leaf], 3000)
      await ask()
      delete web.pages[place]
      clock.advance(5 * MINUTE)
      expect(await ask(other)).to.include({ isListed: false })
      expect(await ask()).to.include({ isListed: true })
      clock.advance(45 * MINUTE)
      expect(await ask()).to.include({ isListed: false })
      expect(await ask()).to.include({ isListed: false })
      expect(web.asked).to.have.length(3)
    })

    it('questions at the same time share one fetch', async () => {
      let answer: (() => void) | undefined
      web.pages[place] = (_, response) => {
        answer = () => response.end(JSON.stringify(poshDocument([leaf])))
      }
      const asked = [ask(), ask(other), ask()]
      await web.askedTimes(1)
      answer?.()
      expect((await Promise.all(asked)).map(({ isListed }) => isListed)).to.deep.equal([true, false, true])
      expect(web.asked).to.have.length(1)
    })

    it('a fetch ends when the last one who waits for it is gone, and leaves nothing behind', async () => {
      web.pages[place] = () => {}
      const [one, two] = [new AbortController(), new AbortController()]
      const asked = [posh.lists('peer.example', leaf, one.signal), posh.lists('peer.example', leaf, two.signal)]
      const ends = asked.map(promise => promise.catch((error: unknown) => error))
      await web.askedTimes(1)
      one.abort(new Error('one is gone'))
      expect(await ends[0]).to.have.property('message', 'one is gone')
      two.abort(new Error('two is gone'))
      expect(await ends[1]).to.have.property('message', 'two is gone')
      web.pages[place] = poshDocument([leaf])
      expect(await ask()).to.include({ isListed: true })
    })

    it('no more than 50 web servers are asked at once', async () => {
      const names = Array.from({ length: 51 }, (_, at) => `p${at}.example`)
      for (const name of names) dns.misdeeds[name] = { drop: true }
      const gone = new AbortController()
      setMaxListeners(0, gone.signal)
      const asked = names.slice(0, 50).map(name => posh.lists(name, leaf, gone.signal).catch(() => undefined))
      expect(await posh.lists(names[50]!, leaf, signal))
        .to.have.property('text')
        .that.matches(/too many/)
      gone.abort(new Error('enough'))
      await Promise.all(asked)
    })
  })
})
