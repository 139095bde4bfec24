import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { createLog } from '../../lib/admin/log-sink.js'
import { consequenceOf, type EndKind, refusalOf } from '../../lib/stream/end-reason.js'
import { newStreamId } from '../../lib/stream/stream-header.js'
import { TestAuthority } from '../support/authority.js'
import { auth, base64, header, turns, WireHost, WireServer, type WireServerOptions } from '../support/wire-peer.js'

const LIB = new URL('../../lib/', import.meta.url)

function sources(): { readonly name: string; readonly text: string }[] {
  return readdirSync(LIB, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.generated.ts'))
    .map(name => ({ name, text: readFileSync(new URL(name, LIB), 'utf8') }))
}

describe('attacks on secrets and operation', () => {
  const authority = new TestAuthority()
  let server: WireServer | undefined

  afterEach(async () => {
    await server?.stop()
    server = undefined
  })

  function serve(options: WireServerOptions = {}): WireServer {
    server = new WireServer({ authority, ...options })
    return server
  }

  describe('weak stream ids (CVE-2016-1232)', () => {
    it('128 random bits, a million without a repetition', function () {
      this.timeout(30_000)
      const ids = new Set<string>()
      const bits = new Array<number>(32).fill(0)
      for (let i = 0; i < 1_000_000; i++) {
        const id = newStreamId()
        ids.add(id)
        if (i < 10_000) for (let place = 0; place < 32; place++) bits[place]! |= 1 << Number.parseInt(id[place]!, 16)
      }
      expect(ids.size).to.equal(1_000_000)
      expect(
        bits.every(seen => seen === 0xffff),
        'every digit in every place',
      ).to.equal(true)
    })

    it('no random number that can be guessed makes an id, a key or a secret', () => {
      for (const { name, text } of sources()) {
        for (const line of text.split('\n')) {
          if (/Math\.random/.test(line))
            expect(line, name).to.match(/random(: \(\) => number)? = Math\.random|random: Math\.random/)
        }
      }
    })
  })

  describe('the time of a comparison (CVE-2021-32921)', () => {
    it('no secret is compared but by timingSafeEqual', () => {
      // Names of what is secret, compared by content; comparisons with constants, kinds and lengths are none.
      const secret = String.raw`(?:\w*(?:[tT]oken|[dD]igest|[sS]ecret|[pP]assword|[hH]mac|[sS]toredKey|[sS]erverKey|[cC]lientProof|dialbackKey\([^)]*\)))`
      const compared = new RegExp(
        String.raw`(?:\b${secret}\s*[!=]==?(?!=)(?!\s*(?:undefined\b|null\b|'|\d|typeof\b)))|(?:[!=]==?\s*${secret}(?![\w(]|\.\w))`,
      )
      for (const wrong of [
        'if (token === given)',
        'a.secret !== b',
        'x === dialbackKey(secret, scope)',
        'given == password',
      ]) {
        expect(wrong).to.match(compared)
      }
      const found: string[] = []
      for (const { name, text } of sources()) {
        // Compares what one person has typed twice.
        if (name === 'service/cli/password.ts') continue
        for (const line of text.split('\n')) {
          if (compared.test(line) && !/[!=]==? undefined|typeof/.test(line)) found.push(`${name}: ${line.trim()}`)
          if (/\.(?:equals|compare)\(.*(?:[tT]oken|[dD]igest|[sS]ecret|[pP]assword)/.test(line))
            found.push(`${name}: ${line.trim()}`)
        }
      }
      expect(found).to.deep.equal([])
    })

    it('every module that checks a key or a password uses it', () => {
      const users = sources()
        .filter(({ text }) => text.includes('timingSafeEqual('))
        .map(({ name }) => name)
      expect(users).to.include.members(['negotiation/dialback/key.ts', 'access/sasl/scram.ts', 'store/accounts.ts'])
    })
  })

  it('open relay (CVE-2021-32917, CVE-2026-43504, CVE-2026-43505): foreign to foreign is refused, nobody is dialed', async () => {
    for (const stanza of [
      "<message from='a@peer.example' to='b@third.example'/>",
      "<iq type='get' id='1' from='a@peer.example' to='third.example'><x xmlns='u'/></iq>",
      "<presence from='a@peer.example' to='b@third.example'/>",
    ]) {
      const { network, received } = serve()
      const host = new WireHost(server!, 'third.example')
      const peer = await server!.authenticated()
      await peer.say(stanza)
      await peer.fails('host-unknown')
      expect(network.dialed.size + host.untaken).to.equal(0)
      expect(received).to.deep.equal([])
      await server!.stop()
    }
  })

  describe('logs', () => {
    const SECRET = 'the-dialback-secret-of-this-server'

    async function everything(lines: string[], format: 'json' | 'pretty'): Promise<string[]> {
      const keys: string[] = []
      const log = createLog({ level: 'debug', format, write: line => lines.push(line) })
      const here = serve({ log, secret: SECRET, rules: { strict: false }, domains: ['here.example', 'also.example'] })
      const host = new WireHost(here)
      here.send('b@here.example', 'a@peer.example', 'body-of-a-message-out')
      const out = await host.secured()
      const request = await out.hears('<db:result ', '</db:result>')
      keys.push(/>([0-9a-f]{64})</.exec(request)![1]!)
      await out.say("<db:result from='peer.example' to='here.example' type='valid'/>")
      await out.hears('body-of-a-message-out')
      const peer = await here.authenticated()
      await peer.say("<message from='a@peer.example' to='b@here.example'><body>body-of-a-message-in</body></message>")
      await peer.say(
        "<message from='a@peer.example' to='b@also.example'><body>body-of-a-message-bounced</body></message>",
      )
      await peer.say("<db:verify from='peer.example' to='here.example' id='i'>key-of-a-stranger-1</db:verify>")
      await peer.say("<db:result from='other.example' to='here.example'>key-of-a-stranger-2</db:result>")
      await here.fence(peer)
      const sasl = await here.secured({ from: 'third.example' })
      await sasl.say(auth(base64('sasl-data-of-a-stranger.example')))
      await sasl.hears('<invalid-authzid/>')
      await sasl.say(
        `<message from='x@third.example' to='b@here.example'><body>body-of-a-message-early</body></message>`,
      )
      await sasl.fails('not-authorized')
      const broken = await here.authenticated({ from: 'fourth.example' })
      await broken.say("<message from='a@fourth.example' to='b@here.example'><body>body-of-a-message-broken</wrong>")
      await broken.fails('not-well-formed')
      await turns()
      return keys
    }

    for (const format of ['json', 'pretty'] as const) {
      it(`${format}: keys, secrets, SASL data and bodies appear at no level`, async () => {
        const lines: string[] = []
        const keys = await everything(lines, format)
        const text = lines.join('')
        expect(lines.length).to.be.greaterThan(10)
        for (const never of [
          SECRET,
          ...keys,
          'body-of-a-message',
          'key-of-a-stranger',
          'sasl-data-of-a-stranger',
          base64('sasl-data-of-a-stranger.example'),
        ]) {
          expect(text.includes(never), never).to.equal(false)
        }
      })

      it(`${format}: one event is one line, whatever strangers put into names`, async () => {
        const lines: string[] = []
        const log = createLog({ level: 'debug', format, write: line => lines.push(line) })
        const here = serve({ log })
        const host = new WireHost(here)
        const evil = '&#10;{"level":"error"}&#13;&#9;x\u009b31m\u202eevil'
        const first = here.peer()
        await first.say(header({ from: evil }))
        await first.fails('improper-addressing')
        const peer = await here.secured({}, null)
        await peer.say(`<db:verify from='${evil}' to='${evil}' id='${evil}'>k</db:verify>`)
        await peer.hears("type='error'")
        await peer.say(`<db:result from='${evil}' to='here.example' type='valid'/>`)
        await peer.fails('invalid-from')
        here.send('b@here.example', 'a@peer.example', 'hello')
        const out = await host.accepting()
        await out.hears('hello')
        await out.say(`<db:result from='${evil}' to='${evil}' type='${evil}'/>`)
        await out.fails('invalid-from')
        here.send('b@here.example', 'a@peer.example', 'hello')
        const again = await host.connection()
        await again.hears('<stream:stream ', '>')
        await again.say(
          `${header({ to: null, from: 'peer.example', id: evil })}<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>${evil}</text></stream:error></stream:stream>`,
        )
        await again.closed()
        await turns()
        expect(lines.some(line => line.includes('evil'))).to.equal(true)
        for (const line of lines) {
          expect(line.endsWith('\n'), line).to.equal(true)
          expect(
            /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/.test(line.slice(0, -1)),
            JSON.stringify(line),
          ).to.equal(false)
          if (format === 'json') expect(() => JSON.parse(line)).to.not.throw()
        }
      })
    }
  })

  describe('errors that tell too much', () => {
    it('what senders are told names no domain, host, address, version, stack or path', () => {
      const kinds: readonly EndKind[] = [
        'address',
        'policy',
        'dns',
        'tcp',
        'tls',
        'certificate',
        'stream',
        'sasl',
        'dialback',
        'deadline',
        'overload',
        'cut',
        'idle',
        'shutdown',
        'internal',
      ]
      for (const kind of kinds) {
        for (const detail of [
          '*',
          'exception',
          'no-such-domain',
          'refused',
          'handshake-failed',
          'host-unknown',
          'invalid',
        ]) {
          const { text } = refusalOf({
            kind,
            detail,
            text: 'evil.example at 192.0.2.9: Error: x\n    at /srv/lib/a.js:1',
          })
          expect(text).to.equal(consequenceOf({ kind, detail }).words)
          expect(text).to.match(/^[a-z ,;]+$/i)
          expect(text).to.not.match(/example|\d+\.\d+|Error|node|comity/i)
        }
      }
    })

    it('a bounce holds no word of the remote server', async () => {
      const here = serve()
      const host = new WireHost(here)
      here.send('b@here.example', 'a@peer.example', 'hello')
      const peer = await host.connection()
      await peer.hears('<stream:stream ', '>')
      await peer.say(
        `${header({ to: null, from: 'peer.example', id: 'i' })}<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>ask hidden.example at 192.0.2.77</text></stream:error></stream:stream>`,
      )
      await peer.closed()
      const bounce = (await here.next(({ isError }) => isError)).serialize().toString()
      expect(bounce).to.include('<remote-server-not-found ').and.not.to.include('hidden').and.not.to.include('192.0.2')
    })

    it('a peer is told no more than its own fault: no version, no stack, no path', async () => {
      const here = serve()
      for (const sent of [
        'garbage',
        header({ to: 'x.example' }),
        header({ version: '0.1' }),
        header({ xmlns: 'jabber:client' }),
        '<!-- -->',
        `${header()}<message/>`,
      ]) {
        const peer = here.peer()
        await peer.say(sent)
        const answer = await peer.hears('</stream:stream>')
        expect(answer).to.not.match(/comity|node|\.[jt]s\b|\bat \/|x\.example/i)
      }
    })
  })
})
