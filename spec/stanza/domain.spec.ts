import { expect } from 'chai'
import fc from 'fast-check'
import { domainToAscii, isIpLiteral, isOnionName, isUsableRemoteName, prepareDomain } from '../../lib/stanza/domain.js'

/** Text that comes near to being a domain often enough to get past the first checks. */
const nearlyADomain = fc
  .array(
    fc.string({
      unit: fc.oneof(fc.constantFrom(...'aAzZ09-_.ßẞΣςöÖéｅ。．｡xn'), fc.string({ unit: 'binary', maxLength: 1 })),
      maxLength: 6,
    }),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map(labels => labels.join('.'))

describe('domainpart', () => {
  const names: readonly (readonly [string, string, string])[] = [
    ['localhost', 'localhost', 'localhost'],
    ['Example.COM', 'example.com', 'example.com'],
    ['example.com.', 'example.com', 'example.com'],
    ['example.com\u3002', 'example.com', 'example.com'],
    ['\uFF45\uFF58\uFF41\uFF4D\uFF50\uFF4C\uFF45\uFF0E\uFF43\uFF4F\uFF4D', 'example.com', 'example.com'],
    ['example\uFF61com', 'example.com', 'example.com'],
    ['3com.example', '3com.example', '3com.example'],
    ['B\u00DCCHER.example', 'b\u00FCcher.example', 'xn--bcher-kva.example'],
    ['bu\u0308cher.example', 'b\u00FCcher.example', 'xn--bcher-kva.example'],
    ['XN--BCHER-KVA.example', 'b\u00FCcher.example', 'xn--bcher-kva.example'],
    ['stra\u00DFe.example', 'stra\u00DFe.example', 'xn--strae-oqa.example'],
    ['STRA\u1E9EE.example', 'stra\u00DFe.example', 'xn--strae-oqa.example'],
    ['strasse.example', 'strasse.example', 'strasse.example'],
    ['\u03B2\u03CC\u03BB\u03BF\u03C2.example', '\u03B2\u03CC\u03BB\u03BF\u03C2.example', 'xn--nxasmm1c.example'],
    ['\u0392\u038C\u039B\u039F\u03A3.example', '\u03B2\u03CC\u03BB\u03BF\u03C3.example', 'xn--nxasmq6b.example'],
    [
      '\u0646\u0627\u0645\u0647\u200C\u0627\u06CC.example',
      '\u0646\u0627\u0645\u0647\u200C\u0627\u06CC.example',
      'xn--mgba3gch31f060k.example',
    ],
    ['l\u00B7l.example', 'l\u00B7l.example', 'xn--ll-0ea.example'],
    ['\u4F8B\u5B50.\u6D4B\u8BD5', '\u4F8B\u5B50.\u6D4B\u8BD5', 'xn--fsqu00a.xn--0zwm56d'],
    ['\u13A0\u13A1.example', '\u13A0\u13A1.example', 'xn--58dc.example'],
  ]
  for (const [written, canonical, ascii] of names) {
    it(`RFC 7622 §3.2: ${JSON.stringify(written)} is ${canonical}`, () => {
      expect(prepareDomain(written)).to.equal(canonical)
      expect(prepareDomain(canonical)).to.equal(canonical)
      expect(prepareDomain(ascii)).to.equal(canonical)
      expect(domainToAscii(canonical)).to.equal(ascii)
      expect(isUsableRemoteName(written)).to.equal(true)
    })
  }

  const refused: readonly (readonly [string, readonly string[]])[] = [
    ['RFC 7622 §3.2: nothing, or dots alone', ['', '.', '..', '\u3002']],
    ['RFC 1035 §2.3.1: an empty label', ['a..b', '.a', 'a..', 'a.\uFF0Eb']],
    [
      'RFC 5890 §2.3.1: what is no letter, digit or hyphen',
      ['_x', '__proto__', '_xmpp-server._tcp.a', 'ex%41mple.com', 'a b', 'a\tb', 'a\n', 'a\0'],
    ],
    ['RFC 7622 §3.1: separators and ports', ['a/b', 'a@b', 'example.com:5269', 'a\uFF20b', 'a\uFF0Fb', '[::1]:5269']],
    ['RFC 5891 §4.2.3.1: hyphens at the ends or in places three and four', ['-a', 'a-', 'a.-b', 'ab--c.example']],
    [
      'RFC 1123 §2.1: a number at the end',
      ['1.2', '127.1', '256.0.0.1', '127.0.0.01', '0x7f000001', 'a.0X7f', '1', '1.2.3.4.5', 'b\u00FC.7'],
    ],
    [
      'RFC 5892 §2: symbols, emoji, compatibility forms',
      ['\u2603.net', 'xn--n3h.net', '\u{1F4A9}.la', '\u2460.com', '\u00AA.com', '\u212A\u2163.com'],
    ],
    [
      'RFC 5892 §2: what is invisible',
      ['exam\u00ADple.com', 'exam\u200Bple.com', '\uFEFFexample.com', 'a\uFE0F.com', 'a\u202E.com'],
    ],
    ['RFC 5892 §2: unassigned, private, surrogate', ['\u0378.com', '\uE000.com', 'a\uD800.com']],
    [
      'RFC 5892 A: characters out of their context',
      ['a\u200Cb.com', 'a\u200Db.com', 'a\u00B7b.com', '\u30FB.com', '\u0660\u06F0.com'],
    ],
    ['RFC 5893 §2: a label against the Bidi Rule', ['a\u05D0.com', '\u05D0-.com', '\u05D0.1a', '1a.\u05D0']],
    [
      'RFC 5891 §5.4: A-labels that do not round trip',
      [
        'xn--a',
        'xn--',
        'xn--a-',
        'xn--bcher-kv',
        'xn--b\u00FC',
        'xn--Bcher-kva-',
        'xn--strae-',
        'xn--a.example',
        'xn--xn---epa',
        'xn--99999999',
      ],
    ],
    [
      'RFC 1035 §2.3.4: labels and names that are too long',
      [
        'a'.repeat(64),
        'a'.repeat(300),
        `${'a'.repeat(300)}.example`,
        '\u00FC'.repeat(60),
        `${'a.'.repeat(127)}a`,
        '\u4F8B'.repeat(300),
      ],
    ],
    [
      'RFC 3986 §3.2.2: what is nearly an address',
      ['[::1', '::1', '[]', '[1.2.3.4]', '[fe80::1%25eth0]', '[fe80::1%eth0]', '[v1.a]', '[::g]', '[::1].'],
    ],
  ]
  for (const [title, texts] of refused) {
    it(`${title}: refused`, () => {
      for (const text of texts) {
        expect(prepareDomain(text), JSON.stringify(text.slice(0, 40))).to.equal(undefined)
        expect(isUsableRemoteName(text)).to.equal(false)
      }
    })
  }

  it('RFC 7686 §2: a name in Tor is a domain, but none that can be reached', () => {
    for (const name of ['onion', 'a.onion', 'A.ONION.']) {
      expect(isOnionName(prepareDomain(name) ?? '')).to.equal(true)
      expect(isUsableRemoteName(name)).to.equal(false)
    }
    expect(isUsableRemoteName('onion.example')).to.equal(true)
    expect(isOnionName('onion.example') || isOnionName('anonion')).to.equal(false)
  })

  it('RFC 1035 §2.3.4: the longest label and the longest name are names', () => {
    const label = 'a'.repeat(63)
    const name = `${label}.${label}.${label}.${'a'.repeat(61)}`
    expect(prepareDomain(label)).to.equal(label)
    expect(prepareDomain(`${name}.`)).to.equal(name)
    expect(prepareDomain(`${name}a`)).to.equal(undefined)
    expect(domainToAscii(prepareDomain('\u00FC'.repeat(57)) ?? '')).to.have.lengthOf(63)
    expect(prepareDomain('\u00FC'.repeat(58))).to.equal(undefined)
  })

  it('RFC 5890 §2.3.2.1: text that is no name has no A-label form', () => {
    expect(() => domainToAscii('b\u00FC..example')).to.throw(RangeError)
  })

  it('RFC 3986 §3.2.2: IP literals are domainparts, in one spelling, and no remote names', () => {
    for (const [written, canonical] of [
      ['127.0.0.1', '127.0.0.1'],
      ['[::1]', '[::1]'],
      ['[0:0:0:0:0:0:0:1]', '[::1]'],
      ['[2001:DB8::0a]', '[2001:db8::a]'],
      ['1.2.3.4.', '1.2.3.4'],
      ['\uFF11.2.3.4', '1.2.3.4'],
    ] as const) {
      expect(prepareDomain(written)).to.equal(canonical)
      expect(isIpLiteral(canonical)).to.equal(true)
      expect(domainToAscii(canonical)).to.equal(canonical)
      expect(isUsableRemoteName(written)).to.equal(false)
    }
    expect(isIpLiteral('example.com')).to.equal(false)
    expect(isIpLiteral('1.2.3.example')).to.equal(false)
  })

  it('RFC 7622 §3.2: the canonical form is its own, and its A-label form leads back to it', () => {
    let valid = 0
    fc.assert(
      fc.property(nearlyADomain, text => {
        const domain = prepareDomain(text)
        if (domain === undefined) return
        valid++
        expect(prepareDomain(domain)).to.equal(domain)
        expect(prepareDomain(domainToAscii(domain))).to.equal(domain)
        expect(domain).to.equal(domain.normalize('NFC'))
      }),
      { numRuns: 3000 },
    )
    expect(valid).to.be.greaterThan(0)
  })

  it('RFC 5892 §2: different one-letter names never share an A-label form', () => {
    const names = new Map<string, string>()
    for (let codePoint = 0x80; codePoint < 0x3100; codePoint++) {
      const domain = prepareDomain(String.fromCodePoint(codePoint))
      if (domain === undefined) continue
      const ascii = domainToAscii(domain)
      expect(names.get(ascii) ?? domain).to.equal(domain)
      names.set(ascii, domain)
    }
    expect(names.size).to.be.greaterThan(1000)
  })
})
