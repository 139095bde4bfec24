import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.js'
import { Trace } from '../../lib/base/trace.js'
import { DnsOverrides, readRoute } from '../../lib/dial/dns-override.js'
import { readProxy } from '../../lib/dial/proxy.js'
import { Resolver } from '../../lib/dial/resolver.js'
import { type Zone, ZoneServer } from '../../lib/service/demo/zone-server.js'
import { networkLeadsTo, type Place, type Whereabouts } from '../../lib/session/dns-evidence.js'
import { defaultDialSettings } from '../support/dial-settings.js'
import { memoryRules } from '../support/memory-federation.js'
import { ScriptedDns } from '../support/scripted-dns.js'

const DOMAIN = 'dyn.example'
const HERE = { address: '192.0.2.1', port: 5269 }

describe('DNS as evidence that two domains have one server (XEP-0220 §2.6.2)', () => {
  let dns: ZoneServer

  beforeEach(() => {
    dns = new ZoneServer({})
  })

  afterEach(() => dns.close())

  interface Way {
    readonly zone?: Zone
    readonly override?: string
    readonly proxy?: string
    readonly at?: typeof HERE
    readonly tls?: 'disabled' | 'required'
    readonly domain?: string
    readonly signal?: AbortSignal
  }

  async function leads({
    zone = {},
    override,
    proxy = '',
    at = HERE,
    tls = 'required',
    ...way
  }: Way): Promise<Whereabouts> {
    Object.assign(dns.zone, zone)
    const server = await dns.listen()
    const leadsTo = networkLeadsTo({
      resolver: new Resolver({ servers: () => [server], clock: systemClock, capacity: 100 }),
      settings: { ...defaultDialSettings, privateTargets: false, proxy: readProxy(proxy), remotePort: 5269 },
      clock: systemClock,
      overrides: () => (override === undefined ? undefined : new DnsOverrides([[DOMAIN, readRoute(override)!]])),
      isOwnListener: () => false,
    })
    return await leadsTo({
      domain: way.domain ?? DOMAIN,
      rules: { ...memoryRules, tls },
      ...at,
      trace: new Trace(systemClock),
      signal: way.signal ?? new AbortController().signal,
    })
  }

  const srv = (target: string, port: number, priority = 0) => ({ target, port, priority, weight: 0 })
  const STARTTLS = `_xmpp-server._tcp.${DOMAIN}`
  const TLS = `_xmpps-server._tcp.${DOMAIN}`
  const host = { 'xmpp.example': { A: [HERE.address] } }

  for (const [title, way, place] of [
    ['a service record', { zone: { ...host, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } } }, 'there'],
    [
      'one of lower priority',
      { zone: { ...host, [STARTTLS]: { SRV: [srv('a.example', 5269), srv('xmpp.example', 5269, 9)] } } },
      'there',
    ],
    [
      'one of several addresses',
      {
        zone: { 'xmpp.example': { A: ['192.0.2.7', HERE.address] }, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } },
      },
      'there',
    ],
    [
      'an IPv6 address',
      {
        zone: { 'xmpp.example': { AAAA: ['2001:db8::1'] }, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } },
        at: { address: '2001:db8::1', port: 5269 },
      },
      'there',
    ],
    [
      'a record of Direct TLS',
      { zone: { ...host, [TLS]: { SRV: [srv('xmpp.example', 5270)] } }, at: { ...HERE, port: 5270 } },
      'there',
    ],
    [
      'but not where TLS is disabled',
      { zone: { ...host, [TLS]: { SRV: [srv('xmpp.example', 5270)] } }, at: { ...HERE, port: 5270 }, tls: 'disabled' },
      'nowhere',
    ],
    [
      'another port of the same host',
      { zone: { ...host, [STARTTLS]: { SRV: [srv('xmpp.example', 5299)] } } },
      'elsewhere',
    ],
    [
      'another host at the same port',
      { zone: { 'xmpp.example': { A: ['192.0.2.7'] }, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } } },
      'elsewhere',
    ],
    ['its own address, without records', { zone: { [DOMAIN]: { A: [HERE.address] } } }, 'there'],
    [
      'not its own address, with records',
      {
        zone: {
          [DOMAIN]: { A: [HERE.address] },
          'xmpp.example': { A: ['192.0.2.7'] },
          [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] },
        },
      },
      'elsewhere',
    ],
    [
      'a domain that offers no service',
      { zone: { [DOMAIN]: { A: [HERE.address] }, [STARTTLS]: { SRV: [srv('.', 0)] } } },
      'nowhere',
    ],
    ['a domain that does not exist', {}, 'nowhere'],
    ['a name beyond ASCII', { domain: 'dün.example', zone: { 'xn--dn-xka.example': { A: [HERE.address] } } }, 'there'],
    ['an override to the address', { override: '192.0.2.1:5269' }, 'there'],
    [
      'an override that leads elsewhere, whatever DNS says',
      { override: '192.0.2.7:5269', zone: { [DOMAIN]: { A: [HERE.address] } } },
      'signed elsewhere',
    ],
    [
      'a proxy, behind which addresses are not known',
      { proxy: 'socks5://127.0.0.1:9050', zone: { [DOMAIN]: { A: [HERE.address] } } },
      'elsewhere',
    ],
    [
      'the fifth host, which is not looked up',
      {
        zone: {
          ...host,
          [STARTTLS]: { SRV: ['a', 'b', 'c', 'd', 'xmpp'].map((name, at) => srv(`${name}.example`, 5269, at)) },
        },
      },
      'elsewhere',
    ],
  ] as const satisfies readonly (readonly [string, Way, Place])[]) {
    it(`${title}: ${place}`, async () => {
      expect((await leads(way)).place).to.equal(place)
    })
  }

  it('a name that the proxy resolves is a place: there, when both are of the same name', async () => {
    const zone = { [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } }
    const proxy = 'socks5://127.0.0.1:9050'
    const { place, target } = await leads({ zone, proxy, at: { address: 'xmpp.example', port: 5269 } })
    expect([place, target?.family]).to.deep.equal(['there', 0])
  })

  it('RFC 7673 §3: the place is told with what is known of the answers that name it', async () => {
    const { target } = await leads({ zone: { ...host, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } } })
    expect(target).to.deep.include({ ...HERE, family: 4, dnssec: 'insecure' })
    expect(target?.candidate.host).to.equal('xmpp.example')
  })

  it('servers that do not answer in order: unknown', async () => {
    dns = new ScriptedDns({}, { [STARTTLS]: { rcode: 2 }, [TLS]: { rcode: 2 } })
    expect((await leads({})).place).to.equal('unknown')
  })

  it('a host that servers do not answer for: unknown', async () => {
    dns = new ScriptedDns({}, { 'xmpp.example': { rcode: 2 } })
    expect((await leads({ zone: { [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } } })).place).to.equal('unknown')
  })

  it('RFC 4033 §3: validated answers that name other places: signed elsewhere', async () => {
    dns = new ScriptedDns({}, { [STARTTLS]: { authentic: true } })
    const zone = { ...host, [STARTTLS]: { SRV: [srv('xmpp.example', 5299)] } }
    expect((await leads({ zone })).place).to.equal('signed elsewhere')
  })

  it('ends with the signal', async () => {
    const signal = AbortSignal.abort(new Error('over'))
    const error = await leads({ signal }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).to.equal(signal.reason)
  })
})
