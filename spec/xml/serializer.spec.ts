import { expect } from 'chai'
import * as fc from 'fast-check'
import { attributeOf, childrenOf, createElement, textOf, toElement } from '../../lib/xml/element.js'
import { escapeAttribute, escapeText, serialize } from '../../lib/xml/serializer.js'
import { documentToken, elementTokens, HEADER } from './tokens.js'
import { anyText, equalTrees, meaning, xmlDocuments, xmlElements } from './trees.js'

/** What of a text XML can hold. */
function writable(text: string): string {
  return text.replace(/[\0-\x08\v\f\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
}

describe('serializer', () => {
  it('XML 1.0 §2.2, §2.4: any text comes back as it was, characters XML cannot hold as U+FFFD', () => {
    fc.assert(
      fc.property(
        fc.oneof(anyText, fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map(n => String.fromCharCode(n)) })),
        text => {
          const root = toElement(
            documentToken(`<a b='${escapeAttribute(text)}' c="${escapeAttribute(text)}">${escapeText(text)}</a>`),
          )
          expect([attributeOf(root, 'b'), attributeOf(root, 'c'), textOf(root)]).to.deep.equal(
            Array(3).fill(writable(text)),
          )
        },
      ),
      { numRuns: 500 },
    )
  })

  it('RFC 6120 §11.1: nothing that is put into a value or a text can become markup', () => {
    const evil = '\'/></a><message from="admin@here"/>]]>&lt;<![CDATA['
    const root = toElement(documentToken(serialize(createElement('a', { b: evil }, evil), '')))
    expect([attributeOf(root, 'b'), textOf(root), childrenOf(root).length]).to.deep.equal([evil, evil, 0])
  })

  it('text that needs nothing is returned as it is', () => {
    expect(escapeText('a"b\'c\n\t')).to.equal('a"b\'c\n\t')
    expect(escapeAttribute('a\tb\r\n')).to.equal('a&#9;b&#13;&#10;')
    expect(escapeText(']]>\r')).to.equal(']]&gt;&#13;')
  })

  it('parse, serialise, parse: the same tree', () => {
    fc.assert(
      fc.property(xmlDocuments, fc.constantFrom('', 'u', 'jabber:server'), (text, surrounding) => {
        const tree = toElement(documentToken(text))
        const around = `<r xmlns='${surrounding}'>${serialize(tree, surrounding)}</r>`
        const [again] = childrenOf(toElement(documentToken(around)))
        // An element for which nothing declares a namespace takes that of its surroundings.
        if (surrounding === '' || attributeOf(tree, 'xmlns') !== undefined)
          expect(meaning(again!)).to.deep.equal(meaning(tree))
      }),
      { numRuns: 400 },
    )
  })

  it('an element taken out of its tree keeps its namespaces', () => {
    const header = HEADER.replace('>', " xmlns:p='u' xmlns:q='v'>")
    fc.assert(
      fc.property(xmlElements, text => {
        const [token] = elementTokens(`<message>${text}</message>`, header)
        const [child] = childrenOf(toElement(token!))
        expect(equalTrees(toElement(documentToken(serialize(child!, ''))), child!)).to.equal(true)
      }),
      { numRuns: 300 },
    )
  })

  it('xmlns is written only where the default changes', () => {
    const tree = createElement(
      'a',
      { xmlns: 'u' },
      createElement('b', { xmlns: 'u' }),
      createElement('c', { xmlns: 'v' }, createElement('d')),
    )
    expect(serialize(tree, 'u')).to.equal("<a><b/><c xmlns='v'><d/></c></a>")
    expect(serialize(tree, 'v')).to.equal("<a xmlns='u'><b/><c xmlns='v'><d/></c></a>")
    expect(serialize(createElement('a', {}, 'x', createElement('b')), 'v')).to.equal('<a>x<b/></a>')
    expect(serialize(createElement('a', { xmlns: 'u' }, createElement('b', { xmlns: '' })), 'u')).to.equal(
      "<a><b xmlns=''/></a>",
    )
  })

  it('a name that XML does not allow is refused', () => {
    for (const name of ['', 'a b', 'a>', '1a', 'a:b:c', ':a', 'a:', 'a/', "a='", '\u00d7']) {
      expect(() => serialize(createElement(name), ''), name).to.throw(TypeError)
      expect(() => serialize(createElement('a', { [name]: 'b' }), ''), name).to.throw(TypeError)
    }
    expect(serialize(createElement('ä:é.1-', { _a: 1 }), '')).to.equal("<ä:é.1- _a='1'/>")
  })
})
