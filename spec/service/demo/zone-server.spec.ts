import { Resolver } from 'node:dns/promises'
import { expect } from 'chai'
import { type Zone, ZoneServer } from '../../../lib/service/demo/zone-server.js'

describe('ZoneServer, asked by the resolver of Node', () => {
  let server: ZoneServer
  let resolver: Resolver
  const zone: Zone = {
    'north.example': { A: ['127.0.0.1', '127.0.0.2'], AAAA: ['::1'] },
    '_xmpp-server._tcp.north.example': { SRV: [{ priority: 1, weight: 2, port: 5269, target: 'north.example' }] },
    'alias.example': { CNAME: 'north.example' },
    'many.example': { A: Array.from({ length: 200 }, (_, i) => `127.0.1.${i}`) },
  }

  beforeEach(async () => {
    server = new ZoneServer({ ...zone })
    const { address, port } = await server.listen()
    resolver = new Resolver({ timeout: 2000, tries: 2 })
    resolver.setServers([`${address}:${port}`])
  })

  afterEach(() => server.close())

  async function codeOf(asked: Promise<unknown>): Promise<unknown> {
    return await asked.then(
      () => 'answered',
      (error: NodeJS.ErrnoException) => error.code,
    )
  }

  it('RFC 1035 §3.4.1, RFC 3596, RFC 2782: addresses with TTL, and services', async () => {
    expect(await resolver.resolve4('NORTH.example', { ttl: true })).to.deep.equal([
      { address: '127.0.0.1', ttl: 60 },
      { address: '127.0.0.2', ttl: 60 },
    ])
    expect(await resolver.resolve6('north.example')).to.deep.equal(['::1'])
    const [service] = await resolver.resolveSrv('_xmpp-server._tcp.north.example')
    expect(service).to.include({ name: 'north.example', port: 5269, priority: 1, weight: 2 })
  })

  it('RFC 1034 §3.6.2: an alias brings the records of its target', async () => {
    expect(await resolver.resolve6('alias.example')).to.deep.equal(['::1'])
  })

  it('RFC 2308 §2, RFC 8020: unknown names, names without such records, names that only have names below', async () => {
    expect(await codeOf(resolver.resolve4('south.example'))).to.equal('ENOTFOUND')
    expect(await codeOf(resolver.resolveSrv('north.example'))).to.equal('ENODATA')
    expect(await codeOf(resolver.resolve4('_tcp.north.example'))).to.equal('ENODATA')
  })

  it('RFC 7766 §5: what does not fit into a datagram comes over TCP', async () => {
    expect(await resolver.resolve4('many.example')).to.have.length(200)
    expect(server.asked.map(({ over }) => over)).to.deep.equal(['udp', 'tcp'])
  })

  it('a change of the zone counts at once, and the questions are remembered', async () => {
    server.zone['south.example'] = { A: ['127.0.0.9'] }
    expect(await resolver.resolve4('south.example')).to.deep.equal(['127.0.0.9'])
    expect(server.asked).to.deep.equal([{ name: 'south.example', type: 'A', over: 'udp' }])
  })

  it('may be closed twice', async () => {
    await server.close()
    await server.close()
  })
})
