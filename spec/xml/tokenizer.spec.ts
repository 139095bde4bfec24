import { expect } from 'chai'
import { drain, elementTokens, HEADER, outcome, readEveryWay, tokenizer } from './tokens.js'

const BODY = (inside: string | Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(`${HEADER}<message><body>`),
    Buffer.from(inside as string),
    Buffer.from('</body></message>'),
  ])
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

function refused(condition: string, inputs: Readonly<Record<string, string | Buffer>>): void {
  for (const [name, input] of Object.entries(inputs)) {
    it(`${condition}: ${name}`, () => {
      expect(outcome(readEveryWay(input))).to.equal(condition)
    })
  }
}

describe('Tokenizer', () => {
  describe('RFC 6120 §4.9.3.13: XML that is not well-formed is refused', () => {
    refused('not-well-formed', {
      'mismatched end tag': `${HEADER}<a><b></a></b>`,
      'end tag that is only the beginning of the name': `${HEADER}<abc></ab>`,
      'end tag that goes on behind the name': `${HEADER}<ab></abc>`,
      'end tag with an attribute': `${HEADER}<a></a b='c'>`,
      'space before the name of an end tag': `${HEADER}<a></ a>`,
      'same name under another prefix in the end tag': `${HEADER}<a xmlns:b='jabber:server'></b:a>`,
      '< in an attribute': `${HEADER}<a b='<'/>`,
      'attribute without value': `${HEADER}<a b/>`,
      'attribute without quotes': `${HEADER}<a b=c/>`,
      'no space between attributes': `${HEADER}<a b='c'd='e'/>`,
      'duplicate attribute': `${HEADER}<a b='c' b='c'/>`,
      'duplicate attribute among many': `${HEADER}<a b1='' b2='' b3='' b4='' b5='' b6='' b7='' b8='' b9='' b3=''/>`,
      'duplicate attribute under two prefixes': `${HEADER}<a xmlns:p='u' xmlns:q='u' p:b='c' q:b='d'/>`,
      'duplicate attribute under prefixes of inner and outer element': `${HEADER}<a xmlns:p='u'><b xmlns:q='u' p:b='' q:b=''/></a>`,
      'duplicate default namespace': `${HEADER}<a xmlns='u' xmlns='u'/>`,
      'unbound prefix of an element': `${HEADER}<p:a/>`,
      'unbound prefix of an attribute': `${HEADER}<a p:b='c'/>`,
      'prefix that was bound in a sibling': `${HEADER}<a><b xmlns:p='u'/><p:c/></a>`,
      'prefix that was bound in another stanza': `${HEADER}<a xmlns:p='u'/><p:c/>`,
      'empty prefix declaration': `${HEADER}<a xmlns:p=''/>`,
      'xml bound to another namespace': `${HEADER}<a xmlns:xml='u'/>`,
      'another prefix for the namespace of xml': `${HEADER}<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>`,
      'namespace of xml as the default': `${HEADER}<a><b xmlns='http://www.w3.org/XML/1998/namespace'/></a>`,
      'xmlns declared as a prefix': `${HEADER}<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>`,
      'namespace of xmlns under another prefix': `${HEADER}<a xmlns:p='http://www.w3.org/2000/xmlns/'/>`,
      'namespace of xmlns written with a reference': `${HEADER}<a xmlns:p='http://www.w3.org/2000/xmlns&#47;'/>`,
      'xmlns as the prefix of an element': `${HEADER}<xmlns:a/>`,
      'two colons in a name': `${HEADER}<a xmlns:b='u' b:c:d=''/>`,
      'colon at the end of a name': `${HEADER}<stream: />`,
      'colon at the beginning of a name': `${HEADER}<:a/>`,
      'name that begins with a digit': `${HEADER}<1a/>`,
      'local name that begins with a digit': `${HEADER}<db:1/>`,
      'name that begins with a combining character': `${HEADER}<\u0301a/>`,
      'multiplication sign in a name': `${HEADER}<a\u00d7/>`,
      'space behind <': `${HEADER}< a/>`,
      '/ within a start tag': `${HEADER}<a / >`,
      ']]> in text': BODY('a]]>b'),
      ']]]> in text': BODY(']]]>'),
      ']]> behind a CDATA section': BODY('<![CDATA[x]]>]]>'),
      'bare & in text': BODY('a & b'),
      'bare & in an attribute': `${HEADER}<a b='a & b'/>`,
      'reference without semicolon': BODY('&amp '),
      'reference without name': BODY('&;'),
      'reference to U+0000': BODY('&#0;'),
      'reference to a control character': BODY('&#x1f;'),
      'reference to half a surrogate pair': BODY('&#xd800;'),
      'reference to U+FFFE': BODY('&#xfffe;'),
      'reference beyond U+10FFFF': BODY('&#x110000;'),
      'reference far beyond what a number holds': BODY(`&#${'9'.repeat(400)};`),
      'reference with a capital X': BODY('&#X41;'),
      'reference without digits': BODY('&#x;'),
      'reference with a wrong digit': BODY('&#4a;'),
      'NUL in text': BODY('\0'),
      'NUL in an attribute': `${HEADER}<a b='\0'/>`,
      'NUL in a tag': `${HEADER}<a\0/>`,
      'NUL between elements': `${HEADER}\0`,
      'vertical tab in text': BODY('\v'),
      'U+FFFE in text': BODY('\ufffe'),
      'U+FFFF in an attribute': `${HEADER}<a b='\uffff'/>`,
      'U+FFFF in a CDATA section': BODY('<![CDATA[\uffff]]>'),
      'U+FFFE between elements': `${HEADER}\ufffe`,
      'unknown declaration': `${HEADER}<!FOO>`,
      'processing instruction without target': `${HEADER}<? a?>`,
      'text before the header': `x${HEADER}`,
      'reference before the header': `&lt;${HEADER}`,
      'end tag before the header': `</a>${HEADER}`,
      'CDATA section before the header': `<![CDATA[]]>${HEADER}`,
    })
  })

  describe('RFC 3629 §3, RFC 6120 §11.6: bytes that are not UTF-8 are refused', () => {
    refused('not-well-formed', {
      'overlong in two bytes': BODY(hex('c0 80')),
      'overlong slash': BODY(hex('c1 af')),
      'overlong in three bytes': BODY(hex('e0 9f bf')),
      'overlong in four bytes': BODY(hex('f0 8f bf bf')),
      'half a surrogate pair': BODY(hex('ed a0 80')),
      'surrogate pair in two halves': BODY(hex('ed a1 8c ed be b4')),
      'beyond U+10FFFF': BODY(hex('f4 90 80 80')),
      'lead byte of five': BODY(hex('f8 88 80 80 80')),
      'truncated in two': BODY(hex('c3')),
      'truncated in three': BODY(hex('e2 82')),
      'truncated in four': BODY(hex('f0 9f 92')),
      'continuation alone': BODY(hex('80')),
      'continuation too many': BODY(hex('c3 a4 a4')),
      FF: BODY(hex('ff')),
      'in an attribute': Buffer.concat([Buffer.from(`${HEADER}<a b='`), hex('c3'), Buffer.from("'/>")]),
      'in a name': Buffer.concat([Buffer.from(`${HEADER}<a`), hex('c3'), Buffer.from('/>')]),
      'between elements': Buffer.concat([Buffer.from(HEADER), hex('fe')]),
      'UTF-16 with byte order mark': Buffer.from(`\ufeff${HEADER}`, 'utf16le'),
      'UTF-16 without byte order mark': Buffer.from(HEADER, 'utf16le'),
      'far behind good text': BODY(Buffer.concat([Buffer.from('ä'.repeat(50)), hex('a4')])),
    })
  })

  describe('RFC 6120 §11.1: comments, instructions, document types and entities are refused as restricted-xml', () => {
    refused('restricted-xml', {
      'comment before the header': `<!-- -->${HEADER}`,
      'comment behind the XML declaration': `<?xml version='1.0'?><!-- -->${HEADER}`,
      'comment between elements': `${HEADER}<!-- -->`,
      'comment in an element': BODY('<!-- -->'),
      'instruction before the header': `<?a b?>${HEADER}`,
      'instruction between elements': `${HEADER}<?a b?>`,
      'instruction in an element': BODY('<?a b?>'),
      'instruction whose target begins with xml': `<?xml-stylesheet href='a'?>${HEADER}`,
      'document type before the header': `<!DOCTYPE stream>${HEADER}`,
      'document type with entities': `<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>${HEADER}`,
      'document type between elements': `${HEADER}<!DOCTYPE stream>`,
      'document type in an element': BODY('<!DOCTYPE stream>'),
      'entity in text': BODY('&nbsp;'),
      'entity with a capital letter': BODY('&Amp;'),
      'entity with a long name': BODY('&ampersand;'),
      'entity in an attribute': `${HEADER}<a b='&foo;'/>`,
      'entity in an attribute of the header': "<stream:stream xmlns:stream='&foo;'>",
      'entity between elements': `${HEADER}&foo;`,
    })
  })

  describe('RFC 6120 §11.5, §11.6: version and encoding', () => {
    refused('unsupported-encoding', {
      'ISO-8859-1': `<?xml version='1.0' encoding='ISO-8859-1'?>${HEADER}`,
      'UTF-16': `<?xml version="1.0" encoding="UTF-16" standalone='yes'?>${HEADER}`,
    })
    refused('not-well-formed', {
      'version 1.1': `<?xml version='1.1'?>${HEADER}`,
      'no version': `<?xml encoding='UTF-8'?>${HEADER}`,
      'empty declaration': `<?xml?>${HEADER}`,
      'wrong order': `<?xml encoding='UTF-8' version='1.0'?>${HEADER}`,
      'declaration without ?': `<?xml version='1.0'>${HEADER}`,
      'declaration twice': `<?xml version='1.0'?><?xml version='1.0'?>${HEADER}`,
      'declaration behind white space': ` <?xml version='1.0'?>${HEADER}`,
      'declaration behind the header': `${HEADER}<?xml version='1.0'?>`,
      'declaration in an element': `${HEADER}<a><?xml version='1.0'?>`,
      'byte order mark twice': `\ufeff\ufeff${HEADER}`,
    })
    for (const prolog of [
      "<?xml version='1.0'?>",
      '<?xml version="1.0" encoding="utf-8"?>\n',
      "\ufeff<?xml\tversion = '1.0'\r\nencoding='UTF-8' standalone='no' ?>",
      '\ufeff',
      ' \r\n\t',
    ]) {
      it(`accepted: ${JSON.stringify(prolog)}`, () => {
        expect(outcome(readEveryWay(prolog + HEADER))).to.equal('header')
      })
    }
  })

  describe('RFC 6120 §4.9.3.9: what has no place on a stream is refused as invalid-xml', () => {
    refused('invalid-xml', {
      'text at root level': `${HEADER}<a/>x`,
      'CDATA section at root level': `${HEADER}<![CDATA[ ]]>`,
      'reference at root level': `${HEADER}&lt;`,
      'root within the root': `${HEADER}<stream:stream>`,
      'root within the root, under another prefix': `${HEADER}<s:stream xmlns:s='http://etherx.jabber.org/streams'>`,
    })
    it('accepted: white space at root level, references to it included', () => {
      expect(readEveryWay(`${HEADER} \n<a/>\t&#32;\r<b/>`).map(({ kind }) => kind)).to.deep.equal([
        'header',
        'element',
        'element',
      ])
    })
  })

  it('RFC 6120 §4.8.1: the header is told by namespace, whatever its prefix', () => {
    const [token] = readEveryWay(
      "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:server' to='a&amp;b&#x20;c'>",
    )
    if (token?.kind !== 'header') throw new Error('no header')
    const { tag } = token
    expect([tag.prefix, tag.name, tag.namespace]).to.deep.equal(['s', 'stream', 'http://etherx.jabber.org/streams'])
    expect(tag.attribute('to')).to.equal('a&b c')
    expect(tag.attribute('from')).to.equal(undefined)
    expect(tag.declarations).to.deep.equal([
      { prefix: 's', namespace: 'http://etherx.jabber.org/streams' },
      { prefix: '', namespace: 'jabber:server' },
    ])
  })

  it('RFC 6120 §4.8.5: a look-alike under a prefix bound elsewhere has its own namespace', () => {
    const [features, result] = elementTokens(
      "<stream:features xmlns:stream='u'/><result xmlns='jabber:server:dialback'/>",
    )
    expect(features?.tag.namespace).to.equal('u')
    expect(result?.tag.namespace).to.equal('jabber:server:dialback')
  })

  it('XML 1.0 §3.3.3: white space in values becomes spaces, referenced white space stays', () => {
    const [token] = readEveryWay(`${HEADER}<a b='1\t2\n3\r\n4\r5&#9;6&#10;7&#13;8' xml:lang='de' c="'ä€😀'"/>`).slice(1)
    if (token?.kind !== 'element') throw new Error('no element')
    expect(token.tag.attribute('b')).to.equal('1 2 3 4 5\t6\n7\r8')
    expect(token.tag.attribute('lang', 'http://www.w3.org/XML/1998/namespace')).to.equal('de')
    expect(token.tag.attribute('lang')).to.equal(undefined)
    expect(token.tag.attribute('c')).to.equal("'ä€😀'")
  })

  it('RFC 6120 §11: what is allowed passes unchanged', () => {
    const inner =
      "ü]]&gt;]]<![CDATA[ <&]]]]>&#x1F600;&apos;<x:y.z-1 xmlns:x='u' x:ä='>' /><p xmlns=''><q/></p >\ufffd\r\n"
    const tokens = readEveryWay(`${HEADER}<message >${inner}</message\n></stream:stream >`)
    expect(tokens.map(({ kind }) => kind)).to.deep.equal(['header', 'element', 'footer'])
    if (tokens[1]?.kind !== 'element') throw new Error('no element')
    expect(tokens[1].inner.toString()).to.equal(inner)
    expect(tokens[1].bytes).to.equal(Buffer.byteLength(`<message >${inner}</message\n>`))
  })

  it('RFC 6120 §4.4: nothing behind the footer is read', () => {
    const reader = tokenizer()
    reader.write(Buffer.from(`${HEADER}</stream:stream><message/>\0`))
    expect(drain(reader).map(({ kind }) => kind)).to.deep.equal(['header', 'footer'])
    expect(reader.buffered).to.equal(11)
    reader.write(Buffer.from('abc'))
    expect(reader.next()).to.equal(undefined)
    expect(reader.buffered).to.equal(14)
    reader.restart()
    expect(reader.next()).to.equal(undefined)
  })

  it('RFC 6120 §4.4: a root that is closed at once is a header and a footer', () => {
    expect(readEveryWay("<s:stream xmlns:s='u'/>x").map(({ kind }) => kind)).to.deep.equal(['header', 'footer'])
  })

  it('nothing follows an error', () => {
    const reader = tokenizer()
    reader.write(Buffer.from(`${HEADER}</a><message/>`))
    expect(outcome(drain(reader))).to.equal('not-well-formed')
    reader.write(Buffer.from('<message/>'))
    expect(reader.next()).to.equal(undefined)
  })

  describe('RFC 6120 §5.4.3.3: what comes behind a token can be seen before it is read', () => {
    const starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    for (const injected of ['', ' ', '<message/>', '<', '\0', hex('c3').toString('latin1')]) {
      it(`buffered counts ${JSON.stringify(injected)}`, () => {
        const reader = tokenizer()
        reader.write(Buffer.from(`${HEADER}${starttls}${injected}`, 'latin1'))
        expect(reader.next()?.kind).to.equal('header')
        expect(reader.buffered).to.equal(starttls.length + injected.length)
        expect(reader.next()?.kind).to.equal('element')
        expect(reader.buffered).to.equal(injected.length)
      })
    }
    it('buffered counts an element that is not complete, but no white space that was passed over', () => {
      const reader = tokenizer()
      for (const byte of Buffer.from(`${HEADER}  <message><body>x`)) {
        reader.write(Buffer.from([byte]))
        drain(reader)
      }
      expect(reader.buffered).to.equal(16)
    })
  })

  it('RFC 6120 §4.3.3: after a restart, names and namespaces of the old stream are forgotten', () => {
    const reader = tokenizer()
    const next = "<?xml version='1.0'?><stream xmlns='http://etherx.jabber.org/streams'><db:a/>"
    reader.write(Buffer.from(`${HEADER}<success/>${next}`))
    expect([reader.next()?.kind, reader.next()?.kind]).to.deep.equal(['header', 'element'])
    reader.restart()
    expect(reader.buffered).to.equal(next.length)
    expect(drain(reader).map(token => (token.kind === 'error' ? token.text : token.kind))).to.deep.equal([
      'header',
      'prefix bound to no namespace',
    ])
  })

  describe('document mode', () => {
    const modes: Readonly<Record<string, string>> = {
      '<a/>': 'element',
      "<?xml version='1.0'?>\n<a b='c'>d<e/></a>\n ": 'element',
      '<a/><b/>': 'not-well-formed',
      '<a/>x': 'not-well-formed',
      '<a/></a>': 'not-well-formed',
      '<a/>&#32;': 'not-well-formed',
      "<a/><?xml version='1.0'?>": 'not-well-formed',
      '<a/><!-- -->': 'restricted-xml',
      'x<a/>': 'not-well-formed',
      '<a><b></a>': 'not-well-formed',
      '<a><a></a></a>': 'element',
      ' ': 'nothing',
    }
    for (const [input, expected] of Object.entries(modes)) {
      it(`${expected}: ${input}`, () => {
        expect(outcome(readEveryWay(input, 'document'))).to.equal(expected)
      })
    }
  })
})
