import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.js'
import { DnsOverrides, readRoute } from '../../lib/dial/dns-override.js'
import { Resolver } from '../../lib/dial/resolver.js'
import type { Rules } from '../../lib/negotiation/rules.js'
import { ZoneServer } from '../../lib/service/demo/zone-server.js'
import { type Connect, networkConnect } from '../../lib/session/connect.js'
import { type Fixture, TestAuthority } from '../support/authority.js'
import { defaultDialSettings } from '../support/dial-settings.js'
import { MemoryFederation, MemoryNetwork } from '../support/memory-federation.js'
import { type PeerSettings, ScriptedCertificates } from '../support/scripted-party.js'
import { type ReceiverOptions, ScriptedReceiver } from '../support/scripted-receiver.js'
import { GOOD, HERE, THERE } from '../support/scripted-scene.js'
import { ScriptedStream } from '../support/scripted-stream.js'

/** DNS, Happy Eyeballs and sockets as they are; only the name server is a spec's. */
class RealNetwork extends MemoryNetwork {
  readonly #dial: Connect

  constructor(dial: Connect) {
    super()
    this.#dial = dial
  }

  override get dial(): Connect {
    return this.#dial
  }
}

describe('Direct TLS and STARTTLS side by side (XEP-0368 §2)', () => {
  const authority = new TestAuthority()
  const certificates = new ScriptedCertificates(authority)
  let dns: ZoneServer
  let ours: MemoryFederation
  let listeners: Server[]
  let sockets: Socket[]
  let override: string | undefined
  let network: RealNetwork

  beforeEach(async () => {
    listeners = []
    sockets = []
    override = undefined
    dns = new ZoneServer({ [`xmpp.${THERE}`]: { A: ['127.0.0.1'] }, [THERE]: { A: ['127.0.0.1'] } })
    const server = await dns.listen()
    const dial = networkConnect({
      resolver: new Resolver({ servers: () => [server], clock: systemClock, capacity: 100 }),
      settings: { ...defaultDialSettings, privateTargets: true, proxy: undefined, remotePort: 5269 },
      clock: systemClock,
      overrides: () => (override === undefined ? undefined : new DnsOverrides([[THERE, readRoute(override)!]])),
      isOwnListener: () => false,
    })
    network = new RealNetwork(dial)
  })

  afterEach(async () => {
    await ours.stop()
    for (const socket of sockets) socket.destroy()
    for (const listener of listeners) listener.close()
    await dns.close()
  })

  function serve(rules: Partial<Rules> = {}): void {
    ours = new MemoryFederation({ network, authority, clock: systemClock, domains: [HERE], rules })
  }

  /** Listens on a free port. */
  async function listen(take: (socket: Socket) => void): Promise<number> {
    const listener = createServer(socket => {
      sockets.push(socket)
      socket.on('error', () => {})
      take(socket)
    })
    listeners.push(listener)
    await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
    return (listener.address() as AddressInfo).port
  }

  /** A port that nobody listens on. */
  async function closedPort(): Promise<number> {
    const port = await listen(() => {})
    await new Promise(resolve => listeners.pop()!.close(resolve))
    return port
  }

  /** A scripted server of the domain behind a port of its own. */
  async function receiver(
    kind: 'tls' | 'starttls',
    settings: Partial<PeerSettings & { fixture: Fixture }> = {},
    more: Partial<ReceiverOptions> = {},
  ): Promise<{ readonly port: number; readonly receiver: ScriptedReceiver }> {
    const one = new ScriptedReceiver({
      domain: THERE,
      settings: { ...GOOD, ...settings },
      certificates,
      secret: 'of theirs',
      // Whoever it asks for a key is our server.
      dial: () => undefined,
      isDirectTls: domain => domain === THERE && kind === 'tls',
      ...more,
    })
    return { port: await listen(one.serve), receiver: one }
  }

  /** Records by service: port and priority of each. */
  function publish(records: {
    readonly tls?: readonly [number, number]
    readonly starttls?: readonly [number, number]
  }): void {
    for (const [service, record] of [
      ['_xmpps-server', records.tls],
      ['_xmpp-server', records.starttls],
    ] as const) {
      if (record === undefined) continue
      const [port, priority] = record
      dns.zone[`${service}._tcp.${THERE}`] = { SRV: [{ priority, weight: 0, port, target: `xmpp.${THERE}` }] }
    }
  }

  function send(): void {
    ours.send(`a@${HERE}/x`, `b@${THERE}`, 'hello')
  }

  async function failed(): Promise<string> {
    send()
    await ours.next(({ isError }) => isError)
    return ours.outgoing.session(HERE, THERE)?.attempts.at(-1)?.outcome ?? ''
  }

  const seen = ({ visits }: ScriptedReceiver): (readonly [string, boolean])[] =>
    visits.map(({ proof, stream }) => [proof, stream.encrypted])

  it('Direct TLS first when DNS prefers it: STARTTLS is not tried', async () => {
    serve()
    const tls = await receiver('tls')
    const starttls = await receiver('starttls')
    publish({ tls: [tls.port, 1], starttls: [starttls.port, 2] })
    send()
    await tls.receiver.next(HERE)
    expect(seen(tls.receiver)).to.deep.equal([['external', true]])
    expect(starttls.receiver.visits).to.have.length(0)
  })

  it('STARTTLS first when DNS prefers that', async () => {
    serve()
    const tls = await receiver('tls')
    const starttls = await receiver('starttls')
    publish({ tls: [tls.port, 2], starttls: [starttls.port, 1] })
    send()
    await starttls.receiver.next(HERE)
    expect(tls.receiver.visits).to.have.length(0)
  })

  it('Direct TLS behind a STARTTLS address that cannot be reached', async () => {
    serve()
    const tls = await receiver('tls')
    publish({ tls: [tls.port, 2], starttls: [await closedPort(), 1] })
    send()
    await tls.receiver.next(HERE)
  })

  it('TLS switched off: only the STARTTLS address is dialed, and _xmpps-server not even asked for', async () => {
    serve({ tls: 'disabled' })
    const tls = await receiver('tls')
    const starttls = await receiver('starttls', { tls: 'disabled' }, answeringKeys())
    publish({ tls: [tls.port, 1], starttls: [starttls.port, 2] })
    send()
    await starttls.receiver.next(HERE)
    expect(seen(starttls.receiver)).to.deep.equal([['dialback', false]])
    expect(tls.receiver.visits).to.have.length(0)
    expect(dns.asked.filter(({ name }) => name.startsWith('_xmpps'))).to.deep.equal([])
  })

  const troubles: readonly (readonly [string, () => Promise<number>])[] = [
    ['refuses the connection', closedPort],
    ['answers in plain text', () => listen(socket => socket.write("<?xml version='1.0'?><stream:stream>"))],
    ['hangs up in the handshake', () => listen(socket => socket.once('data', () => socket.destroy()))],
    ['has no certificate', () => receiver('tls', { certificate: 'missing' }).then(({ port }) => port)],
    ['speaks another protocol', () => listen(socket => void h2(socket))],
  ]
  for (const [name, trouble] of troubles) {
    it(`a Direct TLS address that ${name} gives way to STARTTLS`, async () => {
      serve()
      const starttls = await receiver('starttls')
      publish({ tls: [await trouble(), 1], starttls: [starttls.port, 2] })
      send()
      await starttls.receiver.next(HERE)
      expect(seen(starttls.receiver)).to.deep.equal([['external', true]])
    })
  }

  for (const [name, trouble] of troubles.slice(1)) {
    it(`RFC 7590 §3.1, policy optional: after a Direct TLS address that ${name} nothing goes in plain text`, async () => {
      serve({ tls: 'optional' })
      const starttls = await receiver('starttls', { tls: 'disabled' }, answeringKeys())
      publish({ tls: [await trouble(), 1], starttls: [starttls.port, 2] })
      expect(await failed()).to.match(/^tls: not-offered/)
      expect(seen(starttls.receiver)).to.deep.equal([['none', false]])
    })
  }

  it('RFC 7590 §3.1, policy optional: nor beside one that has not answered yet', async () => {
    serve({ tls: 'optional' })
    const starttls = await receiver('starttls', { tls: 'disabled' }, answeringKeys())
    publish({ tls: [await listen(() => {}), 1], starttls: [starttls.port, 2] })
    expect(await failed()).to.match(/^tls: not-offered/)
  })

  it('policy optional: where no TLS was begun, a server without it is acceptable', async () => {
    serve({ tls: 'optional' })
    const starttls = await receiver('starttls', { tls: 'disabled' }, answeringKeys())
    publish({ tls: [await closedPort(), 1], starttls: [starttls.port, 2] })
    send()
    await starttls.receiver.next(HERE)
    expect(seen(starttls.receiver)).to.deep.equal([['dialback', false]])
  })

  it('policy optional: nor does a second connection after a refused EXTERNAL go in plain text', async () => {
    serve({ tls: 'optional' })
    const refusing = await receiver('starttls', {}, { refuseExternal: 'close' })
    const stripped = await receiver('starttls', { tls: 'disabled' }, answeringKeys())
    let calls = 0
    const port = await listen(socket => (++calls === 1 ? refusing : stripped).receiver.serve(socket))
    publish({ starttls: [port, 1] })
    expect(await failed()).to.match(/^tls: not-offered/)
    expect([seen(refusing.receiver), seen(stripped.receiver)]).to.deep.equal([[['none', true]], [['none', false]]])
  })

  it('RFC 6120 §13.7.2: a certificate that is refused ends the attempt', async () => {
    serve()
    const tls = await receiver('tls', { certificate: 'invalid' })
    const starttls = await receiver('starttls')
    publish({ tls: [tls.port, 1], starttls: [starttls.port, 2] })
    expect(await failed()).to.match(/^certificate: expired/)
    expect(starttls.receiver.visits).to.have.length(0)
  })

  it('without strict validation such an address is as usable as any', async () => {
    serve({ strict: false })
    const tls = await receiver('tls', { certificate: 'invalid' }, answeringKeys())
    const starttls = await receiver('starttls')
    publish({ tls: [tls.port, 1], starttls: [starttls.port, 2] })
    send()
    await tls.receiver.next(HERE)
    expect(seen(tls.receiver)).to.deep.equal([['dialback', true]])
    expect(starttls.receiver.visits).to.have.length(0)
  })

  it('XEP-0368 §2: an address that DNS lists for Direct TLS only is not tried with STARTTLS', async () => {
    serve()
    let calls = 0
    const port = await listen(socket => {
      calls++
      socket.write("<?xml version='1.0'?><stream:stream>")
    })
    publish({ tls: [port, 1] })
    expect(await failed()).to.match(/^tls: plain-answer/)
    expect(calls).to.equal(1)
  })

  it('XEP-0368 §2: listed for both it is tried in both ways', async () => {
    serve()
    const { port, receiver: one } = await receiver('starttls')
    publish({ tls: [port, 1], starttls: [port, 2] })
    send()
    await one.next(HERE)
    expect(one.visits.at(-1)?.proof).to.equal('external')
    expect(one.visits).to.have.length(2)
  })

  it('dns.override with ;tls', async () => {
    serve()
    const tls = await receiver('tls')
    override = `127.0.0.1:${tls.port};tls`
    send()
    await tls.receiver.next(HERE)
    expect(seen(tls.receiver)).to.deep.equal([['external', true]])
    expect(dns.asked).to.deep.equal([])
  })

  it('dns.override with ;tls while TLS is switched off: no service', async () => {
    serve({ tls: 'disabled' })
    override = '127.0.0.1:1;tls'
    expect(await failed()).to.equal('dns: no-service')
  })

  /** Asks our own server, as it is, whether a key is good. */
  function answeringKeys(): Partial<ReceiverOptions> {
    return {
      dial: domain => {
        expect(domain).to.equal(HERE)
        return network.connect(domain)
      },
    }
  }

  /** A TLS server for something else. */
  async function h2(socket: Socket): Promise<void> {
    const { cert, key } = authority.issue(THERE)
    await new ScriptedStream(socket).startTls('server', createSecureContext({ cert, key }), '', ['h2']).catch(() => {})
  }
})
