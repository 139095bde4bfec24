import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { MemoryNetwork } from '../support/memory-federation.js'
import { type CaseWorld, InitiatorCase, OwnCase, ReceiverCase } from '../support/scripted-case.js'
import {
  allSettings,
  type Expected,
  expectedOutcome,
  expectedWithOwnServer,
  type Outcome,
  settingsOf,
  tally,
} from '../support/scripted-matrix.js'
import { type PeerSettings, ScriptedCertificates } from '../support/scripted-party.js'

const strict = settingsOf(true)
const lax = settingsOf(false)
const policies = ['disabled', 'optional', 'required'] as const

type Sides = readonly [initiator: PeerSettings, receiver: PeerSettings]
type CaseKind = typeof InitiatorCase | typeof ReceiverCase | typeof OwnCase

function pairs(initiators: readonly PeerSettings[], receivers: readonly PeerSettings[]): readonly Sides[] {
  return initiators.flatMap(i => receivers.map(r => [i, r] as const))
}

function withPolicies(cases: readonly Sides[], i: PeerSettings['tls'], r: PeerSettings['tls']): readonly Sides[] {
  return cases.filter(([initiator, receiver]) => initiator.tls === i && receiver.tls === r)
}

describe('the rule of the policy matrix', () => {
  it('gives the totals by strictness', () => {
    const totals = (i: readonly PeerSettings[], r: readonly PeerSettings[]): string =>
      tally(pairs(i, r).map(([one, other]) => expectedOutcome(one, other).outcome))
    expect(totals(strict, strict)).to.equal('274/30/4/16')
    expect(totals(strict, lax)).to.equal('270/30/8/16')
    expect(totals(lax, strict)).to.equal('262/30/16/16')
    expect(totals(lax, lax)).to.equal('258/30/20/16')
    expect(totals(allSettings, allSettings)).to.equal('1064/120/48/64')
  })

  it('gives the totals by pair of policies', () => {
    const table = policies.map(i =>
      policies.map(r =>
        tally(withPolicies(pairs(strict, strict), i, r).map(sides => expectedOutcome(...sides).outcome)),
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
    expect(counts(pairs(strict, strict))).to.deep.equal([72, 108, 12, 36, 48, 0, 16, 16, 0, 16])
    expect(counts(pairs(allSettings, allSettings))).to.deep.equal([288, 432, 48, 144, 96, 96, 64, 32, 32, 64])
  })

  it('gives the totals where the initiating server has to confirm its own key', () => {
    expect(tally(pairs(strict, strict).map(sides => expectedWithOwnServer(...sides).outcome))).to.equal('278/29/1/16')
  })
})

/** Enough to keep two processors busy with handshakes; more would only add to what is held at once. */
const AT_ONCE = 12

describe('the policy matrix', () => {
  const authority = new TestAuthority()
  const certificates = new ScriptedCertificates(authority)
  const world: CaseWorld = { authority, certificates, newNetwork: () => new MemoryNetwork() }

  async function play(
    kind: CaseKind,
    cases: readonly Sides[],
    rule: (i: PeerSettings, r: PeerSettings) => Expected,
    confirms: 'other' | 'initiator',
  ): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = []
    const faults: string[] = []
    const left = [...cases]
    const worker = async (): Promise<void> => {
      for (let sides = left.pop(); sides !== undefined; sides = left.pop()) {
        const [initiator, receiver] = sides
        const options = { initiator, receiver, expected: rule(initiator, receiver), confirms }
        const observed = await new kind(world, options).run()
        outcomes.push(observed.outcome)
        faults.push(...observed.faults)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    expect(faults, `\n${faults.join('\n')}\n`).to.deep.equal([])
    return outcomes
  }

  for (const [name, kind] of [
    ['as initiating entity', InitiatorCase],
    ['as receiving entity', ReceiverCase],
    ['on both ends', OwnCase],
  ] as const) {
    describe(name, () => {
      for (const i of policies) {
        it(`RFC 6120 §5, §6, XEP-0220: initiating policy ${i}, 432 cases`, async () => {
          const cases = policies.flatMap(r => withPolicies(pairs(allSettings, allSettings), i, r))
          await play(kind, cases, expectedOutcome, 'other')
        }).timeout(60_000)
      }

      it('XEP-0220 §2.2: 324 strict cases in which the initiating server confirms its own key', async () => {
        const outcomes = await play(kind, pairs(strict, strict), expectedWithOwnServer, 'initiator')
        expect(tally(outcomes)).to.equal('278/29/1/16')
      }).timeout(60_000)
    })
  }
})
