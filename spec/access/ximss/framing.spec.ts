import { expect } from 'chai'
import fc from 'fast-check'
import { Framing } from '../../../lib/access/ximss/framing.js'

function all(framing: Framing): string[] {
  const seen: string[] = []
  for (let frame = framing.next(); frame !== undefined; frame = framing.next()) {
    seen.push(frame.kind === 'message' ? frame.bytes.toString() : frame.kind)
    if (frame.kind === 'overflow') break
  }
  return seen
}

describe('XIMSS framing', () => {
  it('cuts at zero bytes, several messages in one chunk', () => {
    const framing = new Framing(100)
    framing.push(Buffer.from('<a/>\0<b/>\0<c'))
    expect(all(framing)).to.deep.equal(['<a/>', '<b/>'])
    framing.push(Buffer.from('/>\0'))
    expect(all(framing)).to.deep.equal(['<c/>'])
    expect(framing.buffered).to.equal(false)
  })

  it('finds the same messages however the bytes arrive', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 30 }).map(value => value.replaceAll('\0', ''))
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), fc.array(fc.nat(40), { maxLength: 10 }), (texts, cuts) => {
        const bytes = Buffer.from(texts.map(value => `${value}\0`).join(''))
        const whole = new Framing(1000)
        whole.push(bytes)
        const expected = all(whole)
        expect(expected).to.deep.equal(texts.filter(value => /[^ \t\r\n]/.test(value)))
        const cut = new Framing(1000)
        const seen: string[] = []
        let at = 0
        for (const size of [...cuts, bytes.length]) {
          cut.push(bytes.subarray(at, at + size))
          at = Math.min(bytes.length, at + size)
          seen.push(...all(cut))
        }
        expect(seen).to.deep.equal(expected)
      }),
    )
  })

  it('gives the same byte by byte, for a message of many small pieces', () => {
    const framing = new Framing(10_000)
    const message = 'é€😀'.repeat(500)
    for (const byte of Buffer.from(`${message}\0`)) {
      expect(framing.next()).to.equal(undefined)
      framing.push(Buffer.of(byte))
    }
    expect(all(framing)).to.deep.equal([message])
  })

  it('skips empty and white-space messages, however many', () => {
    const framing = new Framing(10)
    framing.push(Buffer.concat([Buffer.alloc(100_000), Buffer.from(' \t\r\n\0<a/>\0')]))
    expect(all(framing)).to.deep.equal(['<a/>'])
  })

  it('never hands out what has no zero byte behind it', () => {
    const framing = new Framing(100)
    framing.push(Buffer.from('<a/>'))
    expect(framing.next()).to.equal(undefined)
    expect(framing.buffered).to.equal(true)
  })

  for (const cut of [1, 7, 100]) {
    it(`takes a message of the limit and not one byte more, in chunks of ${cut}`, () => {
      const fed = (size: number): string[] => {
        const framing = new Framing(20)
        const bytes = Buffer.from(`${'x'.repeat(size)}\0<a/>\0`)
        const seen: string[] = []
        for (let at = 0; at < bytes.length; at += cut) {
          framing.push(bytes.subarray(at, at + cut))
          seen.push(...all(framing))
        }
        return seen
      }
      expect(fed(20)).to.deep.equal(['x'.repeat(20), '<a/>'])
      expect(fed(21)).to.deep.equal(['overflow'])
    })
  }

  it('reports an endless message before its end', () => {
    const framing = new Framing(20)
    framing.push(Buffer.alloc(21, 'x'))
    expect(all(framing)).to.deep.equal(['overflow'])
  })
})
