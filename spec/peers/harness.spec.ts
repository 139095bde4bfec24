import { setTimeout as delay } from 'node:timers/promises'
import xml from '@xmpp/xml'
import { expect } from 'chai'
import { PeerClient } from './client.js'
import { Ejabberd } from './ejabberd.js'
import type { Peer, PeerAuth } from './peer.js'
import { Prosody } from './prosody.js'
import { Surroundings } from './surroundings.js'

const stanzasNs = 'urn:ietf:params:xml:ns:xmpp-stanzas'

// If these fail, the fault is in the harness or in the peers, and says nothing about the project.
for (const auth of ['dialback', 'external'] satisfies PeerAuth[]) {
  for (const tls of ['STARTTLS', 'Direct TLS'] as const) {
    describe(`Prosody and ejabberd with each other: ${auth}, ${tls}`, () => {
      let surroundings: Surroundings
      let prosody: Prosody
      let ejabberd: Ejabberd
      let pat: PeerClient
      let eve: PeerClient

      async function logIn(peer: Peer, user: string): Promise<PeerClient> {
        const client = await PeerClient.connect({
          address: peer.address,
          port: peer.c2sPort,
          domain: peer.domain,
          user,
          password: `${user}'s secret`,
        })
        client.presence()
        await client.nextPresence(client.jid)
        return client
      }

      before(async () => {
        surroundings = await Surroundings.open(auth)
        const options = (domain: string, address: string, user: string) => {
          const directTlsPort = tls === 'Direct TLS' ? { directTlsPort: 5270 } : {}
          const place = tls === 'Direct TLS' ? directTlsPort : { port: 5269 }
          surroundings.publish(domain, { address, ...place })
          const users = { [user]: `${user}'s secret` }
          const { dnsPort } = surroundings
          return { domain, address, dnsPort, auth, users, ...directTlsPort, ...surroundings.identity(domain) }
        }
        prosody = new Prosody(options('prosody.example', '127.0.0.11', 'pat'))
        ejabberd = new Ejabberd(options('ejabberd.example', '127.0.0.12', 'eve'))
        await Promise.all([prosody.start(), ejabberd.start()])
        pat = await logIn(prosody, 'pat')
        eve = await logIn(ejabberd, 'eve')
      })

      afterEach(async function () {
        if (this.currentTest?.state === 'failed') console.log(`${await prosody.log()}\n${await ejabberd.log()}`)
      })

      after(async () => {
        await pat?.close()
        await eve?.close()
        await Promise.all([prosody?.remove(), ejabberd?.remove()])
        await surroundings?.close()
      })

      it('carries messages both ways, each stream proved as asked', async () => {
        pat.message(eve.jid, 'from Prosody')
        expect((await eve.nextBody('from Prosody')).attrs.from).to.equal(pat.jid)
        eve.message(pat.jid, 'from ejabberd')
        expect((await pat.nextBody('from ejabberd')).attrs.from).to.equal(eve.jid)
        expect(await prosody.proofs('out', ejabberd.domain)).to.deep.equal([auth])
        expect(await prosody.proofs('in', ejabberd.domain)).to.deep.equal([auth])
        expect(new Set(await ejabberd.proofs('in', prosody.domain))).to.deep.equal(new Set([auth]))
        expect(new Set(await ejabberd.proofs('out', prosody.domain))).to.deep.equal(new Set([auth]))
      })

      it('carries presence and iq both ways', async () => {
        pat.presence({ to: eve.jid }, xml('status', {}, 'here'))
        expect((await eve.nextPresence(pat.jid)).getChildText('status')).to.equal('here')
        eve.presence({ to: pat.jid }, xml('status', {}, 'there'))
        expect((await pat.nextPresence(eve.jid)).getChildText('status')).to.equal('there')
        expect((await pat.ping(eve.jid)).attrs.type).to.equal('result')
        expect((await eve.ping(pat.jid)).attrs.type).to.equal('result')
      })

      it('answers for users that are not there', async () => {
        const error = await pat.nextError(pat.message(`nobody@${ejabberd.domain}`, 'anyone?'))
        expect(error.getChild('error')?.getChild('service-unavailable', stanzasNs)).to.not.equal(undefined)
        const other = await eve.nextError(eve.message(`nobody@${prosody.domain}`, 'anyone?'))
        expect(other.getChild('error')?.getChild('service-unavailable', stanzasNs)).to.not.equal(undefined)
      })

      it('ask the scripted name server, and remember nothing', async () => {
        const { dns } = surroundings
        for (const client of [pat, eve]) {
          surroundings.withdraw('late.example')
          await client.nextError(client.message('someone@late.example', 'too early'))
          surroundings.publish('late.example', { address: '127.0.0.19', port: 5269, directTlsPort: 5270 })
          dns.asked.length = 0
          await retried(async () => {
            // COMPAT ejabberd 23.01: a stanza handed to a connection process that is just ending is lost without a word.
            await succeeds(client.nextError(client.message('someone@late.example', 'nobody listens there'), 2000))
            return dns.asked.some(({ type, name }) => type === 'A' && name === 'xmpp.late.example')
          })
        }
      })

      it('bounces while a peer is down, and delivers when it is back', async () => {
        await prosody.kill()
        await bounced(eve, `pat@${prosody.domain}`)
        await prosody.start()
        pat = await logIn(prosody, 'pat')
        await delivered(eve, pat, 'back')
        await ejabberd.restart()
        eve = await logIn(ejabberd, 'eve')
        await delivered(pat, eve, 'back too')
      })
    })
  }
}

/** Sends until it gets through: a peer that has just failed bounces for up to a second before it tries again. */
async function delivered(from: PeerClient, to: PeerClient, body: string): Promise<void> {
  await retried(() => {
    from.message(to.jid, body)
    return succeeds(to.nextBody(body, 500))
  })
}

/** Sends until it bounces: what is written to a stream whose end has not been noticed yet is lost. */
async function bounced(from: PeerClient, to: string): Promise<void> {
  await retried(() => succeeds(from.nextError(from.message(to, 'lost'), 2000)))
}

async function succeeds(waiting: Promise<unknown>): Promise<boolean> {
  return await waiting.then(
    () => true,
    () => false,
  )
}

async function retried(attempt: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    if (await attempt()) return
    await delay(100)
  }
  throw new Error('tried 20 times')
}
