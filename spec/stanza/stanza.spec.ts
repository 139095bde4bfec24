import { expect } from 'chai'
import * as fc from 'fast-check'
import { Jids } from '../../lib/stanza/jid.js'
import { Stanza, type StanzaDefect } from '../../lib/stanza/stanza.js'
import { attributeOf, childrenOf, createElement, namespaceOf, textOf, toElement } from '../../lib/xml/element.js'
import { NS_CLIENT, NS_SERVER } from '../../lib/xml/namespaces.js'
import { elementTokens, HEADER, readEveryWay } from '../xml/tokens.js'
import { meaning, xmlElements } from '../xml/trees.js'

const jids = new Jids()
const jid = (text: string) => jids.parse(text)!
const WIDE_HEADER = HEADER.replace('>', " xmlns:p='u' xmlns:q='v' xmlns:s='jabber:server'>")

function taken(text: string, header = WIDE_HEADER): Stanza | { readonly defect: StanzaDefect } {
  return Stanza.fromToken(elementTokens(text, header)[0]!, jids)
}

function stanzaOf(text: string, header = WIDE_HEADER): Stanza {
  const stanza = taken(text, header)
  if ('defect' in stanza) throw new Error(stanza.defect)
  return stanza
}

/** Puts a stanza on a stream of that content namespace and reads it there. */
function passedOn(stanza: Stanza, namespace: string): Stanza {
  const header = `<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='${namespace}'>`
  return stanzaOf(stanza.serialize().toString(), header)
}

const asOne = (namespace: string): string => (namespace === NS_SERVER ? NS_CLIENT : namespace)

describe('Stanza', () => {
  it('RFC 6120 §8.1: the common attributes are read, the others kept', () => {
    const stanza = stanzaOf(
      "<message to='A@b.example/c' from='d.example' id='&lt;1' type='chat' xml:lang='de' x='y' p:to='z' xmlns:t='w' t:a='b'/>",
    )
    expect([stanza.kind, `${stanza.to}`, `${stanza.from}`, stanza.id, stanza.type, stanza.lang]).to.deep.equal([
      'message',
      'a@b.example/c',
      'd.example',
      '<1',
      'chat',
      'de',
    ])
    expect(stanza.extra.map(({ name, namespace, value }) => [name, namespace, value])).to.deep.equal([
      ['x', '', 'y'],
      ['to', 'u', 'z'],
      ['a', 'w', 'b'],
    ])
    expect(meaning(passedOn(stanza, NS_CLIENT).element)).to.deep.equal(meaning(stanza.element))
  })

  const defects: Readonly<Record<string, StanzaDefect>> = {
    '<foo/>': 'not-a-stanza',
    "<message xmlns='jabber:client'/>": 'not-a-stanza',
    "<message xmlns=''/>": 'not-a-stanza',
    "<message xmlns='urn:other'/>": 'not-a-stanza',
    '<db:message/>': 'not-a-stanza',
    "<s:message xmlns:s='urn:other'/>": 'not-a-stanza',
    "<message to=''/>": 'improper-addressing',
    "<message to='@'/>": 'improper-addressing',
    "<iq from='a@b@c.example'/>": 'improper-addressing',
  }
  for (const [text, defect] of Object.entries(defects)) {
    it(`RFC 6120 §4.8.2, §8.1: ${text} is ${defect}`, () => {
      expect(taken(text)).to.deep.equal({ defect })
    })
  }

  it('RFC 6120 §4.8.5: a stanza may be prefixed, its namespace counts', () => {
    const stanza = stanzaOf("<s:message><s:body>x</s:body><body xmlns='u'/></s:message>")
    expect(stanza.inner.toString()).to.equal("<body>x</body><body xmlns='u'/>")
    expect(stanza.textOf('body')).to.equal('x')
  })

  it('portable stanzas share the bytes that came', () => {
    const [token] = elementTokens("<message><body>&#120;</body><x xmlns='u'/></message>")
    const stanza = Stanza.fromToken(token!, jids)
    if ('defect' in stanza) throw new Error(stanza.defect)
    expect(stanza.inner).to.equal(token!.inner)
    expect(stanza.withTo(jid('b.example')).inner).to.equal(token!.inner)
  })

  it('RFC 6120 §4.8.3: the content namespaces are one, at every depth', () => {
    const stanza = stanzaOf(
      "<message><s:body>x</s:body><f xmlns='urn:xmpp:forward:0'><s:message><body xmlns='jabber:client'/></s:message></f></message>",
    )
    expect(stanza.inner.toString()).to.equal(
      "<body>x</body><f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body/></message></f>",
    )
  })

  it('both ways through give the same document: as bytes, and through the tree', () => {
    let byBytes = 0
    fc.assert(
      fc.property(xmlElements, text => {
        const [token] = elementTokens(`<message>${text}</message>`, WIDE_HEADER)
        const expected = meaning(toElement(token!), asOne)
        if (token!.portable) byBytes++
        for (const portable of new Set([token!.portable, false])) {
          const stanza = Stanza.fromToken({ ...token!, portable }, jids)
          if ('defect' in stanza) throw new Error(stanza.defect)
          expect(meaning(stanza.element, asOne)).to.deep.equal(expected)
          for (const namespace of [NS_SERVER, NS_CLIENT]) {
            expect(meaning(passedOn(stanza, namespace).element, asOne)).to.deep.equal(expected)
          }
        }
      }),
      { numRuns: 300 },
    )
    expect(byBytes).to.be.above(30)
  })

  it('RFC 6120 §13.12: a namespace of the stream repeated by every child does not blow the stanza up', () => {
    const long = 'n'.repeat(20_000)
    const header = HEADER.replace('>', ` xmlns:p='${long}'>`)
    for (const text of [
      `<message>${'<p:x/>'.repeat(10_000)}</message>`,
      `<message><s:x xmlns:s='jabber:server' xmlns='${long}'>${'<x/>'.repeat(10_000)}</s:x></message>`,
    ]) {
      expect(taken(text, header)).to.deep.equal({ defect: 'excessive-namespaces' })
    }
    expect(taken(`<message><p:y>${'<p:x/>'.repeat(10_000)}</p:y></message>`, header)).to.be.instanceOf(Stanza)
  })

  it('RFC 6120 §11.1: whatever its attributes hold, a stanza stays one element', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('message', 'presence', 'iq'), (evil, kind) => {
        const made = Stanza.build(kind, { to: jid("a@b.example/'><&"), id: evil, type: evil, lang: evil }, [
          createElement('body', { a: evil }, evil),
          evil,
        ])
        const [header, element, more] = readEveryWay(`${HEADER}${made.serialize()}`)
        expect([header?.kind, element?.kind, more]).to.deep.equal(['header', 'element', undefined])
        expect(made.size).to.equal(made.serialize().length)
        const again = passedOn(made, NS_SERVER)
        expect(again.to).to.equal(made.to)
        expect(again.id === evil || /[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(evil)).to.equal(true)
      }),
      { numRuns: 100 },
    )
  })

  it('built children without namespace are in the content namespace; strings are text', () => {
    const stanza = Stanza.build('message', {}, [
      createElement('body', {}, '<x/>'),
      createElement('y', { xmlns: 'u' }),
      ' & ',
    ])
    expect(stanza.serialize().toString()).to.equal("<message><body>&lt;x/&gt;</body><y xmlns='u'/> &amp; </message>")
    expect(childrenOf(stanza.element).map(namespaceOf)).to.deep.equal([NS_CLIENT, 'u'])
    expect(stanza.textOf('body')).to.equal('<x/>')
    expect(stanza.textOf('subject')).to.equal(undefined)
    expect(stanza.childNamed('y', 'u')).to.not.equal(undefined)
    expect(stanza.childNamed('y')).to.equal(undefined)
  })

  it('children of one stanza may be put into another', () => {
    const first = stanzaOf('<message><body>x</body></message>')
    const second = Stanza.build('message', {}, childrenOf(first.element))
    expect(second.serialize().toString()).to.equal('<message><body>x</body></message>')
  })

  it('a stanza is readdressed without touching the old one', () => {
    const [a, b] = [jid('a@a.example'), jid('b@b.example')]
    const stanza = Stanza.build('iq', { from: a, id: '1', type: 'get', lang: 'de' }, [
      createElement('q', { xmlns: 'u' }),
    ])
    const other = stanza.readdressed({ from: b, to: a })
    expect(other.serialize().toString()).to.equal(
      "<iq from='b@b.example' to='a@a.example' id='1' type='get' xml:lang='de'><q xmlns='u'/></iq>",
    )
    expect([stanza.from, stanza.to]).to.deep.equal([a, undefined])
    expect(stanza.readdressed({ from: a })).to.equal(stanza)
    expect(other.withFrom(a).from).to.equal(a)
    expect(attributeOf(other.element, 'xml:lang')).to.equal('de')
    expect(textOf(other.element)).to.equal('')
  })

  it('an empty stanza is an empty element', () => {
    const stanza = Stanza.build('presence', { from: jid('a@b.example/ü') })
    expect(stanza.serialize().toString()).to.equal("<presence from='a@b.example/ü'/>")
    expect(stanza.size).to.equal(stanza.serialize().length)
  })

  it('RFC 6120 §8.2.3, §8.3.1: errors and results are not answered with errors', () => {
    const answerable = (kind: 'message' | 'presence' | 'iq', type?: string): boolean =>
      Stanza.build(kind, { type }).answerable
    expect([
      answerable('message'),
      answerable('presence'),
      answerable('iq', 'get'),
      answerable('iq', 'set'),
    ]).to.not.include(false)
    expect([
      answerable('message', 'error'),
      answerable('presence', 'error'),
      answerable('iq', 'error'),
      answerable('iq', 'result'),
    ]).to.not.include(true)
    expect(Stanza.build('iq', { type: 'result' }).isResponse).to.equal(true)
    expect(Stanza.build('message', { type: 'result' }).isResponse).to.equal(false)
  })
})
