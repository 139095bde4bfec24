import { expect } from 'chai'
import { ManualClock } from '../../support/manual-clock.js'
import { Fixture, type FixtureOptions, TestAccounts } from './fixture.js'

const { password } = TestAccounts

describe('XIMSS session', () => {
  let fixture: Fixture
  const start = async (options?: FixtureOptions): Promise<Fixture> => (fixture = await Fixture.start(options))
  afterEach(() => fixture.stop())

  describe('requests and responses', () => {
    it('answers with the id of the request, as first attribute', async () => {
      await start()
      const client = await fixture.client()
      client.send('<noop id="a&amp;&quot;&lt;1"/>')
      expect(await client.next()).to.equal('<response id="a&amp;&quot;&lt;1"/>')
    })

    it('takes single quotes, attributes in any order, an XML declaration and white space around', async () => {
      await start()
      const client = await fixture.client()
      client.send("<?xml version='1.0'?>\r\n<noop other='x' id='1' ></noop>\n")
      expect(await client.next()).to.equal('<response id="1"/>')
    })

    it('answers in the order of the requests, however many are sent at once', async () => {
      await start()
      const client = await fixture.client()
      client.sendBytes(Array.from({ length: 20_000 }, (_, i) => `<noop id="${i}"/>\0`).join(''))
      for (let i = 0; i < 20_000; i++) expect(await client.next()).to.equal(`<response id="${i}"/>`)
    })

    it('does not let a quick request overtake a slow one', async () => {
      await start()
      const client = await fixture.client()
      client.send(`<login id="1" authData="olga" password="s3cret&amp;&lt;"/>\0<noop id="2"/>\0<readTime id="3"/>`)
      expect(await client.next()).to.match(/^<session id="1"/)
      expect(await client.next()).to.equal('<response id="1"/>')
      expect(await client.next()).to.equal('<response id="2"/>')
      expect(await client.next()).to.match(/^<currentTime id="3" gmtTime="\d{8}T\d{6}" localTime="\d{8}T\d{6}"\/>$/)
      expect(await client.next()).to.equal('<response id="3"/>')
    })

    it('gives the same answers byte by byte as to the whole', async () => {
      await start()
      const script = '<noop id="é1"/>\0 \0<frob id="2"/>\0<listFeatures id="3"/>\0<noop/>\0<bye id="4"/>\0'
      const whole = await fixture.client()
      const bytewise = await fixture.client()
      whole.sendBytes(script)
      for (const byte of Buffer.from(script)) {
        bytewise.sendBytes(Buffer.of(byte))
        await new Promise(resolve => setImmediate(resolve))
      }
      const answers: string[] = []
      for (let i = 0; i < 6; i++) {
        answers.push(await whole.next())
        expect(await bytewise.next()).to.equal(answers[i])
      }
      await Promise.all([whole.closed, bytewise.closed])
      expect(answers[3]).to.equal('<response id="3"/>')
    })

    it('tells the time spent when asked for', async () => {
      await start({ clock: new ManualClock() })
      const client = await fixture.client()
      client.send('<noop id="1" exeTime="1"/>\0<noop id="2" exeTime="0"/>\0<frob id="3" exeTime="1"/>')
      expect(await client.next()).to.equal('<response id="1" exeTime="0"/>')
      expect(await client.next()).to.equal('<response id="2"/>')
      expect(await client.next()).to.equal('<response id="3" errorText="unknown command" errorNum="500" exeTime="0"/>')
    })

    const failures: [string, string, string][] = [
      ['<frobnicate id="x" depth="3"/>', 'unknown command', '500'],
      ['<constructor id="x"/>', 'unknown command', '500'],
      ['<response id="x"/>', 'unknown command', '500'],
      ['<login id="x"/>', 'missing or illegal parameter: authData', '501'],
      ['<login id="x" authData="olga"/>', 'missing or illegal parameter: password', '501'],
      ['<login id="x" method="CRAM-MD5"/>', 'missing or illegal parameter: method', '501'],
      ['<login id="x" method="PLAIN"/>', 'missing or illegal parameter: method', '501'],
      ['<sendIM id="x" peer="ivo@south.example">x</sendIM>', 'operation requires login', '502'],
      ['<mailboxList id="x"/>', 'operation requires login', '502'],
      ['<signup id="x" userName="eve" password="y"/>', 'operation is not supported by this server', '504'],
      ['<auth id="x" value=""/>', 'request sequence error', '505'],
    ]
    for (const [request, text, number] of failures) {
      it(`before login: ${request} fails with ${number}`, async () => {
        await start()
        const client = await fixture.client()
        client.send(request)
        expect(await client.next()).to.equal(`<response id="x" errorText="${text}" errorNum="${number}"/>`)
        client.send('<noop id="y"/>')
        expect(await client.next()).to.equal('<response id="y"/>')
      })
    }

    it('a request without id fails with 501 and an empty id', async () => {
      await start()
      const client = await fixture.client()
      client.send('<noop/>')
      expect(await client.next()).to.equal(
        '<response id="" errorText="missing or illegal parameter: id" errorNum="501"/>',
      )
    })

    it('after login: what belongs before it fails with 503, what is not served with 504', async () => {
      await start()
      const client = await fixture.client()
      await client.login('olga', password)
      for (const name of ['login', 'starttls', 'listFeatures', 'auth']) {
        expect((await client.request(name))[0]).to.contain('errorNum="503"')
      }
      for (const name of [
        'folderOpen',
        'rosterList',
        'makeCall',
        'callStart',
        'prefsStore',
        'cliExecute',
        'readStrings',
      ]) {
        expect((await client.request(name))[0]).to.contain('errorNum="504"')
      }
      for (const name of ['folder', 'tasks', 'Noop'])
        expect((await client.request(name))[0]).to.contain('errorNum="500"')
    })

    it('answers the service operations', async () => {
      await start()
      const client = await fixture.client()
      await client.login('olga', password)
      expect(await client.request('setSessionOption', { name: 'reportMailboxChanges', value: '1' })).to.have.length(1)
      expect(await client.request('setSessionOption', { name: 'idleTimeout', value: 'soon' })).to.match(
        /errorNum="501"/,
      )
      expect((await client.request('setClientName', { name: 'probe' }))[0]).to.match(/^<response id="c\d"\/>$/)
      expect(await client.request('prefsRead', {}, '<name>Language</name>')).to.match(
        /^<prefs id="c5"\/>,<response id="c5"\/>$/,
      )
    })
  })

  describe('bad input', () => {
    const inputs: [string, string | Buffer][] = [
      ['a tag that does not end', '<noop id="1"'],
      ['a document that does not end', '<noop id="1">'],
      ['no document', 'noop'],
      ['two documents', '<noop id="1"/><noop id="2"/>'],
      ['text behind the document', '<noop id="1"/>x'],
      ['half a tag behind the document', '<noop id="1"/><'],
      ['a document type', '<!DOCTYPE noop><noop id="1"/>'],
      ['an own entity', '<!DOCTYPE n [<!ENTITY e "x">]><noop id="&e;"/>'],
      ['an unknown entity', '<noop id="&nbsp;"/>'],
      ['a comment', '<noop id="1"><!-- x --></noop>'],
      ['a processing instruction', '<?php x?><noop id="1"/>'],
      ['an attribute given twice', '<noop id="1" id="2"/>'],
      ['a zero character as reference', '<noop id="&#0;"/>'],
      ['an undeclared prefix', '<x:noop id="1"/>'],
      ['bytes that are no UTF-8', Buffer.from([0x3c, 0x61, 0x20, 0x69, 0x3d, 0x22, 0xff, 0x22, 0x2f, 0x3e])],
      ['a surrogate in UTF-8', Buffer.from('3c6e20693d22eda080222f3e', 'hex')],
      ['UTF-16', Buffer.from('<noop id="1"/>', 'utf16le')],
    ]
    for (const [what, input] of inputs) {
      it(`${what}: bye and close, after the answers to what came before`, async () => {
        await start()
        const client = await fixture.client()
        client.sendBytes(
          Buffer.concat([Buffer.from('<noop id="0"/>\0'), Buffer.from(input), Buffer.from('\0<noop id="9"/>\0')]),
        )
        expect(await client.next()).to.equal('<response id="0"/>')
        expect(await client.next()).to.match(/^<bye errorText="XML error: [^"]+"\/>$/)
        await client.closed
        expect(await client.next().catch((error: Error) => error.message)).to.contain('closed')
      })
    }

    it('deep nesting and a thousand attributes: bye', async () => {
      await start()
      for (const input of [
        `<noop id="1">${'<a>'.repeat(200)}${'</a>'.repeat(200)}</noop>`,
        `<noop ${Array.from({ length: 1000 }, (_, i) => `a${i}="1"`).join(' ')}/>`,
      ]) {
        const client = await fixture.client()
        client.send(input)
        expect(await client.next()).to.match(/^<bye errorText="XML error: [^"]+"\/>$/)
        await client.closed
      }
    })

    it('ignores a flood of zero bytes and white space', async () => {
      await start()
      const client = await fixture.client()
      client.sendBytes(Buffer.alloc(3_000_000))
      client.send(' \r\n\0<noop id="1"/>')
      expect(await client.next()).to.equal('<response id="1"/>')
    })

    const padded = (size: number): string => `<noop id="1" x="${'y'.repeat(size - 19)}"/>`
    it('64 KiB before login are taken, one byte more is not', async () => {
      await start()
      const fits = await fixture.client()
      fits.send(padded(65_536))
      expect(await fits.next()).to.equal('<response id="1"/>')
      const over = await fixture.client()
      over.send(padded(65_537))
      expect(await over.next()).to.equal('<bye errorText="message too long"/>')
      await over.closed
    })

    it('1 MiB after login is taken, one byte more is not', async () => {
      await start()
      const client = await fixture.client()
      await client.login('olga', password)
      client.send(padded(1_048_576))
      expect(await client.next()).to.equal('<response id="1"/>')
      client.sendBytes(padded(1_048_577))
      expect(await client.next()).to.equal('<bye errorText="message too long"/>')
      await client.closed
    })

    it('discards half a message at the end', async () => {
      await start()
      const client = await fixture.client()
      client.sendBytes('<noop id="1"/>\0<noop id="2"/>')
      client.end()
      expect(await client.next()).to.equal('<response id="1"/>')
      await client.closed
      expect(await client.next().catch((error: Error) => error.message)).to.contain('closed')
    })

    it('answers what was asked by a client that has ended its side already', async () => {
      await start()
      const client = await fixture.client()
      client.send(`<login id="1" authData="olga" password="s3cret&amp;&lt;"/>\0<noop id="2"/>`)
      client.end()
      expect(await client.nextWith('<response')).to.equal('<response id="1"/>')
      expect(await client.next()).to.equal('<response id="2"/>')
      await client.closed
    })
  })

  describe('the end', () => {
    it('bye is answered, then the connection ends', async () => {
      await start()
      const client = await fixture.client()
      client.send('<bye id="1"/>\0<noop id="2"/>')
      expect(await client.next()).to.equal('<response id="1"/>')
      await client.closed
      expect(await client.next().catch((error: Error) => error.message)).to.contain('closed')
    })

    it('no message for 600 s ends it; every message, also one that fails, counts anew', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.client()
      await client.login('olga', password)
      clock.advance(599_999)
      await client.request('frob')
      clock.advance(599_999)
      client.send(' ')
      await client.request('noop')
      clock.advance(599_999)
      await client.request('noop')
      clock.advance(599_999)
      expect(fixture.listener.snapshot()).to.have.length(1)
      clock.advance(1)
      expect(await client.next()).to.equal('<bye errorText="idle for too long"/>')
      await client.closed
    })

    it('what the server sends does not count', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.boundClient()
      clock.advance(599_999)
      fixture.deliverText('still there?')
      expect(await client.next()).to.contain('still there?')
      clock.advance(1)
      expect(await client.next()).to.match(/^<bye/)
    })

    it('a client can ask for a shorter idle time, not for a longer one', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.client()
      await client.login('olga', password)
      await client.request('setSessionOption', { name: 'idleTimeout', value: '60' })
      clock.advance(59_999)
      await client.request('noop')
      clock.advance(59_999)
      expect(fixture.listener.snapshot()).to.have.length(1)
      clock.advance(1)
      expect(await client.next()).to.equal('<bye errorText="idle for too long"/>')
      const patient = await fixture.client()
      await patient.login('olga', password)
      await patient.request('setSessionOption', { name: 'idleTimeout', value: '9999' })
      clock.advance(600_000)
      expect(await patient.next()).to.equal('<bye errorText="idle for too long"/>')
    })

    it('60 s without login end it, whatever else is said', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.client()
      clock.advance(59_000)
      await client.request('noop')
      clock.advance(999)
      await client.request('noop')
      clock.advance(1)
      expect(await client.next()).to.equal('<bye errorText="no login in time"/>')
      await client.closed
    })

    it('a client that does not read is cut off after the write timeout', async () => {
      const clock = new ManualClock()
      await start({ clock, limits: { unsentBytes: 1e9 } })
      const client = await fixture.boundClient()
      client.pause()
      const text = 'x'.repeat(200_000)
      // More than any socket buffer of the system takes.
      for (let i = 0; i < 100; i++) fixture.deliverText(text)
      await new Promise(resolve => setImmediate(resolve))
      clock.advance(29_999)
      expect(fixture.listener.snapshot()).to.have.length(1)
      clock.advance(1)
      await fixture.gone()
      expect(fixture.log.lines.at(-1)?.fields).to.include({ reason: 'client does not read' })
    })

    it('unsent responses are bounded: no further request is taken until the client reads', async () => {
      await start({ limits: { unsentBytes: 100_000 } })
      const client = await fixture.boundClient()
      client.pause()
      const request = `<noop id="${'x'.repeat(100_000)}"/>`
      // More than any socket buffer of the system takes.
      for (let i = 0; i < 200; i++) client.send(request)
      client.send('<noop id="last"/>')
      const answered = (): number => fixture.log.events().filter(event => event === 'ximss-request').length
      for (let before = -1; before !== answered(); ) {
        before = answered()
        for (let i = 0; i < 200; i++) await new Promise(resolve => setImmediate(resolve))
      }
      expect(answered()).to.be.below(200)
      client.resume()
      await client.nextWith('id="last"')
    })

    it('leaves no timer and no route behind', async () => {
      const clock = new ManualClock()
      await start({ clock })
      const client = await fixture.boundClient()
      await client.request('iqSend', { type: 'get', peer: 'ivo@south.example' }, '<vCard xmlns="vcard-temp"/>')
      client.destroy()
      await fixture.gone()
      expect(fixture.routes.rows()).to.deep.equal([])
      expect(clock.waiting).to.equal(0)
    })
  })
})
