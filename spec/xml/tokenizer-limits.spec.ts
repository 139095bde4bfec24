import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'chai'
import type { TokenizerLimits } from '../../lib/xml/token.js'
import { drain, HEADER, outcome, read, readEveryWay, tokenizer } from './tokens.js'

const START = HEADER.length

/** Feeds an endless input in pieces until it is refused; returns how many bytes that took. */
function bytesUntilRefused(start: string, piece: string, limits: Partial<TokenizerLimits>): number {
  const reader = tokenizer('stream', limits)
  reader.write(Buffer.from(start))
  let written = start.length
  for (let tokens = drain(reader); outcome(tokens) !== 'policy-violation'; tokens = drain(reader)) {
    if (outcome(tokens) === 'not-well-formed' || written > 20_000_000) throw new Error(outcome(tokens))
    reader.write(Buffer.from(piece))
    written += piece.length
  }
  return written
}

describe('Tokenizer limits (RFC 6120 §13.12)', () => {
  const cases: readonly [string, Partial<TokenizerLimits>, string, string][] = [
    ['streamBytes', { streamBytes: START + 4 }, '<a/>', '<a/> '],
    ['streamBytes, white space only', { streamBytes: START + 3 }, ' \n ', ' \n  '],
    ['elementBytes', { elementBytes: 14, skippedBytes: 14 }, '<a b="c">d</a>', '<a b="c">dd</a>'],
    ['startTagBytes', { startTagBytes: START }, `<${'a'.repeat(START - 3)}/>`, `<${'a'.repeat(START - 2)}/>`],
    ['attributes', { attributes: 3 }, "<a xmlns='u' b='' c='' d=''/>", "<a b='' c='' d='' e=''/>"],
    [
      'declarations',
      { declarations: 3 },
      "<a xmlns:a='1' xmlns='2' xmlns:b='3' c='' />",
      "<a xmlns:a='1' xmlns='2' xmlns:b='3' xmlns:c='4'/>",
    ],
    ['depth', { depth: 3 }, '<a><b><c/></b></a>', '<a><b><c><d/></c></b></a>'],
    ['elements', { elements: 3 }, '<a><b/><c/></a><a><b/><c/></a>', '<a><b/><c/><d/></a>'],
    ['streamElements', { streamElements: 3 }, '<a><b/></a><c/>', '<a><b/></a><c/><d/>'],
  ]
  for (const [name, limits, below, above] of cases) {
    it(`RFC 6120 §4.9.3.14: ${name}, just below and just above`, () => {
      const expected = below.trim() === '' ? 'header' : 'element'
      expect(outcome(readEveryWay(HEADER + below, 'stream', limits))).to.equal(expected)
      expect(outcome(readEveryWay(HEADER + above, 'stream', limits))).to.equal('policy-violation')
    })
  }

  it('RFC 6120 §4.9.3.14: a start tag that never ends is refused at its limit, in whatever part it grows', () => {
    for (const [start, piece] of [
      ['<a', 'a'],
      ['<a ', ' '],
      ['<a b', 'b'],
      ["<a b='", 'c'],
      ["<a b='&#", '0'],
      ["<a b='&", 'n'],
      ['<a b ', ' '],
    ] as const) {
      expect(bytesUntilRefused(HEADER + start, piece, { startTagBytes: 500 })).to.equal(START + 501)
    }
    expect(bytesUntilRefused("<?xml version='1.0", ' ', { startTagBytes: 500 })).to.equal(501)
  })

  it('an element between elementBytes and skippedBytes is passed over, whole or in pieces', () => {
    const limits = { elementBytes: 40, skippedBytes: 80 }
    const large = `<message to='a@b'><x>${'y'.repeat(30)}</x></message>`
    const tokens = readEveryWay(`${HEADER}${large}<iq/>`, 'stream', limits)
    expect(tokens.map(({ kind }) => kind)).to.deep.equal(['header', 'oversize', 'element'])
    if (tokens[1]?.kind !== 'oversize') throw new Error('not passed over')
    expect(tokens[1].tag.attribute('to')).to.equal('a@b')
    expect(tokens[1].bytes).to.equal(large.length)
    const exact = (limit: Partial<TokenizerLimits>): string =>
      outcome(read([Buffer.from(HEADER + large)], 'stream', limit))
    expect(exact({ elementBytes: large.length, skippedBytes: large.length })).to.equal('element')
    expect(exact({ elementBytes: large.length - 1, skippedBytes: large.length })).to.equal('oversize')
    expect(exact({ elementBytes: 10, skippedBytes: large.length - 1 })).to.equal('policy-violation')
  })

  it('an element that is passed over is checked like any other', () => {
    const limits = { elementBytes: 20, skippedBytes: 8000 }
    for (const bad of ['</x>', '<p:x/>', "<x a='' a=''/>", ']]>', '\0', '&']) {
      const input = `${HEADER}<message><a>${'y'.repeat(50)}${bad} </a></message>`
      expect(outcome(readEveryWay(input, 'stream', limits))).to.equal('not-well-formed')
    }
  })

  it('limits may be widened while a stream runs', () => {
    const reader = tokenizer('stream', { streamBytes: START + 10, elementBytes: 10 })
    reader.write(Buffer.from(`${HEADER}<success/>`))
    expect(drain(reader).map(({ kind }) => kind)).to.deep.equal(['header', 'element'])
    reader.limits = { ...reader.limits, streamBytes: Number.POSITIVE_INFINITY, elementBytes: 100 }
    reader.write(Buffer.from('<message><body/></message>'))
    expect(outcome(drain(reader))).to.equal('element')
  })

  it('a restart begins the counts of the stream anew', () => {
    const reader = tokenizer('stream', { streamBytes: START + 4, streamElements: 1 })
    for (let i = 0; i < 3; i++) {
      reader.write(Buffer.from(`${HEADER}<a/>`))
      expect(drain(reader).map(({ kind }) => kind)).to.deep.equal(['header', 'element'])
      reader.restart()
    }
  })

  describe('abuse is cut at the limit', () => {
    const cut = (input: string): string => outcome(read([Buffer.from(HEADER + input)]))
    it('10^5 levels', () => {
      expect(cut('<a>'.repeat(100_000))).to.equal('policy-violation')
    })
    it('10^5 attributes', () => {
      expect(cut(`<a ${Array.from({ length: 100_000 }, (_, i) => `a${i}=''`).join(' ')}/>`)).to.equal(
        'policy-violation',
      )
    })
    it('10^5 namespaces', () => {
      expect(cut(`<a ${Array.from({ length: 100_000 }, (_, i) => `xmlns:a${i}='u'`).join(' ')}/>`)).to.equal(
        'policy-violation',
      )
    })
    it('10^6 siblings', () => {
      expect(cut(`<a>${'<b/>'.repeat(1_000_000)}</a>`)).to.equal('policy-violation')
    })
    it('endless text, CDATA, end tag', () => {
      for (const start of ['<a>', '<a><![CDATA[', '<a></a ', '</stream:stream ']) {
        expect(bytesUntilRefused(HEADER + start, ' '.repeat(1000), {})).to.be.below(START + 8 * 262_144 + 2000)
      }
    })
    it('white space between elements is counted, not kept', () => {
      const reader = tokenizer()
      reader.write(Buffer.from(HEADER))
      const space = Buffer.from(' '.repeat(10_000))
      for (let i = 0; i < 1000; i++) {
        reader.write(space)
        drain(reader)
        expect(reader.buffered).to.equal(0)
      }
      expect(bytesUntilRefused(HEADER, ' '.repeat(1000), { streamBytes: 65_536 })).to.be.below(68_000)
    })
  })

  it('memory: a small element does not hold on to the chunk it came in', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const kept: unknown[] = []
    collect()
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 60; i++) {
      const reader = tokenizer()
      const rest = `<message to='someone@there.example/${i}'><body>${'x'.repeat(200_000)}</body></message><half`
      reader.write(Buffer.from(`${HEADER}<presence from='somebody@somewhere.example/${i}'><a/></presence>${rest}`))
      const tokens = drain(reader)
      kept.push(tokens[1], reader)
    }
    const growth = (): number => process.memoryUsage().arrayBuffers - before
    for (let round = 0; round < 20 && growth() > 60 * 10_000; round++) {
      collect()
      await new Promise(setImmediate)
    }
    expect(growth()).to.be.below(60 * 10_000)
    expect(kept).to.have.length(120)
  })

  it('what was cut anywhere gives the same tokens at every limit', () => {
    const input = `${HEADER}<a ä='ö'>ü<b c='d&amp;e'/></a> <c/>`
    for (let limit = START; limit < Buffer.byteLength(input) + 2; limit++) {
      const tokens = readEveryWay(input, 'stream', { streamBytes: limit })
      expect(outcome(tokens)).to.equal(limit < Buffer.byteLength(input) ? 'policy-violation' : 'element')
    }
    for (let limit = 1; limit < 40; limit++)
      readEveryWay(input, 'stream', { elementBytes: limit, skippedBytes: 2 * limit })
    for (let limit = 1; limit < 20; limit++) readEveryWay("<a ä='ö&amp;'/>", 'document', { startTagBytes: limit })
  })
})
