import { expect } from 'chai'
import type { PermissionEntry } from '../../lib/policy/permission.js'
import { PermissionGate } from '../../lib/service/permission-gate.js'
import { type Settings, settingsOf } from '../../lib/service/settings.js'
import { TestAuthority } from '../support/authority.js'
import { ManualClock } from '../support/manual-clock.js'
import { ScriptedLog } from '../support/scripted-log.js'
import { auth, header, OFFERS, turns, WireHost, WireServer } from '../support/wire-peer.js'

describe('permission entries and side doors (OF-1188)', () => {
  const authority = new TestAuthority()
  let clock: ManualClock
  let settings: Settings
  let gate: PermissionGate
  let server: WireServer

  beforeEach(() => {
    clock = new ManualClock()
    settings = settingsOf({ 'xmpp.server.certificate.strict-validation': true })
    gate = new PermissionGate({ clock, log: new ScriptedLog(), settings, entries: [] })
    server = new WireServer({
      authority,
      clock,
      domains: ['here.example', 'also.example'],
      gate: (_local, remote, direction) => gate.ask(remote, direction),
    })
    gate.watch(() => {
      server.incoming.reconsider()
      server.outgoing.reconsider()
    })
  })
  afterEach(async () => {
    gate.unwatch()
    await server.stop()
  })

  const entry = (pattern: string, more: Partial<PermissionEntry> = {}): PermissionEntry => ({
    pattern,
    direction: 'both',
    action: 'block',
    demands: {},
    reason: '',
    ...more,
  })
  const set = (...entries: readonly PermissionEntry[]): void => gate.replace(entries)
  const message = (from: string, to: string, id = 'm'): string => `<message from='${from}' to='${to}' id='${id}'/>`
  const proofs = (): string[] => server.proven.map(({ pair, proof, direction }) => `${direction} ${pair} ${proof}`)
  const asksFor = (from: string, to = 'here.example'): string => `<db:result from='${from}' to='${to}'>k</db:result>`

  /** Answers the next question about a key. */
  async function confirm(host: WireHost): Promise<() => Promise<void>> {
    const asked = await host.secured()
    const id = / id='([^']*)'/.exec(await asked.hears('<db:verify ', '</db:verify>'))![1]
    return () => asked.say(`<db:verify from='${host.domain}' to='here.example' id='${id}' type='valid'/>`)
  }

  describe('a domain that is blocked', () => {
    for (const [name, pattern, from] of [
      ['itself', 'peer.example', 'peer.example'],
      ['in another spelling', 'bücher.example', 'XN--BCHER-KVA.example.'],
      ['a sub-domain of it', 'peer.example', 'sub.peer.example'],
      ['by its suffix', '*.example', 'peer.example'],
    ] as const) {
      it(`${name}: its header is refused before and after TLS`, async () => {
        set(entry(pattern))
        const peer = server.peer()
        await peer.say(header({ from }))
        await peer.fails('policy-violation')
        set()
        const later = await server.encrypted({ from }, null)
        set(entry(pattern))
        await later.say(header({ from }))
        await later.fails('policy-violation')
      })
    }

    it('EXTERNAL: a stream that has proven nothing ends with the change', async () => {
      const peer = await server.secured()
      const other = await server.secured({ from: 'other.example' })
      set(entry('peer.example'))
      await peer.fails('policy-violation')
      await other.say(auth('='))
      await other.hears('<success ')
      expect(proofs()).to.deep.equal(['incoming here.example → other.example external'])
    })

    it('dialback: also when the change comes while its authoritative server is asked', async () => {
      const host = new WireHost(server)
      const peer = await server.secured({ from: null }, null)
      await peer.say(asksFor('peer.example'))
      const yes = await confirm(host)
      gate.unwatch()
      set(entry('peer.example', { direction: 'in' }))
      await yes()
      await peer.hears("type='error'", '<policy-violation ')
      expect(proofs()).to.deep.equal([])
      await peer.say(message('a@peer.example', 'b@here.example'))
      await peer.fails('not-authorized')
    })

    it('dialback: the answer of a server that we may not dial any more is not awaited', async () => {
      const host = new WireHost(server)
      const peer = await server.secured({ from: null }, null)
      await peer.say(asksFor('peer.example'))
      await confirm(host)
      set(entry('peer.example', { direction: 'out' }))
      await turns()
      clock.advance(5000)
      await peer.hears("type='error'", '<remote-connection-failed ')
      await peer.say(asksFor('peer.example'))
      await peer.hears("type='error'", '<remote-connection-failed ')
      expect(server.network.dialed.get('peer.example')).to.equal(1)
      expect(proofs()).to.deep.equal([])
    })

    it('a stanza on a live stream: the pair ends with the change, and the stream with its last pair', async () => {
      const peer = await server.authenticated()
      const other = await server.authenticated({ from: 'other.example' })
      set(entry('peer.example'))
      await peer.fails('policy-violation')
      await other.say(message('a@other.example', 'b@here.example'))
      await server.next()
    })

    it('a stanza is refused even where nobody has been told of the change', async () => {
      const peer = await server.authenticated()
      gate.unwatch()
      set(entry('peer.example'))
      await peer.say(message('a@peer.example', 'b@here.example'))
      await peer.fails('policy-violation')
      expect(server.received).to.deep.equal([])
    })

    it('a stream that carries two domains keeps the one that is allowed', async () => {
      const host = new WireHost(server, 'side.example')
      const peer = await server.authenticated()
      gate.replace([entry('side.example', { action: 'allow', demands: { strict: false } })])
      await peer.say(asksFor('side.example'))
      await (await confirm(host))()
      await peer.hears("type='valid'")
      await peer.say(message('a@side.example', 'b@here.example', 'one'))
      await server.next()
      set(entry('side.example'))
      await peer.say(message('a@peer.example', 'b@here.example', 'two'))
      expect((await server.next()).id).to.equal('two')
      await peer.say(message('a@side.example', 'b@here.example', 'three'))
      await peer.fails('invalid-from')
      expect(server.received).to.deep.equal([])
    })

    it('db:verify: it is told nothing', async () => {
      set(entry('blocked.example'))
      const peer = await server.secured({}, null)
      for (const from of ['blocked.example', 'sub.blocked.example']) {
        await peer.say(`<db:verify from='${from}' to='here.example' id='i'>k</db:verify>`)
        await peer.hears("type='error'", '<policy-violation ')
      }
    })

    it('what goes out: the stream ends, what waits and what is sent later is refused', async () => {
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'one')
      const peer = await host.accepting()
      await peer.hears('one')
      set(entry('peer.example'))
      await peer.closed()
      for (const to of ['a@peer.example', 'a@sub.peer.example']) {
        server.send('b@here.example', to, 'two')
        expect(String((await server.next()).element.getChild('error'))).to.include('not-allowed')
      }
      expect(server.network.dialed.size).to.equal(1)
      expect(server.table.rows()).to.deep.equal([])
    })

    it('what goes out: an attempt under way is given up', async () => {
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'one')
      const peer = await host.secured()
      await peer.hears('<db:result ', '</db:result>')
      set(entry('peer.example'))
      expect(String((await server.next()).element.getChild('error'))).to.include('not-allowed')
      await peer.closed()
      expect(proofs()).to.deep.equal([])
    })

    it('one direction alone: stanzas still go the other way', async () => {
      set(entry('peer.example', { direction: 'in' }))
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'one')
      const out = await host.accepting()
      await out.hears('one')
      const peer = server.peer()
      await peer.say(header())
      await peer.fails('policy-violation')
      set(entry('peer.example', { direction: 'out' }))
      await out.closed()
      const again = await server.authenticated()
      await again.say(message('a@peer.example', 'b@here.example'))
      await server.next()
    })
  })

  describe('a whitelist', () => {
    beforeEach(() => {
      settings.apply('xmpp.server.permission', 'whitelist', 'stored')
    })

    it('who is not on it is refused by header, by dialback without one, and is not dialed; who is on it is not', async () => {
      set(entry('peer.example', { action: 'allow' }))
      const stranger = server.peer()
      await stranger.say(header({ from: 'other.example' }))
      await stranger.fails('policy-violation')
      const nameless = await server.secured({ from: null }, null)
      await nameless.say(asksFor('other.example'))
      await nameless.hears("type='error'", '<policy-violation ')
      server.send('b@here.example', 'a@other.example', 'one')
      expect(String((await server.next()).element.getChild('error'))).to.include('not-allowed')
      expect(server.network.dialed.size).to.equal(0)
      const peer = await server.authenticated()
      await peer.say(message('a@peer.example', 'b@here.example'))
      await server.next()
    })

    it('who is on it for a time is cut off when that is over', async () => {
      const expires = new Date(clock.date().getTime() + 60_000)
      set(entry('peer.example', { action: 'allow', expires }))
      const peer = await server.authenticated()
      clock.advance(59_999)
      await peer.say(message('a@peer.example', 'b@here.example'))
      await server.next()
      clock.advance(1)
      await peer.fails('policy-violation')
    })
  })

  it('a block that ends lets a domain in and out again', async () => {
    set(entry('peer.example', { expires: new Date(clock.date().getTime() + 60_000) }))
    const host = new WireHost(server)
    server.send('b@here.example', 'a@peer.example', 'one')
    expect(String((await server.next()).element.getChild('error'))).to.include('not-allowed')
    clock.advance(60_000)
    server.send('b@here.example', 'a@peer.example', 'two')
    await (await host.accepting()).hears('two')
    await server.authenticated()
  })

  it('sub-domains are let in with the setting', async () => {
    set(entry('peer.example'))
    settings.apply('xmpp.server.permission-apply-recursive', false, 'stored')
    await server.authenticated({ from: 'sub.peer.example' })
    settings.apply('xmpp.server.permission-apply-recursive', true, 'stored')
    const peer = server.peer()
    await peer.say(header({ from: 'sub.peer.example' }))
    await peer.fails('policy-violation')
  })

  describe('demands', () => {
    it('proof external: no dialback is offered or taken, live pairs proven by it end, those of a certificate stay', async () => {
      const host = new WireHost(server)
      const peer = await server.secured({}, null)
      await peer.say(asksFor('peer.example'))
      await (await confirm(host))()
      await peer.hears("type='valid'")
      const other = await server.authenticated({ from: 'other.example' })
      set(entry('*', { action: 'allow', demands: { proof: 'external' } }))
      await peer.fails('policy-violation')
      await other.say(message('a@other.example', 'b@here.example'))
      await server.next()
      const again = await server.secured({}, null)
      expect(again.heard).not.to.include('urn:xmpp:features:dialback')
      await again.say(asksFor('peer.example'))
      await again.hears("type='error'", '<policy-violation ')
    })

    it('proof external: our own key is still confirmed to whoever asks for it', async () => {
      set(entry('*', { action: 'allow', demands: { proof: 'external' } }))
      const peer = await server.secured({}, null)
      await peer.say("<db:verify from='peer.example' to='here.example' id='i'>k</db:verify>")
      await peer.hears("type='invalid'")
      settings.apply('xmpp.server.dialback.enabled', false, 'stored')
      await peer.say("<db:verify from='peer.example' to='here.example' id='i'>k</db:verify>")
      await peer.hears("type='error'", '<policy-violation ')
    })

    it('proof dialback: EXTERNAL is not offered, not taken where it was, and live pairs proven by it end', async () => {
      const early = await server.authenticated()
      const midway = await server.secured()
      set(entry('peer.example', { action: 'allow', demands: { proof: 'dialback' } }))
      await early.fails('policy-violation')
      await midway.say(auth('='))
      await midway.hears('<invalid-mechanism/>')
      expect((await server.secured()).heard).not.to.include('EXTERNAL')
      expect(proofs()).to.have.length(1)
    })

    it('proof external on the way out: an established pair proven by dialback ends, and a server without EXTERNAL is not used', async () => {
      const host = new WireHost(server)
      server.send('b@here.example', 'a@peer.example', 'one')
      const peer = await host.accepting()
      await peer.hears('one')
      set(entry('peer.example', { action: 'allow', demands: { proof: 'external' } }))
      await peer.closed()
      server.send('b@here.example', 'a@peer.example', 'two')
      await (await host.secured(OFFERS.dialback)).closed()
      expect((await server.next()).type).to.equal('error')
    })

    it('TLS and certificates: an entry may ask for more or less than the settings, and more counts for live streams too', async () => {
      set(entry('peer.example', { action: 'allow', demands: { tls: 'optional', strict: false } }))
      const host = new WireHost(server)
      const peer = server.peer()
      await peer.say(header())
      await peer.hears('</stream:features>')
      await peer.say(asksFor('peer.example'))
      await (await confirm(host))()
      await peer.hears("type='valid'")
      set(entry('peer.example', { action: 'allow', demands: { tls: 'required' } }))
      await peer.fails('policy-violation')
    })

    it('a stream opened to verify a key under laxer terms is not used when more is asked', async () => {
      set(entry('peer.example', { action: 'allow', demands: { strict: false } }))
      const host = new WireHost(server)
      const peer = await server.secured({ from: null }, null)
      await peer.say(asksFor('peer.example'))
      const asked = await host.encrypted('expired')
      await asked.hears('<stream:stream ', '>')
      await asked.say(
        header({ to: null, from: 'peer.example', id: 'their-id' }) +
          `<stream:features>${OFFERS.dialback}</stream:features>`,
      )
      const id = / id='([^']*)'/.exec(await asked.hears('<db:verify ', '</db:verify>'))![1]
      await asked.say(`<db:verify from='peer.example' to='here.example' id='${id}' type='valid'/>`)
      await peer.hears("type='valid'")
      set()
      await asked.closed()
    })
  })
})
