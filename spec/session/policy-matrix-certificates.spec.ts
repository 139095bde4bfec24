import { expect } from 'chai'
import { FIXTURES, TestAuthority } from '../support/authority.js'
import { MemoryNetwork } from '../support/memory-federation.js'
import { Arena } from '../support/scripted-arena.js'
import { InitiatorCase, OwnCase, pairs, playAll, ReceiverCase } from '../support/scripted-case.js'
import { expectedOutcome, tally } from '../support/scripted-matrix.js'
import { GOOD_FIXTURES, type PeerSettings, ScriptedCertificates } from '../support/scripted-party.js'

/** Every certificate that there is, and none, under the policies that use them. */
const sides: readonly PeerSettings[] = (['optional', 'required'] as const).flatMap(tls =>
  [true, false].flatMap(strict => [
    { tls, certificate: 'missing' as const, dialback: true, strict },
    ...FIXTURES.map(fixture => ({
      tls,
      certificate: GOOD_FIXTURES.includes(fixture) ? ('valid' as const) : ('invalid' as const),
      dialback: true,
      strict,
      fixture,
    })),
  ]),
)

/** 44 sides towards one of each certificate state, in both directions. */
const partners = sides.filter(
  ({ certificate, fixture }) => certificate === 'missing' || fixture === 'expired' || fixture === 'both',
)
const cases = [...pairs(sides, partners), ...pairs(partners, sides)]

describe('the policy matrix, certificate by certificate', () => {
  const authority = new TestAuthority()
  const certificates = new ScriptedCertificates(authority)

  for (const [name, kind] of [
    ['as initiating entity', InitiatorCase],
    ['as receiving entity', ReceiverCase],
    ['on both ends', OwnCase],
  ] as const) {
    it(`RFC 6120 §13.7.2, RFC 5280 §6: every defect counts the same, ${name} (${cases.length} cases)`, async () => {
      const arena = new Arena({ authority, certificates, network: new MemoryNetwork(), confirms: 'other' })
      const once = cases.filter((sides, at) => cases.findIndex(([i, r]) => i === sides[0] && r === sides[1]) === at)
      const { outcomes, faults } = await playAll(arena, kind, once, expectedOutcome)
      expect(faults, `\n${faults.join('\n')}\n`).to.deep.equal([])
      expect(tally(outcomes)).to.equal(tally(once.map(([i, r]) => expectedOutcome(i, r).outcome)))
    }).timeout(60_000)
  }
})
