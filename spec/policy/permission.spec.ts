import { expect } from 'chai'
import fc from 'fast-check'
import type { FederationSettings } from '../../lib/policy/federation-policy.js'
import { type PermissionEntry, PermissionIndex, permissionBy, readPattern } from '../../lib/policy/permission.js'

const NOW = new Date('2026-01-01T00:00:00Z')
const GENERAL: FederationSettings = { tlsPolicy: 'required', strictValidation: true, dialbackEnabled: true }

function entry(pattern: string, action: 'allow' | 'block', more: Partial<PermissionEntry> = {}): PermissionEntry {
  return { pattern, action, direction: 'both', demands: {}, reason: '', ...more }
}

const found = (entries: readonly PermissionEntry[], remote: string, recursive = true): string => {
  const one = new PermissionIndex(entries, recursive, NOW).find(remote, 'in')
  return one === undefined ? 'none' : `${one.action} ${one.pattern}`
}

describe('permission', () => {
  describe('the longest pattern counts', () => {
    const entries = [
      entry('*', 'block'),
      entry('a.example', 'allow'),
      entry('*.a.example', 'block'),
      entry('b.a.example', 'allow'),
      entry('*.b.a.example', 'block'),
      entry('z.example', 'allow'),
    ]
    for (const [remote, recursive, flat] of [
      ['a.example', 'allow a.example', 'allow a.example'],
      ['b.a.example', 'allow b.a.example', 'allow b.a.example'],
      ['c.a.example', 'block *.a.example', 'block *.a.example'],
      ['x.y.c.a.example', 'block *.a.example', 'block *.a.example'],
      ['c.b.a.example', 'block *.b.a.example', 'block *.b.a.example'],
      ['z.example', 'allow z.example', 'allow z.example'],
      ['sub.z.example', 'allow z.example', 'block *'],
      ['deep.sub.z.example', 'allow z.example', 'block *'],
      ['notz.example', 'block *', 'block *'],
      ['example', 'block *', 'block *'],
      ['constructor', 'block *', 'block *'],
      ['192.0.2.1', 'block *', 'block *'],
    ] as const) {
      it(`${remote}: ${recursive}; without sub-domains: ${flat}`, () => {
        expect(found(entries, remote)).to.equal(recursive)
        expect(found(entries, remote, false)).to.equal(flat)
      })
    }

    it('no entry covers a name that it does not name', () => {
      for (const remote of ['example', 'xa.example', 'a.example.org', 'b.example', '__proto__'])
        expect(found([entry('a.example', 'block'), entry('*.a.example', 'allow')], remote)).to.equal('none')
    })
  })

  it('of two entries with one pattern a block counts, in whatever order they are', () => {
    const block = entry('a.example', 'block', { direction: 'in' })
    const allow = entry('a.example', 'allow')
    for (const entries of [
      [block, allow],
      [allow, block],
    ]) {
      const index = new PermissionIndex(entries, true, NOW)
      expect(index.find('a.example', 'in')).to.equal(block)
      expect(index.find('a.example', 'out')).to.equal(allow)
    }
    const anyway = entry('a.example', 'block')
    expect(found([entry('a.example', 'allow', { direction: 'in' }), anyway], 'a.example')).to.equal('block a.example')
  })

  it('of two allows with one pattern the one for the direction counts', () => {
    const both = entry('a.example', 'allow')
    const only = entry('a.example', 'allow', { direction: 'out', demands: { tls: 'optional' } })
    for (const entries of [
      [both, only],
      [only, both],
    ]) {
      const index = new PermissionIndex(entries, true, NOW)
      expect(index.find('a.example', 'in')).to.equal(both)
      expect(index.find('a.example', 'out')).to.equal(only)
    }
  })

  it('entries that have expired do not count, not even at the moment itself; the next one to expire is known', () => {
    const at = (seconds: number): Date => new Date(NOW.getTime() + seconds * 1000)
    const entries = [
      entry('a.example', 'block', { expires: at(0) }),
      entry('b.example', 'block', { expires: at(2) }),
      entry('c.example', 'block', { expires: at(1) }),
      entry('*', 'allow'),
    ]
    expect(found(entries, 'a.example')).to.equal('allow *')
    expect(found(entries, 'b.example')).to.equal('block b.example')
    expect(new PermissionIndex(entries, true, NOW).nextExpiry).to.deep.equal(at(1))
    expect(new PermissionIndex(entries, true, at(1)).nextExpiry).to.deep.equal(at(2))
    expect(new PermissionIndex(entries, true, at(2)).nextExpiry).to.equal(undefined)
  })

  describe('what follows', () => {
    const rules = { tls: 'required', strict: true, external: true, dialback: true }
    it('without an entry: everybody on a blacklist, nobody on a whitelist', () => {
      expect(permissionBy(undefined, 'blacklist', GENERAL)).to.deep.equal({ rules })
      expect(permissionBy(undefined, 'whitelist', GENERAL)).to.deep.equal({
        refused: { kind: 'policy', detail: 'not-listed' },
      })
    })

    it('a block refuses on both, and its reason goes along for our admin', () => {
      for (const mode of ['blacklist', 'whitelist'] as const) {
        expect(permissionBy(entry('*', 'block'), mode, GENERAL)).to.deep.equal({
          refused: { kind: 'policy', detail: 'blocked' },
        })
        expect(permissionBy(entry('*', 'block', { reason: 'spam' }), mode, GENERAL)).to.deep.equal({
          refused: { kind: 'policy', detail: 'blocked', text: 'spam' },
        })
      }
    })

    for (const [demands, changed, proof] of [
      [{}, {}, undefined],
      [{ tls: 'optional' }, { tls: 'optional' }, undefined],
      [{ strict: false }, { strict: false }, undefined],
      [{ proof: 'external' }, { dialback: false }, 'external'],
      [{ proof: 'dialback' }, { external: false }, 'dialback'],
      [
        { tls: 'disabled', proof: 'dialback', strict: false },
        { tls: 'disabled', external: false, strict: false },
        'dialback',
      ],
    ] as const) {
      it(`an allow with ${JSON.stringify(demands)} changes ${JSON.stringify(changed)} of the rules`, () => {
        for (const mode of ['blacklist', 'whitelist'] as const) {
          expect(permissionBy(entry('*', 'allow', { demands }), mode, GENERAL)).to.deep.equal({
            rules: { ...rules, ...changed },
            ...(proof !== undefined && { proof }),
          })
        }
      })
    }

    it('a demand of a proof never brings back dialback that is switched off', () => {
      const off = { ...GENERAL, dialbackEnabled: false }
      for (const demands of [{}, { proof: 'dialback' }, { proof: 'external' }] as const) {
        const permission = permissionBy(entry('*', 'allow', { demands }), 'blacklist', off)
        expect('rules' in permission && permission.rules.dialback).to.equal(false)
      }
    })
  })

  describe('patterns', () => {
    for (const [text, pattern] of [
      ['A.Example', 'a.example'],
      [' a.example ', 'a.example'],
      ['a.example.', 'a.example'],
      ['ａ．example', 'a.example'],
      ['xn--bcher-kva.example', 'bücher.example'],
      ['BÜCHER.example', 'bücher.example'],
      ['bu\u0308cher.example', 'bücher.example'],
      ['*.XN--bcher-kva.example', '*.bücher.example'],
      ['*', '*'],
      ['192.0.2.1', '192.0.2.1'],
      ['', undefined],
      ['*.', undefined],
      ['*.*', undefined],
      ['a.*', undefined],
      ['*a.example', undefined],
      ['*.192.0.2.1', undefined],
      ['a example', undefined],
      ['olga@a.example', undefined],
      ['http://a.example', undefined],
      ['.a.example', undefined],
    ] as const) {
      it(`${JSON.stringify(text)} is ${pattern}`, () => expect(readPattern(text)).to.equal(pattern))
    }
  })

  describe('for any entries', () => {
    const label = fc.constantFrom('a', 'b', 'c', 'bücher')
    const name = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'))
    const pattern = fc.oneof(
      fc.constant('*'),
      name,
      name.map(suffix => `*.${suffix}`),
    )
    const some = fc.record({
      pattern,
      action: fc.constantFrom('allow' as const, 'block' as const),
      direction: fc.constantFrom('in' as const, 'out' as const, 'both' as const),
      demands: fc.constant({}),
      reason: fc.constant(''),
    })
    const covers = (one: string, remote: string, recursive: boolean): boolean =>
      one === '*' ||
      one === remote ||
      (one.startsWith('*.') && remote.endsWith(one.slice(1))) ||
      (recursive && remote.endsWith(`.${one}`))

    it('the one found is the longest that covers the name and the direction, and a block if there is one so long', () => {
      fc.assert(
        fc.property(
          fc.array(some),
          name,
          fc.constantFrom('in' as const, 'out' as const),
          fc.boolean(),
          (entries, remote, direction, recursive) => {
            const fitting = entries.filter(
              one =>
                covers(one.pattern, remote, recursive) && (one.direction === 'both' || one.direction === direction),
            )
            // The name itself before `*.suffix`, which is always longer than the name above it.
            const length = ({ pattern: text }: PermissionEntry): number =>
              text === remote ? 1000 : text === '*' ? 0 : text.length
            const longest = Math.max(...fitting.map(length))
            const best = fitting.filter(one => length(one) === longest)
            const one = new PermissionIndex(entries, recursive, NOW).find(remote, direction)
            if (best.length === 0) return one === undefined
            const action = best.some(other => other.action === 'block') ? 'block' : 'allow'
            return one?.pattern === best[0]?.pattern && one?.action === action
          },
        ),
      )
    })

    it('a pattern that was read is read again as itself, and every spelling of case is one pattern', () => {
      fc.assert(
        fc.property(pattern, fc.boolean(), (text, upper) => {
          const read = readPattern(upper ? text.toUpperCase() : text)
          expect(read).to.equal(text)
          expect(readPattern(read!)).to.equal(read)
        }),
      )
      fc.assert(
        fc.property(fc.string({ unit: 'grapheme' }), text => {
          const read = readPattern(text)
          fc.pre(read !== undefined)
          expect(readPattern(read)).to.equal(read)
        }),
      )
    })
  })
})
