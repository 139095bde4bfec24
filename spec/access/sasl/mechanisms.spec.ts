import { expect } from 'chai'
import { SaslMechanisms, type SaslMechanismsOptions } from '../../../lib/access/sasl/mechanisms.js'
import { silentLog } from '../../../lib/base/log.js'
import { readNorthName } from './names.js'

describe('SaslMechanisms', () => {
  const make = (change: Partial<SaslMechanismsOptions>) =>
    new SaslMechanisms({
      accounts: { credentials: async () => undefined, verifyPassword: async () => false },
      readName: readNorthName,
      fakeSaltSecret: 'of this spec',
      isPlainAllowed: false,
      log: silentLog,
      ...change,
    })

  it('RFC 6120 §6.3.3: offers the strongest first, PLAIN and -PLUS only where they may be used', () => {
    const channelBinding = { type: 'tls-exporter', data: Buffer.alloc(32) }
    expect(make({}).offered).to.deep.equal(['SCRAM-SHA-256', 'SCRAM-SHA-1'])
    expect(make({ isPlainAllowed: true }).offered).to.deep.equal(['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN'])
    expect(make({ isPlainAllowed: true, channelBinding }).offered).to.deep.equal([
      'SCRAM-SHA-256-PLUS',
      'SCRAM-SHA-1-PLUS',
      'SCRAM-SHA-256',
      'SCRAM-SHA-1',
      'PLAIN',
    ])
  })

  it('starts what it offers, under its name', () => {
    const channelBinding = { type: 'tls-exporter', data: Buffer.alloc(32) }
    const mechanisms = make({ isPlainAllowed: true, channelBinding })
    expect(mechanisms.offered.map(name => mechanisms.start(name)?.mechanism)).to.deep.equal(mechanisms.offered)
  })

  it('starts nothing else: RFC 6120 §6.5.7', () => {
    const names = ['PLAIN', 'CRAM-MD5', 'DIGEST-MD5', 'LOGIN', 'SCRAM-SHA-256-PLUS', 'scram-sha-256', '', '__proto__']
    for (const name of names) expect(make({}).start(name), name).to.equal(undefined)
  })

  it('a client that overlooks the offered -PLUS is refused', async () => {
    const mechanisms = make({ channelBinding: { type: 'tls-exporter', data: Buffer.alloc(32) } })
    const step = await mechanisms.start('SCRAM-SHA-256')?.respond(Buffer.from('y,,n=olga,r=x'))
    expect(step).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
  })
})
