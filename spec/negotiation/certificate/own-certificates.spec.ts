import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, TLSSocket } from 'node:tls'
import { expect } from 'chai'
import { silentLog } from '../../../lib/base/log.js'
import { CredentialError, OwnCertificates } from '../../../lib/negotiation/certificate/own-certificates.js'
import { TrustAnchors } from '../../../lib/negotiation/certificate/trust.js'
import { CertificateJudge } from '../../../lib/negotiation/certificate/verdict.js'
import { type Credentials, TestAuthority } from '../../support/authority.js'
import { ManualClock } from '../../support/manual-clock.js'

const clock = new ManualClock()
const authority = new TestAuthority({ now: clock.date() })

describe('own certificates', () => {
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'comity-certs-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  const put = async (name: string, { cert, key }: Pick<Credentials, 'cert' | 'key'>) => {
    await writeFile(join(directory, `${name}.crt`), cert)
    await writeFile(join(directory, `${name}.key`), key)
  }
  const load = (domains: readonly string[], selfSigned = false) => {
    const judge = new CertificateJudge({ anchors: authority.anchors, clock })
    return OwnCertificates.load({ directory, domains, selfSigned, clock, log: silentLog, judge })
  }
  const failure = (promise: Promise<unknown>): Promise<CredentialError> =>
    promise.then(
      () => expect.fail('no error'),
      (error: unknown) => {
        expect(error).to.be.instanceOf(CredentialError)
        return error as CredentialError
      },
    )

  it('RFC 6120 §13.7.1: loads the full chain of each domain and says what it is', async () => {
    await put('a.example', authority.issue('a.example'))
    await put('b.example', authority.issue('b.example', 'client-auth-only'))
    const own = await load(['a.example', 'b.example'])
    expect(own.chainFor('a.example')).to.deep.equal(authority.issue('a.example').chain)
    expect(own.contextFor('a.example')).not.to.equal(own.contextFor('b.example'))
    expect(own.contextFor('c.example')).to.equal(undefined)
    expect(own.factsFor('a.example')).to.deep.include({
      names: ['a.example', '_xmpp-server.a.example', 'a.example'],
      issuer: 'CN=Test Intermediate',
      daysLeft: 1,
      selfSigned: false,
      defects: [],
    })
    expect(own.all().map(facts => facts.defects.map(defect => defect.code))).to.deep.equal([[], ['usage']])
  })

  it('RFC 6120 §13.7.1: makes a self-signed pair that only its owner can read, once', async () => {
    const own = await load(['bücher.example'], true)
    const files = ['xn--bcher-kva.example.crt', 'xn--bcher-kva.example.key']
    expect((await readdir(directory)).sort()).to.deep.equal(files)
    for (const file of files) expect((await stat(join(directory, file))).mode & 0o777).to.equal(0o600)
    const facts = own.factsFor('bücher.example')!
    expect(facts.selfSigned).to.equal(true)
    expect(facts.names).to.deep.equal(['xn--bcher-kva.example', '_xmpp-server.xn--bcher-kva.example'])
    expect(facts.defects.map(defect => defect.code)).to.deep.equal(['self-signed'])
    const judge = new CertificateJudge({ anchors: TrustAnchors.fromDer(own.chainFor('bücher.example')!), clock })
    expect(judge.judge(own.chainFor('bücher.example')!, 'bücher.example').verified).to.equal(true)
    expect((await load(['bücher.example'], true)).factsFor('bücher.example')!.fingerprint).to.equal(facts.fingerprint)
  })

  it('RFC 6120 §13.7.1: makes none when that is not allowed', async () => {
    const own = await load(['a.example'])
    expect(own.contextFor('a.example')).to.equal(undefined)
    expect(own.all()).to.deep.equal([])
    expect(await readdir(directory)).to.deep.equal([])
  })

  it('RFC 6120 §13.7.1: names everything that is wrong, and no content of a file', async () => {
    const good = authority.issue('a.example')
    await put('a.example', { cert: good.cert, key: authority.issue('b.example').key })
    await put('b.example', { cert: 'secret', key: good.key })
    await put('c.example', { cert: good.cert, key: 'secret' })
    await writeFile(join(directory, 'd.example.key'), good.key)
    const { problems, message } = await failure(
      load(['a.example', 'b.example', 'c.example', 'd.example', '../e'], true),
    )
    expect(problems.map(problem => problem.text)).to.deep.equal([
      'a.example.key is not the key of the first certificate in a.example.crt',
      'b.example.crt has no certificate in PEM',
      'c.example.key is not an unencrypted private key in PEM',
      'd.example.crt is missing',
      'no domain name that can have a certificate file',
    ])
    expect(message).not.to.include('secret')
    expect(await readFile(join(directory, 'd.example.key'), 'utf8')).to.equal(good.key)
  })

  it('RFC 6120 §13.7.1: a reload takes everything or nothing', async () => {
    await put('a.example', authority.issue('a.example'))
    await put('b.example', authority.issue('b.example'))
    const own = await load(['a.example', 'b.example'])
    const before = [own.contextFor('a.example'), own.contextFor('b.example')]
    await put('a.example', authority.issue('a.example', 'server-auth-only'))
    await writeFile(join(directory, 'b.example.crt'), 'half a file')
    const { problems } = await failure(own.reload())
    expect(problems.map(problem => problem.domain)).to.deep.equal(['b.example'])
    expect([own.contextFor('a.example'), own.contextFor('b.example')]).to.deep.equal(before)
    expect(own.chainFor('a.example')).to.deep.equal(authority.issue('a.example').chain)

    await put('b.example', authority.issue('b.example'))
    expect(await own.reload()).to.deep.equal(['a.example'])
    expect(own.chainFor('a.example')).to.deep.equal(authority.issue('a.example', 'server-auth-only').chain)
  })

  it('RFC 6120 §13.7.1: files that disappear are an error, not a reason for a self-signed certificate', async () => {
    await put('a.example', authority.issue('a.example'))
    const own = await load(['a.example'], true)
    await rm(join(directory, 'a.example.crt'))
    await rm(join(directory, 'a.example.key'))
    await failure(own.reload())
    expect(own.chainFor('a.example')).to.deep.equal(authority.issue('a.example').chain)
    expect(await readdir(directory)).to.deep.equal([])
  })

  it('RFC 6120 §13.7.1: a reload can bring other domains', async () => {
    await put('a.example', authority.issue('a.example'))
    const own = await load(['a.example'])
    await put('b.example', authority.issue('b.example'))
    expect(await own.reload(['b.example'])).to.deep.equal(['b.example'])
    expect(own.contextFor('a.example')).to.equal(undefined)
    expect(own.all().map(facts => facts.domain)).to.deep.equal(['b.example'])
  })

  it('RFC 9325 §3.3: contexts resume no session and speak nothing older than TLS 1.2', async () => {
    await put('a.example', authority.issue('a.example'))
    const context = (await load(['a.example'])).contextFor('a.example')!
    const server = createServer(raw => {
      const socket = new TLSSocket(raw, { isServer: true, secureContext: context })
      socket.on('error', () => {})
      socket.on('secure', () => socket.end('bye'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const dial = (options: object): TLSSocket =>
      connect({ port: address.port, host: '127.0.0.1', servername: 'a.example', rejectUnauthorized: false, ...options })
    try {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
        const first = dial({ maxVersion })
        const sessions: Buffer[] = []
        first.on('session', session => sessions.push(session))
        first.resume()
        await once(first, 'close')
        const second = dial({ maxVersion, session: sessions.at(-1) ?? first.getSession() })
        second.resume()
        await once(second, 'secureConnect')
        expect(second.isSessionReused(), maxVersion).to.equal(false)
        await once(second, 'close')
      }
      const old = dial({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })
      const outcome = await new Promise(resolve =>
        old.once('error', resolve).once('secureConnect', () => resolve('connected')),
      )
      old.destroy()
      expect(outcome).to.have.property('code', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
    } finally {
      server.close()
    }
  })
})
