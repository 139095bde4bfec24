import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.js'
import { Trace } from '../../lib/base/trace.js'
import { defaultDialSettings } from '../../lib/dial/dial-target.js'
import { DnsOverrides, readRoute } from '../../lib/dial/dns-override.js'
import { readProxy } from '../../lib/dial/proxy.js'
import { Resolver } from '../../lib/dial/resolver.js'
import { type Zone, ZoneServer } from '../../lib/service/demo/zone-server.js'
import { networkLeadsTo } from '../../lib/session/dns-evidence.js'
import { memoryRules } from '../support/memory-federation.js'

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
  }: Way): Promise<boolean> {
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

  for (const [title, way, yes] of [
    ['a service record', { zone: { ...host, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } } }, true],
    [
      'one of lower priority',
      { zone: { ...host, [STARTTLS]: { SRV: [srv('a.example', 5269), srv('xmpp.example', 5269, 9)] } } },
      true,
    ],
    [
      'one of several addresses',
      {
        zone: { 'xmpp.example': { A: ['192.0.2.7', HERE.address] }, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } },
      },
      true,
    ],
    [
      'an IPv6 address',
      {
        zone: { 'xmpp.example': { AAAA: ['2001:db8::1'] }, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } },
        at: { address: '2001:db8::1', port: 5269 },
      },
      true,
    ],
    [
      'a record of Direct TLS',
      { zone: { ...host, [TLS]: { SRV: [srv('xmpp.example', 5270)] } }, at: { ...HERE, port: 5270 } },
      true,
    ],
    [
      'but not where TLS is disabled',
      { zone: { ...host, [TLS]: { SRV: [srv('xmpp.example', 5270)] } }, at: { ...HERE, port: 5270 }, tls: 'disabled' },
      false,
    ],
    ['another port of the same host', { zone: { ...host, [STARTTLS]: { SRV: [srv('xmpp.example', 5299)] } } }, false],
    [
      'another host at the same port',
      { zone: { 'xmpp.example': { A: ['192.0.2.7'] }, [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] } } },
      false,
    ],
    ['its own address, without records', { zone: { [DOMAIN]: { A: [HERE.address] } } }, true],
    [
      'not its own address, with records',
      {
        zone: {
          [DOMAIN]: { A: [HERE.address] },
          'xmpp.example': { A: ['192.0.2.7'] },
          [STARTTLS]: { SRV: [srv('xmpp.example', 5269)] },
        },
      },
      false,
    ],
    [
      'a domain that offers no service',
      { zone: { [DOMAIN]: { A: [HERE.address] }, [STARTTLS]: { SRV: [srv('.', 0)] } } },
      false,
    ],
    ['a domain that does not exist', {}, false],
    ['a name beyond ASCII', { domain: 'dün.example', zone: { 'xn--dn-xka.example': { A: [HERE.address] } } }, true],
    ['an override to the address', { override: '192.0.2.1:5269' }, true],
    [
      'an override that leads elsewhere, whatever DNS says',
      { override: '192.0.2.7:5269', zone: { [DOMAIN]: { A: [HERE.address] } } },
      false,
    ],
    [
      'a proxy, behind which nobody knows',
      { proxy: 'socks5://127.0.0.1:9050', zone: { [DOMAIN]: { A: [HERE.address] } } },
      false,
    ],
    [
      'the fifth host, which is not looked up',
      {
        zone: {
          ...host,
          [STARTTLS]: { SRV: ['a', 'b', 'c', 'd', 'xmpp'].map((name, at) => srv(`${name}.example`, 5269, at)) },
        },
      },
      false,
    ],
  ] as const satisfies readonly (readonly [string, Way, boolean])[]) {
    it(`${title}: ${yes ? 'yes' : 'no'}`, async () => {
      expect(await leads(way)).to.equal(yes)
    })
  }

  it('ends with the signal', async () => {
    const signal = AbortSignal.abort(new Error('over'))
    const error = await leads({ signal }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).to.equal(signal.reason)
  })
})
