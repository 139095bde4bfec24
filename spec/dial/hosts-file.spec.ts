import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { HostsFile, readHosts } from '../../lib/dial/hosts-file.js'
import { Resolver } from '../../lib/dial/resolver.js'
import { readServer, systemServers } from '../../lib/dial/system-servers.js'
import { ManualClock } from '../support/manual-clock.js'
import { ScriptedDns } from '../support/scripted-dns.js'

describe('names without DNS', () => {
  let directory: string
  let path: string
  const signal = new AbortController().signal

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hosts-'))
    path = join(directory, 'hosts')
  })

  afterEach(() => rm(directory, { recursive: true }))

  it('hosts(5): comments, several names, both families', () => {
    const entries = readHosts(
      '# all\n127.0.0.1\tlocalhost Here # not.here\n::1 localhost\n\nfe80::1%lo zone\n1.2.3 bad\n10.0.0.1 here\n10.0.0.1 here\n',
    )
    expect(Object.fromEntries(entries)).to.deep.equal({
      localhost: { v4: ['127.0.0.1'], v6: ['::1'] },
      here: { v4: ['127.0.0.1', '10.0.0.1'], v6: [] },
    })
  })

  it('an entry answers for both families and hides the DNS; SRV is not touched', async () => {
    await writeFile(path, '10.0.0.1 north.example\n')
    const clock = new ManualClock()
    const server = new ScriptedDns({ 'north.example': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'] } })
    const resolver = new Resolver({
      servers: [await server.listen()],
      clock,
      capacity: 10,
      hosts: new HostsFile(path, clock),
    })
    try {
      expect(await resolver.query('North.Example', 'A', signal)).to.have.deep.property('records', [
        { type: 'A', address: '10.0.0.1' },
      ])
      expect(await resolver.query('north.example', 'AAAA', signal)).to.include({ kind: 'none', reason: 'nodata' })
      expect(server.asked).to.deep.equal([])
      await resolver.query('north.example', 'SRV', signal)
      expect(server.asked).to.have.length(1)
    } finally {
      await server.close()
    }
  })

  it('a change is noticed after 5 s; a file that is gone is empty', async () => {
    const clock = new ManualClock()
    const hosts = new HostsFile(path, clock)
    expect(await hosts.find('a')).to.equal(undefined)
    await writeFile(path, '10.0.0.1 a\n')
    expect(await hosts.find('a')).to.equal(undefined)
    clock.advance(5000)
    expect(await hosts.find('a')).to.deep.equal({ v4: ['10.0.0.1'], v6: [] })
    await writeFile(path, '10.0.0.2 a\n')
    await utimes(path, 1, 1)
    clock.advance(5000)
    expect(await hosts.find('a')).to.deep.equal({ v4: ['10.0.0.2'], v6: [] })
    clock.advance(5000)
    expect(await hosts.find('a')).to.deep.equal({ v4: ['10.0.0.2'], v6: [] })
    await rm(path)
    clock.advance(5000)
    expect(await hosts.find('a')).to.equal(undefined)
  })

  it('server addresses: with and without port', () => {
    expect(readServer('192.0.2.1')).to.deep.equal({ address: '192.0.2.1', port: 53 })
    expect(readServer('192.0.2.1:5353')).to.deep.equal({ address: '192.0.2.1', port: 5353 })
    expect(readServer('2001:db8::1')).to.deep.equal({ address: '2001:db8::1', port: 53 })
    expect(readServer('[2001:db8::1]:5353')).to.deep.equal({ address: '2001:db8::1', port: 5353 })
    for (const text of ['', 'ns.example', '192.0.2.1:0', '192.0.2.1:65536', '192.0.2.1:', '[2001:db8::1']) {
      expect(readServer(text), text).to.equal(undefined)
    }
  })

  it('the machine names servers in a form that can be dialed', () => {
    const servers = systemServers()
    expect(servers.every(({ port }) => port > 0)).to.equal(true)
    expect(servers).to.be.an('array').that.is.not.empty
  })
})
