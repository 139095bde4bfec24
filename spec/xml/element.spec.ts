import { expect } from 'chai'
import * as fc from 'fast-check'
import {
  attributeOf,
  childNamed,
  childrenNamed,
  childrenOf,
  createElement,
  namespaceOf,
  textOf,
  toElement,
} from '../../lib/xml/element.js'
import { NS_STREAMS, NS_XML } from '../../lib/xml/namespaces.js'
import { documentToken, elementTokens, HEADER } from './tokens.js'
import { meaning, xmlElements } from './trees.js'

const treeOf = (text: string) => toElement(elementTokens(text)[0]!)

describe('element', () => {
  it('XML 1.0 §2.4, §2.7, §2.11: text, references, CDATA sections and line ends become one text', () => {
    const tree = treeOf('<a>1\r\n2\r3<![CDATA[<&\r\n]]]]>&#13;&lt;&#x1f600;ä<b/>4</a>')
    expect(tree.children[0]).to.equal('1\n2\n3<&\n]]\r<😀ä')
    expect(textOf(tree)).to.equal('1\n2\n3<&\n]]\r<😀ä4')
  })

  it('XML 1.0 §3.3.3: values are normalised', () => {
    expect(attributeOf(treeOf("<a><b c = '\r\n\t&#9;&quot;>' d=\"'\"/></a>").children[0] as never, 'c')).to.equal(
      '  \t">',
    )
  })

  it('Namespaces in XML 1.0 §6: the tree of a stanza stands without its stream', () => {
    const tree = treeOf("<a><db:b stream:c='d'/></a>")
    const [child] = childrenOf(tree)
    expect(namespaceOf(tree)).to.equal('jabber:server')
    expect(child && namespaceOf(child)).to.equal('jabber:server:dialback')
    expect(attributeOf(tree, 'xmlns:stream')).to.equal(NS_STREAMS)
  })

  it('Namespaces in XML 1.0 §6: prefixes that nothing needs are not copied from the stream', () => {
    expect(Object.keys(treeOf('<a/>').attrs)).to.deep.equal(['xmlns'])
    expect(Object.keys(treeOf('<db:a/>').attrs)).to.deep.equal(['xmlns', 'xmlns:db'])
  })

  it("Namespaces in XML 1.0 §6.2: xmlns='' ends the default namespace; xml needs no declaration", () => {
    const tree = treeOf("<a><b xmlns=''><c/></b><xml:d/></a>")
    expect(childrenOf(tree).map(namespaceOf)).to.deep.equal(['', NS_XML])
    expect(childNamed(childrenOf(tree)[0]!, 'c', '')?.name).to.equal('c')
  })

  it('children are found by namespace and local name, look-alikes are not', () => {
    const tree = treeOf("<a>x<p:b xmlns:p='u'/><b/><q:b xmlns:q='jabber:server' id='1'/></a>")
    expect(childNamed(tree, 'b', 'u')?.name).to.equal('p:b')
    expect(childrenNamed(tree, 'b', 'jabber:server').map(child => child.name)).to.deep.equal(['b', 'q:b'])
    expect(childNamed(tree, 'b', 'v')).to.equal(undefined)
  })

  it('names that objects inherit are plain attributes', () => {
    const tree = treeOf("<a __proto__='1' hasOwnProperty='2' constructor='3'><b __proto__='4'/></a>")
    expect(
      ['__proto__', 'hasOwnProperty', 'constructor', 'toString'].map(name => attributeOf(tree, name)),
    ).to.deep.equal(['1', '2', '3', undefined])
    expect(attributeOf(childrenOf(tree)[0]!, '__proto__')).to.equal('4')
    expect(attributeOf(createElement('a'), 'constructor')).to.equal(undefined)
  })

  it('portable: inner bytes mean the same under another root with the same default namespace, and only then', () => {
    const header = HEADER.replace('>', " xmlns:p='u' xmlns:q='v'>")
    let portable = 0
    fc.assert(
      fc.property(xmlElements, element => {
        const [token] = elementTokens(`<message>${element}</message>`, header)
        const expected = meaning(toElement(token!))
        const alone = `<message xmlns='jabber:server'>${token!.inner}</message>`
        if (token!.portable) {
          portable++
          expect(meaning(toElement(documentToken(alone)))).to.deep.equal(expected)
        }
      }),
      { numRuns: 400 },
    )
    expect(portable).to.be.above(50)
  })

  const cases: readonly [string, boolean][] = [
    ['<message><body>x</body></message>', true],
    ["<message xmlns='jabber:server'><body/></message>", true],
    ["<message><x xmlns='u'><y/></x></message>", true],
    ["<message><p:x xmlns:p='u' p:a='b'><p:y/></p:x></message>", true],
    ["<message xml:lang='de'><body xml:lang='en'/></message>", true],
    ["<message db:a='b'/>", true],
    ['<message><db:x/></message>', false],
    ["<message><x db:a='b'/></message>", false],
    ["<message xmlns:p='u'><p:x/></message>", false],
    ["<message><x xmlns='jabber:server'/></message>", false],
    ["<message><p:x xmlns:p='jabber:client'/></message>", false],
    ["<message xmlns='u'><x/></message>", false],
    ["<message xmlns=''><x/></message>", false],
  ]
  for (const [text, expected] of cases) {
    it(`portable is ${expected}: ${text}`, () => {
      expect(elementTokens(`<q><db:a/></q>${text}`)[1]?.portable).to.equal(expected)
    })
  }
})
