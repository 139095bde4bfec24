import { expect } from 'chai'
import fc from 'fast-check'
import { writeMessage } from '../../../../lib/access/ximss/data-message.js'
import { readMessage, writeReadIm } from '../../../../lib/access/ximss/translation/message.js'
import { Stanza } from '../../../../lib/stanza/stanza.js'
import { errorReply, StanzaError } from '../../../../lib/stanza/stanza-error.js'
import { childNamed, createElement, textOf } from '../../../../lib/xml/element.js'
import { escapeText } from '../../../../lib/xml/serializer.js'
import { jids, requestOf, stanzaOf } from './request-of.js'

const sent = (text: string): string => readMessage(requestOf(text), jids).serialize().toString()
const shown = (stanza: Stanza, isNewForm = true): string | undefined => {
  const message = writeReadIm(stanza, isNewForm)
  return message === undefined ? undefined : writeMessage(message)
}
const from = jids.parse('ivo@south.example/home')
const to = jids.parse('olga@north.example/desk')

/** What XML can hold, with a liking for what breaks things. */
const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ']]>',
        '&',
        '<',
        '>',
        '"',
        "'",
        '\r\n',
        '\r',
        '\n',
        '\t',
        '&amp;',
        '😀',
        '\u2028',
        '\ud7ff',
        '\ufffd',
        '<body>',
      ),
      fc.string({ unit: 'grapheme', maxLength: 10 }),
    ),
    { maxLength: 10 },
  )
  .map(parts => parts.join('').replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, ''))

describe('XIMSS messages', () => {
  describe('sendIM', () => {
    const table: [string, string][] = [
      [
        `<sendIM id="m1" peer="Ivo@South.example" type="chat">Lunch?</sendIM>`,
        `<message to='ivo@south.example' type='chat'><body>Lunch?</body></message>`,
      ],
      [
        `<sendIM id="m1" peer="ivo@south.example/home" iqid="x1">a</sendIM>`,
        `<message to='ivo@south.example/home' id='x1'><body>a</body></message>`,
      ],
      [
        `<sendIM peer="south.example">a &amp; b</sendIM>`,
        `<message to='south.example'><body>a &amp; b</body></message>`,
      ],
      [`<sendIM peer="a@b.example"> </sendIM>`, `<message to='a@b.example'><body> </body></message>`],
      [
        `<sendIM peer="a@b.example"><composing/></sendIM>`,
        `<message to='a@b.example'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`,
      ],
      [
        `<sendIM peer="a@b.example">\n <gone/>\n</sendIM>`,
        `<message to='a@b.example'><gone xmlns='http://jabber.org/protocol/chatstates'/></message>`,
      ],
      [
        `<sendIM peer="a@b.example">layout<body>b</body><subject>s</subject><thread parent="p">t</thread></sendIM>`,
        `<message to='a@b.example'><body>b</body><subject>s</subject><thread parent='p'>t</thread></message>`,
      ],
      [
        `<sendIM peer="a@b.example"><body xml:lang="de">b</body></sendIM>`,
        `<message to='a@b.example'><body xml:lang='de'>b</body></message>`,
      ],
      [
        `<sendIM peer="a@b.example">b<request xmlns="urn:xmpp:receipts"/><unknown/></sendIM>`,
        `<message to='a@b.example'><body>b</body><request xmlns='urn:xmpp:receipts'/></message>`,
      ],
      [
        `<sendIM xmlns:p="urn:p" peer="a@b.example">b<x xmlns="urn:x"><y xmlns=""/><p:z p:a="1"/></x></sendIM>`,
        `<message to='a@b.example'><body>b</body><x xmlns='urn:x'><y xmlns=''/><p:z xmlns:p='urn:p' p:a='1'/></x></message>`,
      ],
      [
        `<sendIM peer="a@b.example">b<error xmlns="jabber:client"/></sendIM>`,
        `<message to='a@b.example'><body>b</body></message>`,
      ],
    ]
    for (const [request, stanza] of table) {
      it(`${request.replaceAll('\n', '⏎')} is ${stanza}`, () => expect(sent(request)).to.equal(stanza))
    }

    const refused: [string, string][] = [
      ['<sendIM>x</sendIM>', 'peer'],
      ['<sendIM peer="">x</sendIM>', 'peer'],
      ['<sendIM peer="a@b@c">x</sendIM>', 'peer'],
      ['<sendIM peer="@south.example">x</sendIM>', 'peer'],
      ['<sendIM peer="ivo@south.example/">x</sendIM>', 'peer'],
      ['<sendIM peer="ivo@south.example" type="error">x</sendIM>', 'type'],
      ['<sendIM peer="ivo@south.example" type="">x</sendIM>', 'type'],
      ['<sendIM peer="ivo@south.example"/>', 'body'],
      ['<sendIM peer="ivo@south.example"><unknown/></sendIM>', 'body'],
    ]
    for (const [request, name] of refused) {
      it(`${request} fails with 501 naming ${name}`, () => {
        expect(() => sent(request))
          .to.throw(`missing or illegal parameter: ${name}`)
          .with.property('number', 501)
      })
    }

    it('the sender is not for the client to choose, and the id of the request goes nowhere', () => {
      const text = sent(
        '<sendIM id="secret-id" from="eve@north.example" clientID="eve" peer="ivo@south.example">x</sendIM>',
      )
      expect(text).to.equal(`<message to='ivo@south.example'><body>x</body></message>`)
    })
  })

  describe('text', () => {
    it('of sendIM reaches the stanza unchanged', () => {
      fc.assert(
        fc.property(anyText, text => {
          fc.pre(text !== '')
          const stanza = readMessage(requestOf(`<sendIM peer="a@b.example">${escapeText(text)}</sendIM>`), jids)
          expect(stanza.textOf('body')).to.equal(text)
        }),
      )
    })

    for (const isNewForm of [true, false]) {
      it(`of a stanza reaches readIM unchanged, ${isNewForm ? 'new' : 'old'} form`, () => {
        fc.assert(
          fc.property(anyText, text => {
            const stanza = Stanza.build('message', { from, to }, [createElement('body', {}, text)])
            const { element } = requestOf(shown(stanza, isNewForm) ?? '')
            const told = isNewForm ? childNamed(element, 'body', '') : element
            expect(told && textOf(told)).to.equal(text)
          }),
        )
      })
    }

    it('goes from client to client unchanged, over the wire form of the stanza', () => {
      fc.assert(
        fc.property(anyText, text => {
          fc.pre(text !== '')
          const stanza = readMessage(
            requestOf(`<sendIM peer="a@b.example" iqid="&lt;1>"><body>${escapeText(text)}</body></sendIM>`),
            jids,
          )
          const arrived = stanzaOf(stanza.serialize().toString())
          const read = requestOf(shown(arrived) ?? '')
          expect(read.attribute('iqid')).to.equal('<1>')
          expect(textOf(childNamed(read.element, 'body', '')!)).to.equal(text)
        }),
      )
    })

    it('U+0000 gets in by no way', () => {
      for (const text of [
        '<sendIM peer="a@b.example">&#0;</sendIM>',
        '<sendIM peer="a@b.example">&#x0;</sendIM>',
        '<sendIM peer="a@b.example">\0</sendIM>',
      ]) {
        expect(() => requestOf(text)).to.throw()
      }
    })
  })

  describe('readIM', () => {
    const table: [string, string | undefined, string | undefined][] = [
      [
        `<message from='ivo@south.example/home' type='chat' id='x19'><body>Yes</body></message>`,
        `<readIM peer="ivo@south.example" clientID="home" type="chat" iqid="x19"><body>Yes</body></readIM>`,
        `<readIM peer="ivo@south.example" clientID="home" type="chat" iqid="x19">Yes</readIM>`,
      ],
      [
        `<message from='south.example'><subject>s</subject><body>b</body><x xmlns='urn:x'><message xmlns='jabber:client'/></x></message>`,
        `<readIM peer="south.example"><body>b</body><subject>s</subject><x xmlns="urn:x"><message xmlns="jabber:client"/></x></readIM>`,
        `<readIM peer="south.example">b</readIM>`,
      ],
      [
        `<message from='ivo@south.example'><composing xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/></message>`,
        `<readIM peer="ivo@south.example"><composing/></readIM>`,
        `<readIM peer="ivo@south.example"><composing/></readIM>`,
      ],
      [
        `<message from='ivo@south.example'><active xmlns='http://jabber.org/protocol/chatstates'/><body>b</body></message>`,
        `<readIM peer="ivo@south.example"><body>b</body></readIM>`,
        `<readIM peer="ivo@south.example">b</readIM>`,
      ],
      [
        `<message from='ivo@south.example'><received xmlns='urn:xmpp:receipts' id='1'/></message>`,
        `<readIM peer="ivo@south.example"><received xmlns="urn:xmpp:receipts" id="1"/></readIM>`,
        undefined,
      ],
      [`<message from='ivo@south.example'/>`, undefined, undefined],
      [
        `<message from='ivo@south.example'><composing xmlns='urn:other'/></message>`,
        `<readIM peer="ivo@south.example"><composing xmlns="urn:other"/></readIM>`,
        undefined,
      ],
    ]
    for (const [stanza, newForm, oldForm] of table) {
      it(`${stanza}`, () => {
        expect(shown(stanzaOf(stanza), true)).to.equal(newForm)
        expect(shown(stanzaOf(stanza), false)).to.equal(oldForm)
      })
    }

    it('RFC 6120 §8.3: of an error tells condition and words, in both forms', () => {
      const failed = Stanza.build('message', { from: to, to: from, id: 'x1' }, [
        createElement('body', {}, 'private words'),
      ])
      const stanza = errorReply(failed, new StanzaError('remote-server-not-found', { text: 'no "SRV" record' }))
      const attributes =
        'peer="ivo@south.example" clientID="home" type="error" iqid="x1" ' +
        'errorText="remote server not found: no &quot;SRV&quot; record" errorCondition="remote-server-not-found"'
      const words = 'message not delivered: remote server not found: no "SRV" record'
      expect(shown(stanza, true)).to.equal(`<readIM ${attributes}><body>${words}</body></readIM>`)
      expect(shown(stanza, false)).to.equal(`<readIM ${attributes}>${words}</readIM>`)
    })

    it('of an error that says nothing tells undefined-condition', () => {
      expect(shown(stanzaOf(`<message from='ivo@south.example' type='error'><body>mine</body></message>`))).to.equal(
        '<readIM peer="ivo@south.example" type="error" errorText="undefined condition" errorCondition="undefined-condition">' +
          '<body>message not delivered: undefined condition</body></readIM>',
      )
    })

    it('a text without failure holds no word "error"', () => {
      const stanza = Stanza.build('message', { from, to, type: 'chat', id: '1' }, [createElement('body', {}, 'x')])
      expect(shown(stanza)).not.to.match(/error/i)
    })
  })
})
