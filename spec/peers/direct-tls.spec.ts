import { expect } from 'chai'
import { PeerClient } from './client.js'
import { Comity } from './comity.js'
import { Ejabberd } from './ejabberd.js'
import type { Peer, PeerAuth } from './peer.js'
import { Prosody } from './prosody.js'
import { Surroundings } from './surroundings.js'
import { XimssUser } from './ximss-user.js'

const directTlsPort = 5270
const secret = (user: string): string => `${user}'s secret`

const PEERS = [
  { name: 'Prosody', Program: Prosody, domain: 'prosody.example', address: '127.0.0.11', user: 'pat' },
  { name: 'ejabberd', Program: Ejabberd, domain: 'ejabberd.example', address: '127.0.0.12', user: 'eve' },
] as const

for (const { name, Program, domain, address, user } of PEERS) {
  for (const auth of ['dialback', 'external'] satisfies PeerAuth[]) {
    describe(`Comity and ${name} over Direct TLS: ${auth}`, () => {
      let surroundings: Surroundings
      let peer: Peer
      let comity: Comity
      let remote: PeerClient
      let olga: XimssUser

      before(async () => {
        surroundings = await Surroundings.open(auth)
        const { dnsPort } = surroundings
        const options = (domain: string, address: string, user: string) => {
          const users = { [user]: secret(user) }
          return { domain, address, dnsPort, auth, users, ...surroundings.identity(domain) }
        }
        peer = new Program({ ...options(domain, address, user), directTlsPort })
        comity = new Comity(options('comity.example', '127.0.0.21', 'olga'))
        // Nothing else is in DNS: whoever gets through did so by Direct TLS.
        surroundings.publish(domain, { address, directTlsPort })
        surroundings.publish(comity.domain, { address: comity.address, directTlsPort: comity.directTlsPort })
        await Promise.all([comity.start(), peer.start()])
        olga = await XimssUser.connect(comity, 'olga', secret('olga'))
        remote = await PeerClient.connect({ address, port: peer.c2sPort, domain, user, password: secret(user) })
        remote.presence()
        await remote.nextPresence(remote.jid)
      })

      afterEach(async function () {
        if (this.currentTest?.state === 'failed') console.log(`${comity?.log()}\n${await peer?.log()}`)
      })

      after(async () => {
        await Promise.all([olga?.close(), remote?.close()])
        await Promise.all([comity?.remove(), peer?.remove()])
        await surroundings?.close()
      })

      it('XEP-0368 §2: they call', async () => {
        remote.message(olga.jid, 'from there')
        const { attrs } = await olga.nextBody('from there')
        expect(`${attrs.peer}/${attrs.clientID}`).to.equal(remote.jid)
        const proof = `proven: ${comity.domain}←${domain}: ${auth}; TLSv1.3`
        expect(await comity.incoming(domain)).to.deep.equal([proof])
        expect(new Set(await peer.proofs('out', comity.domain))).to.deep.equal(new Set([auth]))
      })

      it('XEP-0368 §2: we call', async () => {
        await olga.message(remote.jid, 'from here')
        expect((await remote.nextBody('from here')).attrs.from).to.equal(olga.jid)
        expect(await comity.outgoing(domain)).to.match(new RegExp(`^established by ${auth}; TLSv1\\.3$`))
        expect(new Set(await peer.proofs('in', comity.domain))).to.deep.equal(new Set([auth]))
      })

      it('XEP-0368 §2: a plain answer to our handshake gives way to the next record, which is for the same port', async () => {
        await comity.stop()
        await comity.start()
        olga = await XimssUser.connect(comity, 'olga', secret('olga'))
        const port = peer.s2sPort
        surroundings.publish(domain, { address, port, directTlsPort: port })
        const { zone } = surroundings.dns
        const target = `xmpp.${domain}`
        zone[`_xmpp-server._tcp.${domain}`] = { SRV: [{ priority: 1, weight: 0, port, target }] }
        await olga.message(remote.jid, 'by another way')
        expect((await remote.nextBody('by another way')).attrs.from).to.equal(olga.jid)
        expect(comity.log()).to.match(/"step":"dial\.failed".*plain-answer/)
      })
    })
  }
}
