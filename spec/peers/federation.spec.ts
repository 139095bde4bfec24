import type { Element } from '@xmpp/xml'
import xml from '@xmpp/xml'
import { expect } from 'chai'
import { PeerClient } from './client.js'
import { Comity } from './comity.js'
import { Ejabberd } from './ejabberd.js'
import type { Peer, PeerAuth } from './peer.js'
import { Prosody } from './prosody.js'
import { Surroundings } from './surroundings.js'
import { XimssUser } from './ximss-user.js'

const stanzasNs = 'urn:ietf:params:xml:ns:xmpp-stanzas'
const secret = (user: string): string => `${user}'s secret`

const PEERS = [
  {
    name: 'Prosody',
    Program: Prosody,
    domain: 'prosody.example',
    address: '127.0.0.11',
    user: 'pat',
  },
  {
    name: 'ejabberd',
    Program: Ejabberd,
    domain: 'ejabberd.example',
    address: '127.0.0.12',
    user: 'eve',
  },
] as const

for (const { name, Program, domain, address, user } of PEERS) {
  for (const auth of ['dialback', 'external'] satisfies PeerAuth[]) {
    for (const first of ['they', 'we'] as const) {
      describe(`Comity and ${name}: ${auth}, ${first} call first`, () => {
        let surroundings: Surroundings
        let peer: Peer
        let comity: Comity
        let remote: PeerClient
        let olga: XimssUser

        async function remoteLogsIn(): Promise<void> {
          await remote?.close()
          const { c2sPort: port } = peer
          remote = await PeerClient.connect({ address, port, domain, user, password: secret(user) })
          remote.presence()
          await remote.nextPresence(remote.jid)
        }

        async function olgaLogsIn(): Promise<void> {
          olga = await XimssUser.connect(comity, 'olga', secret('olga'))
        }

        async function weCall(body: string): Promise<void> {
          await olga.message(remote.jid, body)
          expect((await remote.nextBody(body)).attrs.from).to.equal(olga.jid)
        }

        async function theyCall(body: string): Promise<void> {
          remote.message(olga.jid, body)
          const { attrs } = await olga.nextBody(body)
          expect(`${attrs.peer}/${attrs.clientID}`).to.equal(remote.jid)
        }

        async function proveWeCalled(): Promise<void> {
          expect(await comity.outgoing(domain)).to.match(new RegExp(`^established by ${auth}; TLSv1\\.3$`))
          expect(new Set(await peer.proofs('in', comity.domain))).to.deep.equal(new Set([auth]))
        }

        async function proveTheyCalled(): Promise<void> {
          const proof = `proven: ${comity.domain}←${domain}: ${auth}; TLSv1.3`
          expect(await comity.incoming(domain)).to.deep.equal([proof])
          expect(new Set(await peer.proofs('out', comity.domain))).to.deep.equal(new Set([auth]))
        }

        /** In the order of the suite: what they send ends a rest of ours at once, what we send first waits for its end. */
        async function bothCall(when: string): Promise<void> {
          for (const call of first === 'they' ? [theyCall, weCall] : [weCall, theyCall])
            await call(`${when}, ${call.name}`)
          await proveWeCalled()
          await proveTheyCalled()
        }

        async function showLogs(): Promise<void> {
          console.log(`${comity?.log()}\n${await peer?.log()}`)
        }

        before(async () => {
          surroundings = await Surroundings.open(auth)
          const { dnsPort } = surroundings
          const options = (domain: string, address: string, user: string) => {
            const users = { [user]: secret(user) }
            return { domain, address, dnsPort, auth, users, ...surroundings.identity(domain) }
          }
          peer = new Program(options(domain, address, user))
          comity = new Comity(options('comity.example', '127.0.0.21', 'olga'))
          surroundings.publish(domain, { address, port: peer.s2sPort })
          surroundings.publish(comity.domain, { address: comity.address, port: comity.s2sPort })
          try {
            await comity.start()
            await peer.start()
            await olgaLogsIn()
            await remoteLogsIn()
          } catch (error) {
            await showLogs()
            throw error
          }
        })

        afterEach(async function () {
          if (this.currentTest?.state === 'failed') await showLogs()
        })

        after(async () => {
          await Promise.all([olga?.close(), remote?.close()])
          await Promise.all([comity?.remove(), peer?.remove()])
          await surroundings?.close()
        })

        const proof = auth === 'external' ? 'RFC 6120 §13.7.2' : 'XEP-0220 §2.1'
        it(`${proof}: the first message opens a stream, its answer one the other way, each proved as asked`, async () => {
          if (first === 'they') {
            await theyCall('the first')
            await proveTheyCalled()
            // A stream that asked for their key proves nothing of ours; it is there for what we send next.
            expect(await comity.outgoing(domain)).to.equal('')
            await weCall('the answer')
            await proveWeCalled()
            if (auth === 'dialback') expect(comity.log()).to.include('"step":"reuse"')
          } else {
            await weCall('the first')
            await proveWeCalled()
            // Prosody asks for our key on a stream that it has proven itself on.
            if (name === 'Prosody' && auth === 'dialback') await proveTheyCalled()
            else expect(await comity.incoming(domain)).to.deep.equal([])
            await theyCall('the answer')
            await proveTheyCalled()
          }
        })

        it('RFC 6121 §4.6: directed presence arrives both ways, and so does its end', async () => {
          await olga.presence(remote.jid, 'away', 'here')
          const there = await remote.nextPresence(olga.jid)
          expect([there.getChildText('show'), there.getChildText('status')]).to.deep.equal(['away', 'here'])
          remote.presence({ to: olga.jid }, xml('show', {}, 'dnd'), xml('status', {}, 'there'))
          const here = await olga.nextPresence(remote.jid)
          expect([here.getChildText('show'), here.getChildText('status')]).to.deep.equal(['dnd', 'there'])
          await olga.presence(remote.jid, 'offline', 'gone')
          expect((await remote.nextPresence(olga.jid, 'unavailable')).getChildText('status')).to.equal('gone')
          remote.presence({ to: olga.jid, type: 'unavailable' })
          await olga.nextPresence(remote.jid, 'unavailable')
        })

        it('XEP-0199 §4.3, §4.4: users and servers answer pings from the other side', async () => {
          expect((await olga.ping(remote.jid)).attrs).to.include({ type: 'result', peer: remote.jid })
          expect((await olga.ping(domain)).attrs).to.include({ type: 'result', peer: domain })
          const [pong, from] = await Promise.all([remote.ping(olga.jid), olga.answerPing()])
          expect(pong.attrs).to.include({ type: 'result', from: olga.jid })
          expect(from).to.equal(remote.jid)
          expect((await remote.ping(comity.domain)).attrs).to.include({ type: 'result', from: comity.domain })
        })

        it('RFC 6121 §8.5.1: who is unknown there or here is answered for with service-unavailable', async () => {
          const answer = await olga.nextError(await olga.message(`nobody@${domain}`, 'anyone?'))
          expect(answer.attrs).to.include({ peer: `nobody@${domain}`, errorCondition: 'service-unavailable' })
          const error = await remote.nextError(remote.message(`nobody@${comity.domain}`, 'anyone?'))
          expect(error.attrs.from).to.equal(`nobody@${comity.domain}`)
          expect(conditionOf(error)).to.equal('service-unavailable')
          expect((await olga.ping(`nobody@${domain}/x`)).attrs).to.include({ errorCondition: 'service-unavailable' })
          expect(conditionOf(await remote.ping(`nobody@${comity.domain}/x`))).to.equal('service-unavailable')
        })

        it('RFC 6120 §4.9.3.6: a domain that the other side does not serve is answered for', async () => {
          surroundings.publish('moved.example', { address, port: peer.s2sPort })
          const answer = await olga.nextError(await olga.message('someone@moved.example', 'anyone?'))
          expect(answer.attrs).to.include({ errorCondition: 'remote-server-not-found' })
          surroundings.publish('moved.example', { address: comity.address, port: comity.s2sPort })
          const error = await remote.nextError(remote.message('someone@moved.example', 'anyone?'))
          // Both choose remote-server-timeout for whatever the other side says, and tell what that was.
          expect(conditionOf(error)).to.equal('remote-server-timeout')
          expect(error.getChild('error')?.getChildText('text')).to.include('host-unknown')
        })

        it('RFC 6120 §8.3.3.17: a peer that has stopped bounces; started again, it gets the next message', async () => {
          await peer.stop()
          await comity.alone(domain)
          const answer = await olga.nextError(await olga.message(`${user}@${domain}`, 'lost'))
          expect(answer.attrs).to.include({ peer: `${user}@${domain}`, errorCondition: 'remote-server-timeout' })
          await peer.start()
          await remoteLogsIn()
          await bothCall('after it')
        })

        it('RFC 6120 §4.6: a peer that was cut off and is back gets the next message, without a bounce between', async () => {
          await peer.kill()
          await comity.alone(domain)
          await peer.start()
          await remoteLogsIn()
          await bothCall('after it')
        })

        it('RFC 6120 §4.9.3.19: after our own stop and start they get through, and so do we', async () => {
          await olga.close()
          await comity.stop()
          await comity.start()
          await olgaLogsIn()
          await bothCall('after ours')
        })
      })
    }
  }
}

/** The condition of a stanza error (RFC 6120 §8.3.3). */
function conditionOf(stanza: Element): string | undefined {
  return stanza
    .getChild('error')
    ?.getChildElements()
    .find(child => child.getNS() === stanzasNs)?.name
}
