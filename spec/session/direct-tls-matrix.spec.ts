import { expect } from 'chai'
import { TestAuthority } from '../support/authority.js'
import { MemoryNetwork } from '../support/memory-federation.js'
import { Arena } from '../support/scripted-arena.js'
import { type CaseKind, InitiatorCase, OwnCase, pairs, playAll, ReceiverCase } from '../support/scripted-case.js'
import { LoopbackNetwork } from '../support/scripted-loopback.js'
import { expectedByDirectTls, laxSettings, strictSettings, tally } from '../support/scripted-matrix.js'
import { type PeerSettings, ScriptedCertificates } from '../support/scripted-party.js'

/** The receiving side of a Direct TLS address: its TLS policy has nothing to say there. */
const receivers = (settings: readonly PeerSettings[]): readonly PeerSettings[] =>
  settings.filter(({ tls }) => tls === 'required')

const TOTALS = [
  ['strict', strictSettings, 'strict', strictSettings, '98/0/2/8'],
  ['strict', strictSettings, 'lax', laxSettings, '96/0/4/8'],
  ['lax', laxSettings, 'strict', strictSettings, '92/0/8/8'],
  ['lax', laxSettings, 'lax', laxSettings, '90/0/10/8'],
] as const

const KINDS = [
  ['as initiating entity', InitiatorCase],
  ['as receiving entity', ReceiverCase],
  ['on both ends', OwnCase],
] as const

describe('the policy matrix, Direct TLS only', () => {
  const authority = new TestAuthority()
  const certificates = new ScriptedCertificates(authority)

  async function play(
    kind: CaseKind,
    initiators: readonly PeerSettings[],
    others: readonly PeerSettings[],
    network = new MemoryNetwork(),
  ): Promise<string> {
    const arena = new Arena({ authority, certificates, network, confirms: 'other', directTls: true })
    const { outcomes, faults } = await playAll(arena, kind, pairs(initiators, receivers(others)), expectedByDirectTls)
    expect(faults, `\n${faults.join('\n')}\n`).to.deep.equal([])
    return tally(outcomes)
  }

  for (const [initiating, initiators, receiving, others, total] of TOTALS) {
    it(`the rule gives the totals for a ${initiating} initiating and a ${receiving} receiving entity`, () => {
      const outcomes = pairs(initiators, receivers(others)).map(sides => expectedByDirectTls(...sides).outcome)
      expect(outcomes).to.have.length(108)
      expect(tally(outcomes)).to.equal(total)
    })

    for (const [name, kind] of KINDS) {
      it(`XEP-0368, RFC 6120 §6, XEP-0220: ${initiating} towards ${receiving}, ${name} (108 cases)`, async () => {
        expect(await play(kind, initiators, others)).to.equal(total)
      }).timeout(60_000)
    }
  }

  for (const [name, kind] of KINDS) {
    it(`XEP-0368: over real sockets, ${name} (108 cases)`, async () => {
      const network = new LoopbackNetwork()
      await network.open()
      try {
        expect(await play(kind, strictSettings, strictSettings, network)).to.equal('98/0/2/8')
      } finally {
        await network.close()
      }
    }).timeout(60_000)
  }
})
