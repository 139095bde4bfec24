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

/** One of each certificate state and strictness, against which all of them are played in both directions. */
const partners = sides.filter(
  ({ tls, certificate, fixture }) =>
    tls === 'required' && (certificate === 'missing' || fixture === 'expired' || fixture === 'both'),
)
const others = sides.filter(side => !partners.includes(side))
const cases = [...pairs(sides, partners), ...pairs(partners, others)]

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
      const { outcomes, faults } = await playAll(arena, kind, cases, expectedOutcome)
      expect(faults, `\n${faults.join('\n')}\n`).to.deep.equal([])
      expect(tally(outcomes)).to.equal(tally(cases.map(([i, r]) => expectedOutcome(i, r).outcome)))
    }).timeout(60_000)
  }
})
