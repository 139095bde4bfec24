import { expect } from 'chai'
import fc from 'fast-check'
import { type Jid, Jids } from '../../lib/stanza/jid.js'

const parts = (jid: Jid | undefined) => jid && [jid.local, jid.domain, jid.resource]

describe('JID', () => {
  const jids = new Jids()

  const valid: readonly (readonly [string, readonly [string, string, string]])[] = [
    ['juliet@example.com', ['juliet', 'example.com', '']],
    ['juliet@example.com/foo', ['juliet', 'example.com', 'foo']],
    ['juliet@example.com/foo bar', ['juliet', 'example.com', 'foo bar']],
    ['juliet@example.com/foo@bar', ['juliet', 'example.com', 'foo@bar']],
    ['foo\\20bar@example.com', ['foo\\20bar', 'example.com', '']],
    ['fussball@example.com', ['fussball', 'example.com', '']],
    ['fu\u00DFball@example.com', ['fu\u00DFball', 'example.com', '']],
    ['\u03C0@example.com', ['\u03C0', 'example.com', '']],
    ['\u03A3@example.com/foo', ['\u03C3', 'example.com', 'foo']],
    ['\u03C3@example.com/foo', ['\u03C3', 'example.com', 'foo']],
    ['\u03C2@example.com/foo', ['\u03C2', 'example.com', 'foo']],
    ['king@example.com/\u265A', ['king', 'example.com', '\u265A']],
    ['example.com', ['', 'example.com', '']],
    ['example.com/foobar', ['', 'example.com', 'foobar']],
    ['a.example.com/b@example.net', ['', 'a.example.com', 'b@example.net']],
  ]
  for (const [text, expected] of valid) {
    it(`RFC 7622 §3.5 table 1: ${text}`, () => expect(parts(jids.parse(text))).to.deep.equal(expected))
  }

  const invalid = [
    '"juliet"@example.com',
    'foo bar@example.com',
    '@example.com/',
    'henry\u2163@example.com',
    '\u265A@example.com',
    'juliet@',
    '/foobar',
  ]
  for (const text of invalid) {
    it(`RFC 7622 §3.5 table 2: ${text} is none`, () => expect(jids.parse(text)).to.equal(undefined))
  }

  it('RFC 7622 §3.4, erratum 4560: a resource may begin with a space', () => {
    expect(parts(jids.parse('juliet@example.com/ foo'))).to.deep.equal(['juliet', 'example.com', ' foo'])
  })

  it('RFC 7622 §3.1: parts are split at the first slash, then at the first @ before it', () => {
    expect(parts(jids.parse('a@b/c/d@e'))).to.deep.equal(['a', 'b', 'c/d@e'])
    expect(parts(jids.parse('b//'))).to.deep.equal(['', 'b', '/'])
    for (const text of ['', '@', '/', '@/', 'a@b@c', 'a@b/', 'b/', '@b', 'a@', 'a@/c']) {
      expect(jids.parse(text), text).to.equal(undefined)
    }
  })

  it('RFC 7622 §3.3.1: excluded characters, also when width mapping brings them up', () => {
    for (const character of '"&\'/:<>@') {
      expect(jids.from(`a${character}b`, 'example.com'), character).to.equal(undefined)
      const wide = String.fromCodePoint((character.codePointAt(0) ?? 0) + 0xfee0)
      expect(jids.parse(`a${wide}b@example.com`), wide).to.equal(undefined)
    }
    expect(jids.parse('a!#$%()*+,-.;=?[\\]^_`{|}~@example.com')?.local).to.equal('a!#$%()*+,-.;=?[\\]^_`{|}~')
  })

  it('RFC 7622 §3.2: the domainpart is a name without port', () => {
    for (const text of ['a@b:5222', 'a@b..c', 'a@_x', 'a@1.2', 'a@ex%41mple.com', `a@${'b'.repeat(300)}`]) {
      expect(jids.parse(text), text).to.equal(undefined)
    }
    expect(parts(jids.parse('a@[::1]/r'))).to.deep.equal(['a', '[::1]', 'r'])
  })

  it('RFC 7622 §3.3, §3.4: 1023 octets are the most for a part, after mapping', () => {
    const most = 'a'.repeat(1023)
    expect(parts(jids.parse(`${most}@b/${most}`))).to.deep.equal([most, 'b', most])
    expect(jids.parse(`${most}a@b`)).to.equal(undefined)
    expect(jids.parse(`b/${most}a`)).to.equal(undefined)
    expect(jids.parse(`b/${'\u4E00'.repeat(341)}`)?.resource).to.have.lengthOf(341)
    expect(jids.parse(`b/${'\u4E00'.repeat(342)}`)).to.equal(undefined)
    expect(jids.parse(`${'\uFF41'.repeat(1023)}@b`)?.local).to.equal(most)
    expect(jids.parse(`b/${'e\u0301'.repeat(511)}`)?.resource).to.equal('\u00E9'.repeat(511))
  })

  it('refuses text of any length beyond that without reading it', () => {
    for (const character of ['a', '@', '/', '.', '\u0301', '\u200C', '\u05D0', '-', '\uFF21']) {
      const long = character.repeat(1_000_000)
      expect(jids.parse(long)).to.equal(undefined)
      expect(jids.parse(`${long}@b/c`)).to.equal(undefined)
      expect(jids.from('a', 'b', long)).to.equal(undefined)
      expect(jids.parse('a@b')?.withResource(long)).to.equal(undefined)
    }
  })

  it('RFC 7622 §4: the resource keeps its case, the rest does not', () => {
    expect(String(jids.parse('JULIET@Example.COM./Balcony'))).to.equal('juliet@example.com/Balcony')
    expect(jids.parse('a@b/R')?.equals(jids.parse('a@b/r')!)).to.equal(false)
    expect(jids.parse('a@b/r')?.equals(new Jids().parse('A@b./r')!)).to.equal(true)
  })

  it('holds names of object members as plain data', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(parts(jids.parse(`${name}@example.com/${name}`))).to.deep.equal([name.toLowerCase(), 'example.com', name])
    }
    expect(jids.parse('__proto__')).to.equal(undefined)
    expect(parts(jids.parse('constructor'))).to.deep.equal(['', 'constructor', ''])
  })

  it('refuses half a surrogate pair in every part', () => {
    for (const text of ['a\uD800@b', 'a@b\uDC00', 'a@b/\uD800', 'a@b/\uDC00\uD800'])
      expect(jids.parse(text)).to.equal(undefined)
  })

  it('from: separators inside a part are not read as such', () => {
    expect(parts(jids.from('a', 'B', 'c/d@e'))).to.deep.equal(['a', 'b', 'c/d@e'])
    expect(parts(jids.from('', 'b'))).to.deep.equal(['', 'b', ''])
    expect(jids.from('', 'a@b')).to.equal(undefined)
    expect(jids.from('a', 'b/c')).to.equal(undefined)
    expect(jids.from('a@b', 'c')).to.equal(undefined)
    expect(jids.from('a/b', 'c')).to.equal(undefined)
    expect(jids.from('a', '')).to.equal(undefined)
  })

  it('bare, isBare and withResource', () => {
    const full = jids.parse('a@b/c')!
    expect(full.isBare).to.equal(false)
    expect(String(full.bare)).to.equal('a@b')
    expect(full.bare.isBare).to.equal(true)
    expect(full.bare.bare).to.equal(full.bare)
    expect(String(full.withResource('d'))).to.equal('a@b/d')
    expect(full.withResource('d')?.bare).to.equal(full.bare)
    expect(full.withResource('')).to.equal(undefined)
    expect(full.withResource('\t')).to.equal(undefined)
  })

  it('RFC 7622 §4: canonical text is its own canonical form', () => {
    const near = fc.string({
      unit: fc.oneof(fc.constantFrom(...'aAßΣς1ｅé@/. '), fc.string({ unit: 'binary', maxLength: 1 })),
      maxLength: 12,
    })
    let found = 0
    fc.assert(
      fc.property(near, near, (local, resource) => {
        const jid = new Jids(4).from(local, 'Example.com', resource)
        if (jid === undefined) return
        found++
        const again = new Jids(4).parse(jid.toString())
        expect(parts(again)).to.deep.equal(parts(jid))
        expect(again?.equals(jid)).to.equal(true)
      }),
      { numRuns: 2000 },
    )
    expect(found).to.be.greaterThan(0)
  })

  describe('cache', () => {
    it('gives one object for all spellings of an address', () => {
      const jid = jids.parse('bu\u0308cher@B\u00DCCHER.example/x')
      expect(jid).to.not.equal(undefined)
      expect(jids.parse('B\u00DCCHER@xn--bcher-kva.example./x')).to.equal(jid)
      expect(jids.from('b\u00FCcher', 'b\u00FCcher.example', 'x')).to.equal(jid)
      expect(jids.parse('b\u00FCcher@b\u00FCcher.example')).to.equal(jid?.bare)
    })

    it('keeps no more than its capacity', () => {
      const few = new Jids(3)
      const first = few.parse('a.example')
      expect(few.parse('a.example')).to.equal(first)
      for (const text of ['b.example', 'c.example', 'd.example']) few.parse(text)
      expect(few.parse('a.example')).to.not.equal(first)
      expect(few.parse('a.example')?.equals(first!)).to.equal(true)
    })

    it('keeps fewer of the long ones', () => {
      const few = new Jids(100)
      const first = few.parse('a.example')
      for (let n = 0; n < 40; n++) few.parse(`b.example/${n}${'r'.repeat(1000)}`)
      expect(few.parse('a.example')).to.not.equal(first)
    })

    it('does not take one malformed text for another', () => {
      expect(jids.parse('a@b/\uFFFD')?.resource).to.equal('\uFFFD')
      expect(jids.parse('a@b/\uD800')).to.equal(undefined)
    })
  })
})
