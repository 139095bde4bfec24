import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { DecodedPacket, Packet } from 'dns-packet'
import { ZoneServer } from '../../lib/service/demo/zone-server.js'
import { TestAuthority } from '../support/authority.js'
import { heard, say, World } from './world.js'

const AUTHENTIC_DATA = 1 << 5

/** Says of every answer that it has been validated, as a resolver on this machine may. */
class ValidatedDns extends ZoneServer {
  protected override answer(query: DecodedPacket): Packet {
    const answer = super.answer(query)
    return { ...answer, flags: (answer.flags ?? 0) | AUTHENTIC_DATA }
  }
}

describe('what may vouch for a server that is called (RFC 7673, RFC 6120 §13.7.2)', () => {
  const authority = new TestAuthority()
  let world: World

  beforeEach(async () => {
    world = await World.open(authority, new ValidatedDns({}))
  })
  afterEach(() => world.close())

  /** `3 1 1`: the key of this very certificate. */
  function publishKey(pem: string, port: number): void {
    const { publicKey } = new X509Certificate(pem)
    const certificate = createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest()
    world.dns.zone[`_${port}._tcp.xmpp.south.example`] = {
      TLSA: [{ usage: 3, selector: 1, matchingType: 1, certificate }],
    }
  }

  it('DANE: a self-signed certificate whose key the domain has published in signed DNS is good, also where validation is strict', async () => {
    const north = await world.running('north.example')
    const south = await world.member('south.example', {}, [])
    await south.start()
    world.publish('south.example', south.serverPort)
    const data = join(world.directory, 'south.example-1')
    publishKey(await readFile(join(data, 'certs', 'south.example.crt'), 'utf8'), south.serverPort)
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'by signed DNS')
    expect(await heard(ivo)).to.include('<body>by signed DNS</body>')
  })

  for (const strict of [true, false]) {
    it(`DANE: another key than the published one is final, validation ${strict ? 'strict' : 'lax'}`, async () => {
      const north = await world.running('north.example', { 'xmpp.server.certificate.strict-validation': strict })
      const south = await world.running('south.example')
      publishKey(authority.issue('other.example').cert, south.serverPort)
      const olga = await north.user('olga')
      say(olga, 'ivo@south.example', 'never')
      expect(await heard(olga)).to.include('type="error"')
      const failed = await north.log.first('s2s-out-failed')
      expect(String(failed.reason)).to.match(/^certificate: dane-mismatch/)
    })
  }

  it('xmpp.server.certificate.proofs: what is left out does not count', async () => {
    const north = await world.running('north.example', { 'xmpp.server.certificate.proofs': ['pkix'] })
    const south = await world.running('south.example')
    publishKey(authority.issue('other.example').cert, south.serverPort)
    const [olga, ivo] = [await north.user('olga'), await south.user('ivo')]
    say(olga, 'ivo@south.example', 'by authority')
    expect(await heard(ivo)).to.include('<body>by authority</body>')
  })
})
