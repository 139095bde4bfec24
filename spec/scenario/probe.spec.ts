import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { AdminError } from '../../lib/admin/admin-client.js'
import { type Clock, systemClock } from '../../lib/base/clock.js'
import { main } from '../../lib/service/cli/main.js'
import type { ProbeReport, ProbeStarted } from '../../lib/service/contract.js'
import { createService } from '../../lib/service/service.js'
import { Settings } from '../../lib/service/settings.js'
import { type Fixture, TestAuthority } from '../support/authority.js'
import { DeafListener } from '../support/deaf-listener.js'
import { type Member, type Sets, World } from './world.js'

interface Outcome {
  readonly status: number
  readonly output: string
  readonly errors: string
}

describe('comity probe', () => {
  const authority = new TestAuthority()
  let world: World
  let north: Member

  beforeEach(async () => {
    world = await World.open(authority)
  })
  afterEach(() => world.close())

  const comity = (...args: string[]): Promise<Outcome> => comityTold(args, () => {})

  async function comityTold(args: readonly string[], written: (text: string) => void): Promise<Outcome> {
    let output = ''
    let errors = ''
    const status = await main(
      args,
      {
        input: new PassThrough().end(),
        output: {
          write: text => {
            output += text
            written(text)
          },
        },
        errors: { write: text => (errors += text) },
        env: north.env,
      },
      {
        version: '1.2.3',
        loadService: async () => createService,
        loadDemo: () => Promise.reject(new Error('not in this spec')),
      },
    )
    return { status, output, errors }
  }

  async function report(domain: string, ...args: string[]): Promise<ProbeReport & { readonly status: number }> {
    const { status, output, errors } = await comity('probe', domain, '--json', ...args)
    expect(errors).to.equal('')
    return { ...(JSON.parse(output) as ProbeReport), status }
  }

  const lastLine = ({ output }: Outcome): string | undefined => output.trimEnd().split('\n').at(-1)
  const stepsOf = ({ steps }: ProbeReport): string[] => steps.map(({ step }) => step)

  describe('inside the running service', () => {
    beforeEach(async () => {
      north = await world.running('north.example')
    })

    it('XEP-0199: a good domain works; every step is told, and the ping comes back on their own stream', async () => {
      await world.running('south.example')
      const outcome = await comity('probe', 'south.example')
      expect(outcome.errors).to.equal('')
      expect(outcome.status).to.equal(0)
      expect(lastLine(outcome)).to.match(/^works: proven by SASL EXTERNAL, ping \d+ ms$/)
      for (const words of [
        /DNS +SRV _xmpp-server\._tcp\.south\.example: 10 0 \d+ xmpp\.south\.example \(DNSSEC (in)?secure, for \d+ s\)/,
        /DNS +A xmpp\.south\.example: 127\.0\.0\.1 /,
        /DNS +AAAA xmpp\.south\.example: none: nodata/,
        /TCP +trying 127\.0\.0\.1 port \d+ \(xmpp\.south\.example\)/,
        /TCP +connected to 127\.0\.0\.1/,
        /offers +STARTTLS \(required\)/,
        /TLS +TLSv1\.3, TLS_\w+, ALPN none, asked for south\.example/,
        /cert +1: CN=south\.example, issued by CN=Test Intermediate, 20\d\d-\d\d-\d\d to 20.*names: .*south\.example/,
        / {19}verified by PKIX, as south\.example\n/,
        /offers +SASL EXTERNAL, dialback, stanzas up to 262144 bytes, closes when idle for 1800 s/,
        /proof +SASL EXTERNAL accepted/,
        /ping +answered after \d+ ms/,
      ])
        expect(outcome.output).to.match(words)
    })

    it('it leaves no stream behind, nor anything to account for', async () => {
      await world.running('south.example')
      await report('south.example')
      await north.log.first('s2s-out-ended')
      expect(await north.sessions('s2s-out')).to.deep.equal([])
      await north.stop()
      expect(north.log.all('service-stopped')).to.deep.equal([{ accepted: 1, delivered: 1, refused: 0 }])
    })

    it('--json: one object with outcome, proof, ping, steps and nothing to mend', async () => {
      await world.running('south.example')
      const { steps, pingMs, ...rest } = await report('south.example', '--from', 'North.example')
      expect(rest).to.deep.equal({
        local: 'north.example',
        remote: 'south.example',
        outcome: 'works',
        failed: '',
        reason: '',
        words: '',
        mends: 'nobody',
        hint: '',
        proof: 'external',
        status: 0,
      })
      expect(pingMs).to.be.a('number')
      expect(steps.map(({ step }) => step)).to.include.members([
        'pair',
        'dns.answer',
        'tcp.start',
        'tls',
        'certificate',
      ])
      for (const step of steps) expect(step).to.have.all.keys('atMs', 'step', 'facts')
    })

    it('XEP-0220: without certificates that verify dialback is the proof', async () => {
      north.set('xmpp.server.certificate.strict-validation', false)
      await north.service.reload()
      const south = await world.member('south.example', { 'xmpp.server.certificate.strict-validation': false })
      await certify(south, 'self-signed')
      await south.start()
      world.publish('south.example', south.serverPort)
      const outcome = await comity('probe', 'south.example')
      expect(outcome.status).to.equal(0)
      expect(outcome.output)
        .to.match(/not verified:\n +- /)
        .and.match(/dialback: key sent\n.*dialback: valid\n/)
      expect(lastLine(outcome)).to.match(/^works: proven by dialback, ping \d+ ms$/)
    })

    it('XEP-0368: Direct TLS, and several places in the order in which they are tried', async () => {
      const south = await world.running('south.example')
      const [record] = world.dns.zone['_xmpp-server._tcp.south.example']!.SRV!
      world.dns.zone['_xmpps-server._tcp.south.example'] = {
        SRV: [{ ...record!, priority: 5, port: south.directTlsPort }],
      }
      const { status, output } = await comity('probe', 'south.example')
      expect(status).to.equal(0)
      const [tls, plain] = [south.directTlsPort, south.serverPort]
      expect(output).to.include(`order   xmpp.south.example ${tls} (TLS), xmpp.south.example ${plain}\n`)
      expect(output).to.include(`trying 127.0.0.1 port ${tls} (xmpp.south.example) for TLS at once\n`)
      expect(output).to.include('ALPN xmpp-server, asked for south.example')
    })

    async function certify(member: Member, fixture: Fixture): Promise<void> {
      const { cert, key } = authority.issue(member.domain, fixture)
      await member.writeCertificate(member.domain, cert, key)
    }

    async function badly(fixture: Fixture, sets: Sets = {}): Promise<void> {
      const south = await world.member('south.example', sets)
      await certify(south, fixture)
      await south.start()
      world.publish('south.example', south.serverPort)
    }

    const CERTIFICATES: readonly (readonly [Fixture, hint: RegExp])[] = [
      ['expired', /run out/],
      ['wrong-name', /for other names/],
      ['self-signed', /vouches for itself/],
      ['missing-intermediate', /full chain/],
    ]
    for (const [fixture, hint] of CERTIFICATES) {
      it(`RFC 6120 §13.7.2: a certificate that is ${fixture} is for their admin to mend`, async () => {
        await badly(fixture)
        const found = await report('south.example')
        expect(found).to.include({
          status: 1,
          outcome: 'failed',
          failed: 'certificate',
          mends: 'their admin',
          proof: '',
        })
        expect(found.hint).to.match(hint)
        expect(stepsOf(found)).to.include('certificate')
        const outcome = await comity('probe', 'south.example')
        expect(outcome.output)
          .to.match(/cert +1: /)
          .and.match(/ {19}not verified:\n {19}- /)
        expect(lastLine(outcome)).to.match(/^failed: certificate: .*; to be mended by: their admin$/)
      })
    }

    it('nobody listens at the port that DNS names: their admin', async () => {
      const south = await world.running('south.example')
      await south.stop()
      const found = await report('south.example')
      expect(found).to.include({ status: 1, failed: 'TCP', mends: 'their admin' })
      expect(found.reason).to.match(/^tcp: refused \(ECONNREFUSED.*port \d+/)
      expect(found.hint).to.match(/Nothing listens there/)
    })

    it('RFC 2782: an SRV record with the target "." is for their DNS', async () => {
      world.dns.zone['_xmpp-server._tcp.south.example'] = { SRV: [{ priority: 0, weight: 0, port: 0, target: '.' }] }
      const found = await report('south.example')
      expect(found).to.include({ status: 1, failed: 'DNS', mends: 'their DNS', reason: 'dns: no-service' })
      expect(stepsOf(found)).not.to.include('tcp.start')
    })

    it('a domain that does not exist is for their DNS', async () => {
      const found = await report('nowhere.example')
      expect(found).to.include({ status: 1, failed: 'DNS', mends: 'their DNS' })
      expect(found.reason).to.include('no-such-domain')
    })

    it('RFC 6120 §4.9.3.6: a server that does not serve the domain is for their admin', async () => {
      const south = await world.running('south.example')
      world.publish('west.example', south.serverPort)
      const found = await report('west.example')
      expect(found).to.include({ status: 1, failed: 'stream', mends: 'their admin' })
      expect(found.reason).to.include('host-unknown')
      expect(found.hint).to.include('does not serve the domain')
    })

    it('TLS that is not offered is for their admin', async () => {
      await badly('both', { 'xmpp.server.tls.policy': 'disabled' })
      const found = await report('south.example')
      expect(found).to.include({ status: 1, failed: 'TLS', mends: 'their admin', reason: 'tls: not-offered' })
    })

    it('a blocked domain is not dialed, in either direction', async () => {
      await world.running('south.example')
      expect((await comity('domain', 'block', 'south.example')).status).to.equal(0)
      const blocked = await report('south.example')
      expect(blocked).to.include({ status: 1, failed: 'policy', mends: 'our admin' })
      expect(stepsOf(blocked)).to.deep.equal(['pair'])
      await comity('domain', 'remove', 'south.example')
      await comity('domain', 'block', 'south.example', '--direction', 'in')
      const oneWay = await report('south.example')
      expect(oneWay).to.include({ status: 1, failed: 'policy', mends: 'our admin', proof: 'external' })
      expect(oneWay).not.to.have.property('pingMs')
    })

    it('a private address is not dialed where that is forbidden', async () => {
      await world.running('south.example')
      await north.property('xmpp.server.private-targets', false)
      const found = await report('south.example')
      expect(found).to.include({ status: 1, failed: 'TCP', mends: 'our admin' })
      expect(found.reason).to.include('forbidden-target')
      expect(stepsOf(found)).not.to.include('tcp.start')
    })

    it('rests and queues are left alone by a failure, and a success ends the rest', async () => {
      world.publish('south.example', 1)
      await report('south.example')
      expect(await north.admin('GET', '/queue')).to.deep.equal([])
      const olga = await north.user('olga')
      olga.send('<sendIM id="say" peer="ivo@south.example" type="chat" iqid="m">m</sendIM>')
      await north.log.first('s2s-out-failed')
      expect(await north.admin('GET', '/queue')).to.have.length(1)
      const south = await world.member('south.example')
      await south.start()
      world.publish('south.example', south.serverPort)
      await north.service.reload()
      expect(await report('south.example')).to.include({ outcome: 'works' })
      expect(await north.admin('GET', '/queue')).to.deep.equal([])
    })

    it('wrong usage ends with 2', async () => {
      for (const args of [['probe'], ['probe', 'a..b'], ['probe', 'south.example', '--from', 'elsewhere.example']]) {
        const { status, errors, output } = await comity(...args)
        expect([args, status]).to.deep.equal([args, 2])
        expect(errors).to.match(/^error: /)
        expect(output).to.equal('')
      }
      expect((await comity('probe', 'south.example', '--from', 'elsewhere.example')).errors).to.equal(
        'error: elsewhere.example is not served here; choose one of north.example\n',
      )
    })

    it('the admin socket refuses what it does not understand, and more than 20 at once; a stop ends them all', async () => {
      const refusal = async (asking: Promise<unknown>): Promise<unknown> =>
        await asking.then(
          () => undefined,
          (error: unknown) => (error instanceof AdminError ? error.status : error),
        )
      const post = (remote: unknown): Promise<unknown> => north.admin('POST', '/probes', { remote })
      expect(await refusal(north.admin('GET', '/probes/none'))).to.equal(404)
      for (const body of [undefined, 5, 'a..b']) expect(await refusal(post(body))).to.equal(400)
      const deaf = new DeafListener()
      try {
        world.publish('south.example', await deaf.listen())
        const { id } = (await post('south.example')) as ProbeStarted
        expect(await refusal(north.admin('GET', `/probes/${id}?after=-1`))).to.equal(400)
        for (let others = 1; others < 20; others++) await post('south.example')
        expect(await refusal(post('south.example'))).to.equal(503)
        await north.stop()
        expect(north.log.all('probe-ended').map(({ outcome }) => outcome)).to.deep.equal(
          Array.from({ length: 20 }, () => 'shutdown: stopping'),
        )
      } finally {
        await deaf.close()
      }
    })

    it('a service that ends meanwhile ends the command, which does not go on by itself', async () => {
      const deaf = new DeafListener()
      try {
        world.publish('south.example', await deaf.listen())
        let stopped: Promise<void> | undefined
        const { status, output } = await comityTold(['probe', 'south.example'], text => {
          if (text.includes('trying 127.0.0.1')) stopped ??= north.stop()
        })
        expect(status).to.equal(1)
        expect(output.match(/TCP +trying/g)).to.have.length(1)
        await stopped
      } finally {
        await deaf.close()
      }
    })

    it('a domain of our own is no remote one', async () => {
      expect(await report('north.example')).to.include({ status: 1, failed: 'address', mends: 'sender' })
    })
  })

  it('RFC 6120 §8.2.3: a ping that nobody answers shows which way is broken', async () => {
    const pings = new Set<() => void>()
    const clock: Clock = {
      ...systemClock,
      after: (ms, action) => {
        if (ms !== 10_000) return systemClock.after(ms, action)
        pings.add(action)
        return () => pings.delete(action)
      },
    }
    north = await world.member('north.example')
    const south = await world.running('south.example')
    const loaded = north.load()
    if (!loaded.ok) throw new Error('settings')
    const service = await createService({ settings: new Settings(loaded.config), log: north.log, clock })
    try {
      await service.start()
      const probing = service.probe({ remote: 'south.example' })
      // DNS does not know north, so that south's answer finds no way.
      await south.log.first('s2s-out-failed')
      for (const up of pings) up()
      const { steps, ...found } = await probing
      expect(found).to.deep.include({ outcome: 'failed', failed: 'ping', mends: 'our admin', proof: 'external' })
      expect(found.hint).to.include('SRV record of our domain')
    } finally {
      await service.stop()
    }
  })

  describe('without a running service', () => {
    beforeEach(async () => {
      north = await world.member('north.example')
    })

    it('the certificate is proof enough, and what was left out is told', async () => {
      await world.running('south.example')
      const found = await report('south.example')
      expect(found).to.include({ status: 0, outcome: 'works', proof: 'external' })
      expect(found.hint).to.include('dialback and the ping were left out')
      expect(found).not.to.have.property('pingMs')
    })

    it('dialback is not tried, as nobody would confirm the key', async () => {
      await world.running('south.example')
      const { cert, key } = authority.issue('north.example', 'self-signed')
      await north.writeCertificate('north.example', cert, key)
      await world.running('west.example', { 'xmpp.server.certificate.strict-validation': false })
      const found = await report('west.example')
      expect(found).to.include({ status: 1, failed: 'proof' })
      expect(found.hint).to.include('Start the service')
      expect(stepsOf(found)).not.to.include('dialback')
    })

    it('it obeys the permission entries of the data directory', async () => {
      await world.running('south.example')
      await comity('domain', 'block', 'south.example')
      expect(await report('south.example')).to.include({ status: 1, failed: 'policy', mends: 'our admin' })
    })

    it('wrong usage ends with 2', async () => {
      expect((await comity('probe', 'south.example', '--from', 'elsewhere.example')).status).to.equal(2)
    })
  })
}).timeout(30_000)
