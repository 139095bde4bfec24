import { expect } from 'chai'
import {
  evidenceOf,
  isRelated,
  obstacle,
  type ReuseKind,
  reuseKind,
  type StreamFacts,
} from '../../lib/session/reuse.js'
import { DomainPair } from '../../lib/stanza/domain-pair.js'

describe('which live stream may carry one more pair', () => {
  describe('XEP-0220 §2.5: names that lie above one another', () => {
    for (const [one, other, related] of [
      ['dyn.example', 'evil.dyn.example', true],
      ['a.b.dyn.example', 'dyn.example', true],
      ['dyn.example', 'dyn.example', false],
      ['a.dyn.example', 'b.dyn.example', false],
      ['dyn.example', 'notdyn.example', false],
      ['notdyn.example', 'dyn.example', false],
      ['dyn.example', 'dyn.example.org', false],
      ['example', 'dyn.example', true],
    ] as const) {
      it(`${one} and ${other}: ${related ? 'yes' : 'no'}`, () => {
        expect(isRelated(one, other)).to.equal(related)
        expect(isRelated(other, one)).to.equal(related)
      })
    }
  })

  describe('XEP-0220 §2.5: what a stream with these pairs is to here.example → dyn.example', () => {
    const wanted = new DomainPair('here.example', 'dyn.example')
    for (const [proven, kind] of [
      [['also.example dyn.example'], 'sender'],
      [['here.example chat.dyn.example'], 'target'],
      [['here.example example'], 'target'],
      [['also.example chat.dyn.example'], 'both'],
      [['also.example chat.dyn.example', 'here.example chat.dyn.example'], 'target'],
      [['here.example chat.dyn.example', 'also.example chat.dyn.example'], 'target'],
      [['here.example chat.dyn.example', 'also.example dyn.example'], 'sender'],
      [['here.example other.example', 'also.example notdyn.example'], undefined],
      [[], undefined],
    ] as const satisfies readonly (readonly [readonly string[], ReuseKind | undefined])[]) {
      it(`${proven.join(', ') || 'none'}: ${kind ?? 'nothing'}`, () => {
        const pairs = proven.map(names => new DomainPair(names.split(' ')[0]!, names.split(' ')[1]!))
        expect(reuseKind(wanted, pairs)).to.equal(kind)
      })
    }
  })

  describe('what keeps it from being asked', () => {
    const fine: StreamFacts = {
      usable: true,
      declined: false,
      full: false,
      encrypted: true,
      leftTlsOut: false,
      dialback: 'errors',
      verified: true,
    }
    const strict = { tls: 'required', strict: true } as const
    const lax = { tls: 'required', strict: false } as const
    const optional = { tls: 'optional', strict: true } as const
    const disabled = { tls: 'disabled', strict: true } as const

    for (const [title, kinds, facts, rules, refused] of [
      ['nothing, when all is well', ['sender', 'target', 'both'], {}, strict, undefined],
      ['RFC 6120 §4.4: that it is closing', ['sender', 'target', 'both'], { usable: false }, strict, /closed/],
      ['XEP-0220 §2.4: that it was asked before', ['sender', 'target', 'both'], { declined: true }, strict, /before/],
      ['that it is full', ['sender', 'target', 'both'], { full: true }, strict, /as many pairs/],
      ['RFC 7590 §3.1: no TLS where required', ['sender', 'target', 'both'], { encrypted: false }, strict, /encrypted/],
      [
        'RFC 7590 §3.1: TLS that was offered and not taken',
        ['sender', 'both'],
        { encrypted: false, leftTlsOut: true },
        optional,
        /TLS that is offered/,
      ],
      ['not a peer without TLS where it is optional', ['sender'], { encrypted: false }, optional, undefined],
      [
        'not TLS left out where it is disabled',
        ['sender'],
        { encrypted: false, leftTlsOut: true },
        disabled,
        undefined,
      ],
      ['XEP-0220 §2.3: no sign of dialback', ['sender', 'target', 'both'], { dialback: 'none' }, strict, /not offer/],
      ['XEP-0220 §2.3.1: not dialback on the header alone', ['sender'], { dialback: 'header' }, strict, undefined],
      ['XEP-0220 §2.4: no errors, to another domain', ['target', 'both'], { dialback: 'feature' }, strict, /promise/],
      [
        'XEP-0220 §2.4: nor the header, to another domain',
        ['target', 'both'],
        { dialback: 'header' },
        strict,
        /promise/,
      ],
      ['not the lack of errors, to the same domain', ['sender'], { dialback: 'feature' }, strict, undefined],
      ['a certificate of somebody else', ['sender'], { verified: false }, strict, /certificate/],
      ['no certificate before the evidence is looked at', ['target', 'both'], { verified: false }, strict, undefined],
      ['not a certificate when lax', ['sender', 'target', 'both'], { verified: false }, lax, undefined],
    ] as const satisfies readonly (readonly [
      string,
      readonly ReuseKind[],
      Partial<StreamFacts>,
      Parameters<typeof obstacle>[2],
      RegExp | undefined,
    ])[]) {
      it(`${title} (${kinds.join(', ')})`, () => {
        for (const kind of kinds) {
          const reason = obstacle(kind, { ...fine, ...facts }, rules)
          if (refused === undefined) expect(reason).to.equal(undefined)
          else expect(reason).to.match(refused)
        }
      })
    }
  })

  describe('XEP-0220 §2.6.2: what shows that its peer speaks for a related domain', () => {
    for (const [strict, certificate, place, provenTogether, evidence] of [
      [true, 'verified', 'there', false, 'certificate'],
      [true, 'verified', 'elsewhere', false, 'certificate'],
      [true, 'verified', 'nowhere', false, 'certificate'],
      [true, 'verified', 'signed elsewhere', true, undefined],
      [true, 'verified', 'unknown', true, undefined],
      [true, 'unverified', 'there', true, undefined],
      [true, 'contradicted', 'there', true, undefined],
      [false, 'verified', 'elsewhere', false, 'certificate'],
      [false, 'verified', 'signed elsewhere', false, undefined],
      [false, 'verified', 'unknown', true, 'incoming stream'],
      [false, 'unverified', 'there', false, 'dns'],
      [false, 'unverified', 'elsewhere', false, undefined],
      [false, 'unverified', 'elsewhere', true, 'incoming stream'],
      [false, 'unverified', 'nowhere', false, undefined],
      [false, 'contradicted', 'there', true, undefined],
    ] as const satisfies readonly (readonly [boolean, ...unknown[]])[]) {
      const also = provenTogether ? ', both proven by it' : ''
      it(`${strict ? 'strict' : 'lax'}, certificate ${certificate}, DNS ${place}${also}: ${evidence ?? 'nothing'}`, () => {
        expect(evidenceOf({ strict, certificate, place, provenTogether })).to.equal(evidence)
      })
    }
  })
})
