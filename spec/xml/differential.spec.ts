import { expect } from 'chai'
import * as fc from 'fast-check'
import { SaxesParser } from 'saxes'
import { Element, toElement } from '../../lib/xml/element.js'
import { setAttribute } from '../../lib/xml/tree.js'
import { documentToken, oneByOne, outcome, read } from './tokens.js'
import { meaning, xmlDocuments } from './trees.js'

/** What an independent parser makes of a document: a tree, or undefined when it refuses it. */
function oracle(text: string): Element | undefined {
  const parser = new SaxesParser({ xmlns: true })
  let root: Element | undefined
  let at: Element | undefined
  let failed = false
  parser.on('error', () => {
    failed = true
  })
  for (const event of ['comment', 'processinginstruction', 'doctype'] as const) {
    parser.on(event, () => {
      failed = true
    })
  }
  parser.on('opentag', tag => {
    const element = new Element(tag.name)
    // It lets a local name begin like the rest of a name, which Namespaces in XML 1.0 §4 does not.
    if (/^[-.0-9\u00b7]/.test(tag.local)) failed = true
    for (const [name, { local, value }] of Object.entries(tag.attributes)) {
      if (/^[-.0-9\u00b7]/.test(local)) failed = true
      setAttribute(element.attrs, name, value)
    }
    if (at === undefined) root = element
    else at.cnode(element)
    at = element
  })
  parser.on('closetag', () => {
    at = at?.parent ?? undefined
  })
  const text_ = (value: string): void => {
    at?.children.push(value)
  }
  parser.on('text', text_)
  parser.on('cdata', text_)
  try {
    parser.write(text).close()
  } catch {
    return undefined
  }
  return failed ? undefined : root
}

/** Cuts, doubles, swaps and inserts, at random places, what is likely to matter. */
const mutations = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.nat({ max: 2 }),
    insert: fc.constantFrom(
      '',
      '<',
      '>',
      '/',
      '&',
      ';',
      "'",
      '"',
      '=',
      ' ',
      ':',
      'xmlns',
      'xmlns:p="u"',
      ']]>',
      '<![CDATA[',
      '<a>',
      '</a>',
      '\u0000',
      '\ufffe',
      '<!--',
      '<?a?>',
      '&#0;',
      '&lt;',
      'p:a=""',
      '\u00b7',
      '\ud7ff',
      '<a/>',
    ),
  }),
  { minLength: 1, maxLength: 3 },
)

describe('Tokenizer beside an independent parser (RFC 6120 §11.3, XML 1.0, Namespaces in XML 1.0)', () => {
  it('the same documents are accepted, and mean the same', () => {
    fc.assert(
      fc.property(xmlDocuments, text => {
        const theirs = oracle(text)
        const ours = toElement(documentToken(text))
        expect(theirs).to.not.equal(undefined)
        if (theirs !== undefined) expect(meaning(ours)).to.deep.equal(meaning(theirs))
      }),
      { numRuns: 400 },
    )
  })

  it('damaged documents are accepted by both or refused by both, at every chunking', () => {
    let refusals = 0
    fc.assert(
      fc.property(xmlDocuments, mutations, (document, changes) => {
        let text = document
        for (const { at, remove, insert } of changes) {
          const place = Math.floor(at * text.length)
          text = Buffer.from(text.slice(0, place) + insert + text.slice(place + remove)).toString()
        }
        const bytes = Buffer.from(text)
        const tokens = read([bytes], 'document')
        const found = outcome(tokens)
        const theirs = oracle(text)
        expect(outcome(read(oneByOne(bytes), 'document'))).to.equal(found)
        if (theirs === undefined) {
          refusals++
          expect(
            ['not-well-formed', 'restricted-xml', 'policy-violation', 'nothing'].includes(found) || endless(text),
          ).to.equal(true)
        } else {
          expect(found).to.equal('element')
          expect(meaning(toElement(documentToken(text)))).to.deep.equal(meaning(theirs))
        }
      }),
      { numRuns: 2500 },
    )
    expect(refusals).to.be.above(300)
  })
})

/** A document followed by something unfinished: on a stream, the rest may still come. */
function endless(text: string): boolean {
  return outcome(read([Buffer.from(`${text}\u0001`)], 'document')) === 'not-well-formed'
}
