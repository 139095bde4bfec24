import { expect } from 'chai'
import type { Congestion } from '../../../lib/stanza/route.js'
import { Stanza } from '../../../lib/stanza/stanza.js'
import { errorReply, StanzaError } from '../../../lib/stanza/stanza-error.js'
import { createElement } from '../../../lib/xml/element.js'
import { ManualClock } from '../../support/manual-clock.js'
import { body, Fixture, type FixtureOptions, jid, TestAccounts } from './fixture.js'

const { password } = TestAccounts
const ivo = jid('ivo@south.example/home')
const desk = jid('olga@north.example/desk')
const ok = /^<response id="c\d+"\/>$/

describe('XIMSS real-time traffic', () => {
  let fixture: Fixture
  const start = async (options?: FixtureOptions): Promise<Fixture> => (fixture = await Fixture.start(options))
  afterEach(() => fixture.stop())
  const resources = () => [...fixture.routes.resources(desk.bare)]
  const message = (to = desk, text = 'Yes'): Stanza =>
    Stanza.build('message', { from: ivo, to, type: 'chat' }, [body(text)])

  describe('binding', () => {
    it('a session that never bound takes messages from login on, but no presence and no IQ requests', async () => {
      await start()
      const client = await fixture.client()
      await client.login('olga', password)
      const [resource] = resources()
      expect([resource?.wantsMessages, resource?.wantsPresence]).to.deep.equal([true, false])
      fixture.deliver(message(resource?.jid))
      expect(await client.next()).to.equal(
        '<readIM peer="ivo@south.example" clientID="home" type="chat"><body>Yes</body></readIM>',
      )
      const refusal = fixture.deliver(Stanza.build('iq', { from: ivo, to: resource?.jid, id: '1', type: 'get' }, []))
      expect(refusal?.condition).to.equal('service-unavailable')
    })

    it('signalBind says what it takes; a second one replaces the first', async () => {
      await start()
      const client = await fixture.client()
      await client.login('olga', password)
      const wants = async (attributes: Record<string, string>): Promise<unknown[]> => {
        expect((await client.request('signalBind', attributes, '<sdp/>'))[0]).to.match(ok)
        return resources().map(resource => [resource.wantsMessages, resource.wantsPresence])
      }
      expect(await wants({ presence: 'yes' })).to.deep.equal([[false, true]])
      expect(await wants({ readIM: '1' })).to.deep.equal([[true, false]])
      expect(await wants({ readIM: '0', presence: 'no' })).to.deep.equal([[false, false]])
      expect(await wants({ readIM: 'true', presence: 'YES' })).to.deep.equal([[true, true]])
    })

    it('signalUnbind takes part in nothing any more, and says so', async () => {
      await start()
      const client = await fixture.boundClient()
      await client.request('presenceSet', {}, '<presence>online</presence>')
      await client.request('signalUnbind')
      expect(resources().map(resource => [resource.wantsMessages, resource.wantsPresence])).to.deep.equal([
        [false, false],
      ])
      expect(fixture.told.map(stanza => stanza.type)).to.deep.equal([undefined, 'unavailable'])
    })

    it('clientID becomes the resource; a clash gets a suffix; what is none fails', async () => {
      await start()
      await fixture.boundClient()
      const second = await fixture.boundClient()
      const names = resources().map(({ jid }) => jid.resource)
      expect(names).to.have.length(2).and.include('desk')
      expect(names.find(name => name !== 'desk')).to.match(/^desk-[0-9a-f]+$/)
      await second.request('signalBind', { clientID: 'desk' })
      expect(resources().map(({ jid }) => jid.resource)).to.deep.equal(names)
      expect((await second.request('signalBind', { clientID: 'x'.repeat(2000) }))[0]).to.contain('parameter: clientID')
      expect(resources()).to.have.length(2)
    })

    it('another clientID: the old resource leaves, the new one is as available as it was', async () => {
      await start()
      const client = await fixture.boundClient()
      await client.request('presenceSet', {}, '<presence>away</presence>')
      await client.request('presenceSet', { peer: 'ada@west.example' }, '<presence>online</presence>')
      await client.request('signalBind', { clientID: 'sofa', readIM: '1' })
      expect(resources().map(({ jid, priority }) => `${jid.resource} ${priority}`)).to.deep.equal(['sofa 0'])
      expect(fixture.told.map(({ from, type }) => `${from?.resource} ${type}`)).to.deep.equal([
        'desk undefined',
        'desk unavailable',
        'sofa undefined',
      ])
      expect(fixture.sent.map(({ from, to, type }) => `${from?.resource} ${type} ${to}`)).to.deep.equal([
        'desk undefined ada@west.example',
        'desk unavailable ada@west.example',
      ])
    })
  })

  describe('messages', () => {
    it('are stamped with the session, in the order of the requests', async () => {
      await start()
      const client = await fixture.boundClient()
      for (let i = 0; i < 100; i++)
        client.send(`<sendIM id="${i}" from="eve@x.example" clientID="eve" peer="ivo@south.example">${i}</sendIM>`)
      await client.nextWith('id="99"')
      expect(fixture.sent.map(stanza => stanza.textOf('body'))).to.deep.equal(
        Array.from({ length: 100 }, (_, i) => `${i}`),
      )
      expect(new Set(fixture.sent.map(stanza => stanza.from?.toString()))).to.deep.equal(new Set([desk.toString()]))
    })

    it('arrive in order', async () => {
      await start()
      const client = await fixture.boundClient()
      for (let i = 0; i < 100; i++) fixture.deliverText(`${i}`)
      for (let i = 0; i < 100; i++) expect(await client.next()).to.contain(`<body>${i}</body>`)
    })

    for (const [version, form] of [
      ['6.1', '<body>Yes</body>'],
      ['6.2', '<body>Yes</body>'],
      ['10.0', '<body>Yes</body>'],
      ['7', '<body>Yes</body>'],
      ['6.0', 'Yes'],
      ['6', 'Yes'],
      ['5.4', 'Yes'],
      ['', 'Yes'],
      ['newest', 'Yes'],
    ] as const) {
      it(`version "${version}" gets ${form}`, async () => {
        await start()
        const client = await fixture.boundClient(version)
        fixture.deliver(message())
        expect(await client.next()).to.equal(
          `<readIM peer="ivo@south.example" clientID="home" type="chat">${form}</readIM>`,
        )
      })
    }

    it('a wrong peer fails with 501 and is not sent', async () => {
      await start()
      const client = await fixture.boundClient()
      const [answer] = await client.request('sendIM', { peer: 'no address@@' }, 'x')
      expect(answer).to.contain('errorText="missing or illegal parameter: peer" errorNum="501"')
      expect(fixture.sent).to.deep.equal([])
    })

    it('a later failure comes once, as asynchronous readIM of type error', async () => {
      await start()
      const client = await fixture.boundClient()
      expect((await client.request('sendIM', { peer: 'ivo@nowhere.example', iqid: 'x1' }, 'x'))[0]).to.match(ok)
      fixture.deliver(errorReply(fixture.sent[0]!, new StanzaError('remote-server-not-found')))
      expect(await client.next()).to.match(/^<readIM peer="ivo@nowhere.example" type="error" iqid="x1" /)
    })

    it('wait for their response, and the requests behind them wait too, while the way is full', async () => {
      const relief: (() => void)[] = []
      const congestion: Congestion = { onRelief: resume => relief.push(resume) }
      const taken: string[] = []
      await start({
        services: {
          route: stanza => {
            taken.push(stanza.textOf('body') ?? '')
            return taken.length === 1 ? congestion : undefined
          },
        },
      })
      const client = await fixture.boundClient()
      client.send(
        '<sendIM id="1" peer="a@b.example">1</sendIM>\0<sendIM id="2" peer="a@b.example">2</sendIM>\0<noop id="3"/>',
      )
      while (relief.length === 0) await new Promise(resolve => setImmediate(resolve))
      expect(fixture.listener.snapshot()[0]?.status).to.equal('sendIM')
      expect(taken).to.deep.equal(['1'])
      relief[0]?.()
      expect(await client.next()).to.equal('<response id="1"/>')
      expect(await client.next()).to.equal('<response id="2"/>')
      expect(await client.next()).to.equal('<response id="3"/>')
      expect(taken).to.deep.equal(['1', '2'])
    })
  })

  describe('while a request waits', () => {
    const congested = async (): Promise<{ relief: (() => void)[] }> => {
      const relief: (() => void)[] = []
      const route = (): Congestion => ({ onRelief: resume => relief.push(resume) })
      await start({ clock: new ManualClock(), services: { route } })
      return { relief }
    }

    it('nothing more is read than what came with it', async () => {
      const { relief } = await congested()
      const client = await fixture.boundClient()
      client.send('<sendIM id="1" peer="a@b.example">1</sendIM>')
      while (relief.length === 0) await new Promise(resolve => setImmediate(resolve))
      // More than the buffers of the system hold.
      client.sendBytes(`<noop id="x" y="${'z'.repeat(100_000)}"/>\0`.repeat(300))
      for (let turn = 0; turn < 300; turn++) await new Promise(resolve => setImmediate(resolve))
      expect(client.unsentBytes).to.be.greaterThan(0)
      relief[0]?.()
      expect(await client.next()).to.equal('<response id="1"/>')
      for (let i = 0; i < 300; i++) expect(await client.next()).to.equal('<response id="x"/>')
    })

    it('the connection can be ended all the same', async () => {
      const { relief } = await congested()
      const client = await fixture.boundClient()
      client.send('<sendIM id="1" peer="a@b.example">1</sendIM>')
      while (relief.length === 0) await new Promise(resolve => setImmediate(resolve))
      client.send('<noop id="2"/>')
      fixture.listener.sessions.close(1)
      expect(await client.next()).to.match(/^<bye/)
      await client.closed
      await fixture.gone()
      relief[0]?.()
    })
  })

  describe('presence', () => {
    it('goes to the contacts, with the session as sender', async () => {
      await start()
      const client = await fixture.boundClient()
      await client.request('presenceSet', {}, '<presence>busy</presence><status>counting</status>')
      expect(fixture.told.map(stanza => stanza.serialize().toString())).to.deep.equal([
        `<presence from='olga@north.example/desk'><show>dnd</show><status>counting</status></presence>`,
      ])
      client.destroy()
      await fixture.gone()
      expect(fixture.told.at(-1)?.serialize().toString()).to.equal(
        `<presence from='olga@north.example/desk' type='unavailable'/>`,
      )
    })

    it('offline ends availability and keeps the session', async () => {
      await start()
      const client = await fixture.boundClient()
      await client.request('presenceSet', {}, '<presence>online</presence>')
      await client.request('presenceSet', {}, '<presence>offline</presence>')
      expect(resources().map(({ priority }) => priority)).to.deep.equal([undefined])
      expect(await client.request('noop')).to.have.length(1)
    })

    it('RFC 6121 §4.6.3: whoever saw directed presence hears of the end, however it comes', async () => {
      await start()
      const client = await fixture.boundClient()
      await client.request('presenceSet', { peer: 'ada@west.example' }, '<presence>online</presence>')
      client.destroy()
      await fixture.gone()
      expect(fixture.sent.map(stanza => stanza.serialize().toString())).to.deep.equal([
        `<presence from='olga@north.example/desk' to='ada@west.example'/>`,
        `<presence from='olga@north.example/desk' to='ada@west.example' type='unavailable'/>`,
      ])
    })

    it('a subscription request passes, from account to account', async () => {
      await start()
      const client = await fixture.boundClient()
      await client.request('presenceSet', { peer: 'ivo@south.example/home', type: 'subscribe' })
      expect(fixture.sent.map(stanza => stanza.serialize().toString())).to.deep.equal([
        `<presence from='olga@north.example' to='ivo@south.example' type='subscribe'/>`,
      ])
      fixture.deliver(Stanza.build('presence', { from: ivo.bare, to: desk, type: 'subscribed' }, []))
      expect(await client.next()).to.equal('<presence peer="ivo@south.example" type="subscribed"/>')
    })
  })

  describe('IQ', () => {
    const vCard = '<vCard xmlns="vcard-temp"/>'

    it('a request is answered by iqRead, asynchronously', async () => {
      await start()
      const client = await fixture.boundClient()
      expect(
        (await client.request('iqSend', { type: 'get', peer: 'ivo@south.example', iqid: 'v7' }, vCard))[0],
      ).to.match(ok)
      const answer = { from: ivo.bare, to: desk, id: 'v7', type: 'result' }
      fixture.deliver(Stanza.build('iq', answer, [createElement('vCard', { xmlns: 'vcard-temp' })]))
      expect(await client.next()).to.equal(`<iqRead peer="ivo@south.example" type="result" iqid="v7">${vCard}</iqRead>`)
    })

    it('RFC 6120 §10.3.3: without peer it is for the own account', async () => {
      await start()
      const client = await fixture.boundClient()
      await client.request('iqSend', { type: 'get', iqid: 'v7' }, vCard)
      expect(fixture.sent[0]?.to?.toString()).to.equal('olga@north.example')
      fixture.deliver(Stanza.build('iq', { from: desk.bare, to: desk, id: 'v7', type: 'result' }, []))
      expect(await client.next()).to.match(/^<iqRead peer="olga@north.example" type="result"/)
    })

    it('no answer in 30 s: iqRead of type error with remote-server-timeout', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.boundClient()
      await client.request('iqSend', { type: 'get', peer: 'ivo@south.example', iqid: 'v7' }, vCard)
      clock.advance(30_000)
      expect(await client.next()).to.match(
        /^<iqRead peer="ivo@south.example" type="error" iqid="v7" errorText="remote server timeout" errorCondition="remote-server-timeout">/,
      )
    })

    it('a request for this session is shown and answered by iqSend', async () => {
      await start()
      const client = await fixture.boundClient()
      const request = Stanza.build('iq', { from: ivo, to: desk, id: 'p1', type: 'get' }, [
        createElement('ping', { xmlns: 'urn:xmpp:ping' }),
      ])
      expect(fixture.deliver(request)).to.equal(undefined)
      expect(await client.next()).to.equal(
        '<iqRead peer="ivo@south.example/home" clientID="home" type="get" iqid="p1"><ping xmlns="urn:xmpp:ping"/></iqRead>',
      )
      await client.request('iqSend', { type: 'result', peer: 'ivo@south.example/home', iqid: 'p1' })
      expect(fixture.sent.map(stanza => stanza.serialize().toString())).to.deep.equal([
        `<iq from='olga@north.example/desk' to='ivo@south.example/home' id='p1' type='result'/>`,
      ])
    })

    it('one that is not answered in 30 s, or before the session ends, is refused', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.boundClient()
      const request = (id: string): Stanza => Stanza.build('iq', { from: ivo, to: desk, id, type: 'get' }, [])
      fixture.deliver(request('1'))
      clock.advance(30_000)
      expect(fixture.refused.map(({ stanza, refusal }) => `${stanza.id} ${refusal.condition}`)).to.deep.equal([
        '1 service-unavailable',
      ])
      fixture.deliver(request('2'))
      client.destroy()
      await fixture.gone()
      expect(fixture.refused.map(({ stanza }) => stanza.id)).to.deep.equal(['1', '2'])
    })

    it('too many open ones fail with 551', async () => {
      await start()
      const client = await fixture.boundClient()
      for (let i = 0; i < 257; i++)
        client.send(`<iqSend id="${i}" type="get" peer="a@b.example" iqid="${i}">${vCard}</iqSend>`)
      expect(await client.nextWith('id="255"')).to.equal('<response id="255"/>')
      expect(await client.next()).to.equal('<response id="256" errorText="too many requests" errorNum="551"/>')
    })
  })
})
