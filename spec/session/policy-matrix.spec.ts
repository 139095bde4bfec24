import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { MemoryNetwork } from '../support/memory-federation.js'
import { Arena } from '../support/scripted-arena.js'
import {
  type CaseKind,
  InitiatorCase,
  OwnCase,
  pairs,
  playAll,
  ReceiverCase,
  type Sides,
} from '../support/scripted-case.js'
import { LoopbackNetwork } from '../support/scripted-loopback.js'
import {
  allSettings,
  expectedOutcome,
  expectedWithOwnServer,
  laxSettings,
  strictSettings,
  tally,
} from '../support/scripted-matrix.js'
import { type PeerSettings, ScriptedCertificates } from '../support/scripted-party.js'

const policies = ['disabled', 'optional', 'required'] as const

function withPolicies(cases: readonly Sides[], i: PeerSettings['tls'], r: PeerSettings['tls']): readonly Sides[] {
  return cases.filter(([initiator, receiver]) => initiator.tls === i && receiver.tls === r)
}

describe('the rule of the policy matrix', () => {
  it('gives the totals by strictness', () => {
    const totals = (i: readonly PeerSettings[], r: readonly PeerSettings[]): string =>
      tally(pairs(i, r).map(([one, other]) => expectedOutcome(one, other).outcome))
    expect(totals(strictSettings, strictSettings)).to.equal('274/30/4/16')
    expect(totals(strictSettings, laxSettings)).to.equal('270/30/8/16')
    expect(totals(laxSettings, strictSettings)).to.equal('262/30/16/16')
    expect(totals(laxSettings, laxSettings)).to.equal('258/30/20/16')
    expect(totals(allSettings, allSettings)).to.equal('1064/120/48/64')
  })

  it('gives the totals by pair of policies', () => {
    const table = policies.map(i =>
      policies.map(r =>
        tally(
          withPolicies(pairs(strictSettings, strictSettings), i, r).map(sides => expectedOutcome(...sides).outcome),
        ),
      ),
    )
    expect(table).to.deep.equal([
      ['27/9/0/0', '27/9/0/0', '36/0/0/0'],
      ['27/9/0/0', '28/3/1/4', '31/0/1/4'],
      ['36/0/0/0', '31/0/1/4', '31/0/1/4'],
    ])
  })

  it('gives each row its number of cases', () => {
    const counts = (cases: readonly Sides[]): number[] => {
      const rows = Array.from({ length: 10 }, () => 0)
      for (const sides of cases) rows[expectedOutcome(...sides).row - 1]!++
      return rows
    }
    expect(counts(pairs(strictSettings, strictSettings))).to.deep.equal([72, 108, 12, 36, 48, 0, 16, 16, 0, 16])
    expect(counts(pairs(allSettings, allSettings))).to.deep.equal([288, 432, 48, 144, 96, 96, 64, 32, 32, 64])
  })

  it('gives the totals where the initiating server has to confirm its own key', () => {
    expect(tally(pairs(strictSettings, strictSettings).map(sides => expectedWithOwnServer(...sides).outcome))).to.equal(
      '278/29/1/16',
    )
  })
})

describe('the policy matrix', () => {
  const authority = new TestAuthority()
  const certificates = new ScriptedCertificates(authority)

  async function play(
    kind: CaseKind,
    cases: readonly Sides[],
    confirms: 'other' | 'initiator',
    network = new MemoryNetwork(),
  ): Promise<string> {
    const arena = new Arena({ authority, certificates, network, confirms })
    const rule = confirms === 'other' ? expectedOutcome : expectedWithOwnServer
    const { outcomes, faults } = await playAll(arena, kind, cases, rule)
    expect(faults, `\n${faults.join('\n')}\n`).to.deep.equal([])
    return tally(outcomes)
  }

  for (const [name, kind] of [
    ['as initiating entity', InitiatorCase],
    ['as receiving entity', ReceiverCase],
    ['on both ends', OwnCase],
  ] as const) {
    it(`RFC 6120 §5, §6, XEP-0220: every setting of both sides, ${name} (1296 cases)`, async () => {
      expect(await play(kind, pairs(allSettings, allSettings), 'other')).to.equal('1064/120/48/64')
    }).timeout(60_000)

    it(`XEP-0220 §2.2: the initiating server has to confirm its own key, ${name} (324 cases)`, async () => {
      expect(await play(kind, pairs(strictSettings, strictSettings), 'initiator')).to.equal('278/29/1/16')
    }).timeout(60_000)

    it(`RFC 6120 §5, §6, XEP-0220: over real sockets, ${name} (324 cases)`, async () => {
      const network = new LoopbackNetwork()
      await network.open()
      try {
        expect(await play(kind, pairs(strictSettings, strictSettings), 'other', network)).to.equal('274/30/4/16')
      } finally {
        await network.close()
      }
    }).timeout(60_000)
  }
})
