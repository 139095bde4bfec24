import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import fc from 'fast-check'
import { isRightToLeft, obeysBidiRule } from '../../lib/stanza/precis/bidi.js'
import { isFreeform, isIdentifier, isLabel } from '../../lib/stanza/precis/classes.js'
import { contextRulesHold } from '../../lib/stanza/precis/context.js'
import { mapWidth, toLower } from '../../lib/stanza/precis/mapping.js'
import { enforceOpaque, enforceUsername } from '../../lib/stanza/precis/profiles.js'
import { TABLES_FILE, unicodeTables } from '../support/generate-unicode-tables.js'

const ZWNJ = '\u200C'
const ZWJ = '\u200D'

describe('PRECIS', () => {
  it('keeps the tables that its generator makes', async () => {
    expect(readFileSync(TABLES_FILE, 'utf8')).to.equal(await unicodeTables())
  })

  describe('UsernameCaseMapped', () => {
    const usernames: readonly (readonly [string, string])[] = [
      ['juliet@example.com', 'juliet@example.com'],
      ['fussball', 'fussball'],
      ['fu\u00DFball', 'fu\u00DFball'],
      ['\u03C0', '\u03C0'],
      ['\u03A3', '\u03C3'],
      ['\u03C3', '\u03C3'],
      ['\u03C2', '\u03C2'],
    ]
    for (const [written, canonical] of usernames) {
      it(`RFC 8265 §3.5: accepts ${JSON.stringify(written)}`, () =>
        expect(enforceUsername(written)).to.equal(canonical))
    }

    for (const refused of ['foo bar', '', 'henry\u2163', '\u265A', '\u221E']) {
      it(`RFC 8265 §3.5: refuses ${JSON.stringify(refused)}`, () =>
        expect(enforceUsername(refused)).to.equal(undefined))
    }

    it('RFC 8264 §5.2.3: lower case does not depend on what follows', () => {
      expect(enforceUsername('\u039F\u0394\u039F\u03A3')).to.equal('\u03BF\u03B4\u03BF\u03C3')
      expect(toLower('\u03A3')).to.equal('\u03C3')
    })

    it('RFC 8265 §3.3.3: maps width and case, then composes', () => {
      expect(enforceUsername('\uFF2A\uFF55\uFF4C\uFF49\uFF45\uFF54')).to.equal('juliet')
      expect(enforceUsername('E\u0301mile')).to.equal('\u00E9mile')
      expect(enforceUsername('\u1100\u1161\u11A8')).to.equal('\uAC01')
      expect(enforceUsername('\uFF76\uFF9E')).to.equal('\u30AC')
      expect(enforceUsername('\u1E9E')).to.equal('\u00DF')
      expect(enforceUsername('\u0130')).to.equal('i\u0307')
    })

    it('RFC 8265 §3.3.3: a right-to-left name obeys the Bidi Rule', () => {
      expect(enforceUsername('\u05D0\u05D1\u05D2')).to.equal('\u05D0\u05D1\u05D2')
      expect(enforceUsername('\u05D0\u05D11')).to.equal('\u05D0\u05D11')
      expect(enforceUsername('a\u05D0')).to.equal(undefined)
      expect(enforceUsername('1\u05D0')).to.equal(undefined)
    })

    it('is its own canonical form', () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 8 }), text => {
          const username = enforceUsername(text)
          if (username !== undefined) expect(enforceUsername(username)).to.equal(username)
        }),
        { numRuns: 2000 },
      )
    })

    it('is its own canonical form for every single character', () => {
      const unsettled: string[] = []
      for (let codePoint = 0; codePoint < 0x30000; codePoint++) {
        const username = enforceUsername(String.fromCodePoint(codePoint))
        if (username !== undefined && enforceUsername(username) !== username) unsettled.push(codePoint.toString(16))
      }
      expect(unsettled).to.deep.equal([])
    })
  })

  describe('OpaqueString', () => {
    const kept = [
      'correct horse battery staple',
      'Correct Horse Battery Staple',
      '\u03C0\u00DF\u00E5',
      'Jack of \u2666s',
      'henry\u2163',
      '\uFF21',
      '\uD83D\uDC0E',
    ]
    for (const text of kept) {
      it(`RFC 8265 §4.3: keeps ${JSON.stringify(text)}`, () => expect(enforceOpaque(text)).to.equal(text))
    }

    it('RFC 8265 §4.2.1: turns other spaces into U+0020', () => {
      for (const space of ['\u1680', '\u00A0', '\u2003', '\u3000']) {
        expect(enforceOpaque(`foo${space}bar`)).to.equal('foo bar')
      }
    })

    it('RFC 8265 §4.2.1: composes', () => {
      expect(enforceOpaque('e\u0301')).to.equal('\u00E9')
      expect(enforceOpaque('\u212B')).to.equal('\u00C5')
    })

    const refused = {
      nothing: '',
      'a tabulator': 'my cat is a \tby',
      'a line separator': 'a\u2028b',
      'private use': '\uE000',
      'an unassigned code point': '\u0378',
      'a noncharacter': '\uFFFE',
      'a lone surrogate': 'a\uD800',
      'a soft hyphen': 'a\u00ADb',
      'a right-to-left override': 'a\u202Eb',
      'a tag character': 'a\u{E0041}',
      'a variation selector': 'a\uFE0F',
      'conjoining jamo': '\u1100',
      'a joiner without context': `a${ZWJ}b`,
    }
    for (const [what, text] of Object.entries(refused)) {
      it(`RFC 8264 §4.3: refuses ${what}`, () => expect(enforceOpaque(text)).to.equal(undefined))
    }

    it('is its own canonical form', () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 8 }), text => {
          const opaque = enforceOpaque(text)
          if (opaque !== undefined) expect(enforceOpaque(opaque)).to.equal(opaque)
        }),
        { numRuns: 2000 },
      )
    })
  })

  describe('classes', () => {
    it('RFC 8264 §4.2: an identifier holds ASCII but the space, letters and digits', () => {
      for (const text of ['!~', 'A', '\u00E9', '\u0660', '\u4E00', '\u0F0B', '\u3007', '\u06FD']) {
        expect(isIdentifier(text), text).to.equal(true)
      }
    })

    it('RFC 8264 §4.2.3: an identifier holds no space, symbol, compatibility form or default ignorable', () => {
      for (const text of [
        ' ',
        '\u00A9',
        '\u2163',
        '\uFF21',
        '\u01C5',
        '\u00AD',
        '\u0640',
        '\u302E',
        '\u1100',
        '\u3164',
        '\u0000',
      ]) {
        expect(isIdentifier(text), JSON.stringify(text)).to.equal(false)
      }
    })

    it('RFC 8264 §4.3: free-form text may hold what has a compatibility form', () => {
      for (const text of ['\u2163', '\u01C5', '\uFB01', '\u00A9', ' ']) expect(isFreeform(text), text).to.equal(true)
    })

    it('RFC 5892 §2: a label holds stable letters and digits and the hyphen', () => {
      for (const text of ['a-1', '\u00DF', '\u03C2', '\u00E9', '\u4E00', '\u13A0'])
        expect(isLabel(text), text).to.equal(true)
      for (const text of [
        'A',
        '_',
        '\u2603',
        '\u00C9',
        '\u00BD',
        '\u20D0',
        '\u{1D165}',
        '\uAB70',
        '\u00AA',
        '\u302E',
      ]) {
        expect(isLabel(text), text).to.equal(false)
      }
    })

    it('RFC 5891 §4.2.3: no hyphen at an end or in places three and four, no combining mark in front', () => {
      for (const text of ['-a', 'a-', '-', 'ab--c', '\u0301a', '']) expect(isLabel(text), text).to.equal(false)
    })
  })

  describe('contextual rules', () => {
    const rules: readonly (readonly [string, string, boolean])[] = [
      ['A.1: ZWNJ after a virama', `\u0915\u094D${ZWNJ}\u0937`, true],
      ['A.1: ZWNJ between letters that would join', `\u0646\u0627\u0645\u0647${ZWNJ}\u0627\u06CC`, true],
      ['A.1: ZWNJ with transparent marks on both sides', `\u0628\u064E${ZWNJ}\u064E\u0628`, true],
      ['A.1: ZWNJ after a letter that does not join on', `\u0627${ZWNJ}\u0628`, false],
      ['A.1: ZWNJ between Latin letters', `a${ZWNJ}b`, false],
      ['A.1: ZWNJ in front', `${ZWNJ}\u0628`, false],
      ['A.1: ZWNJ at the end', `\u0628${ZWNJ}`, false],
      ['A.1: two ZWNJ in a row', `\u0628${ZWNJ}${ZWNJ}\u0628`, false],
      ['A.2: ZWJ after a virama', `\u0915\u094D${ZWJ}\u0937`, true],
      ['A.2: ZWJ between Arabic letters', `\u0628${ZWJ}\u0628`, false],
      ['A.2: ZWJ in front', `${ZWJ}a`, false],
      ['A.3: middle dot between two l', 'l\u00B7l', true],
      ['A.3: middle dot elsewhere', 'l\u00B7a', false],
      ['A.3: middle dot at the end', 'l\u00B7', false],
      ['A.4: keraia before Greek', '\u0375\u03B1', true],
      ['A.4: keraia before Latin', '\u0375a', false],
      ['A.4: keraia at the end', '\u03B1\u0375', false],
      ['A.5: geresh after Hebrew', '\u05D0\u05F3', true],
      ['A.5: geresh after Latin', 'a\u05F3', false],
      ['A.6: gershayim after Hebrew', '\u05D0\u05F4\u05D1', true],
      ['A.6: gershayim in front', '\u05F4\u05D0', false],
      ['A.7: Katakana middle dot with Katakana', '\u30A2\u30FB\u30A2', true],
      ['A.7: Katakana middle dot with Han anywhere', 'a\u30FBb\u4E00', true],
      ['A.7: Katakana middle dot alone', '\u30FB', false],
      ['A.7: Katakana middle dot among Latin', 'a\u30FBb', false],
      ['A.8: Arabic-Indic digits', '\u0660\u0669', true],
      ['A.9: extended Arabic-Indic digits', '\u06F0\u06F9', true],
      ['A.8, A.9: both kinds of digits', '\u0660\u06F0', false],
    ]
    for (const [title, text, holds] of rules) {
      it(`RFC 5892 ${title}: ${holds ? 'holds' : 'fails'}`, () => expect(contextRulesHold(text)).to.equal(holds))
    }
  })

  describe('Bidi Rule', () => {
    const rules: readonly (readonly [string, string, boolean])[] = [
      ['1: begins with a left-to-right letter', 'abc', true],
      ['1: begins with a digit', '1a', false],
      ['1: begins with an Arabic digit', '\u0660\u0627', false],
      ['1: nothing', '', false],
      ['2: right-to-left with a left-to-right letter', '\u05D0a\u05D0', false],
      ['2: right-to-left with hyphen and digits', '\u05D0-1', true],
      ['3: right-to-left that ends in a hyphen', '\u05D0-', false],
      ['3: right-to-left that ends in marks', '\u05D0\u05B0\u05B1', true],
      ['4: European digits alone', '\u06271', true],
      ['4: Arabic digits alone', '\u0627\u0660', true],
      ['4: European and Arabic digits', '\u06271\u0660', false],
      ['5: left-to-right with a right-to-left letter', 'a\u05D0', false],
      ['5: left-to-right with an Arabic digit', 'a\u0660', false],
      ['6: left-to-right that ends in a digit', 'a1', true],
      ['6: left-to-right that ends in a mark', 'a\u0301', true],
      ['6: left-to-right that ends in a symbol', 'a-', false],
    ]
    for (const [title, text, holds] of rules) {
      it(`RFC 5893 §2 ${title}: ${holds ? 'obeys' : 'breaks'}`, () => expect(obeysBidiRule(text)).to.equal(holds))
    }

    it('RFC 5893 §1.4: tells what is right-to-left', () => {
      for (const text of ['\u05D0', '\u0627', '\u0660', 'a\u{10800}', '\u{1E900}'])
        expect(isRightToLeft(text), text).to.equal(true)
      for (const text of ['', 'a1-', '\u4E00', '\u0301', '\u06F0']) expect(isRightToLeft(text), text).to.equal(false)
    })
  })

  it('RFC 8264 §5.2.1: width mapping touches full-width and half-width forms only', () => {
    expect(mapWidth('\uFF41\uFF0E\uFF76\uFFE1\u3000')).to.equal('a.\u30AB\u00A3 ')
    expect(mapWidth('\u2163\uFB01\u00E9\u3002')).to.equal('\u2163\uFB01\u00E9\u3002')
  })
})
