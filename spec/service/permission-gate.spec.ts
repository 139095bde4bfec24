import { expect } from 'chai'
import type { PermissionEntry } from '../../lib/policy/permission.js'
import { PermissionGate } from '../../lib/service/permission-gate.js'
import { type Settings, settingsOf } from '../../lib/service/settings.js'
import { ManualClock } from '../support/manual-clock.js'
import { ScriptedLog } from '../support/scripted-log.js'

describe('permission gate', () => {
  let clock: ManualClock
  let settings: Settings
  let log: ScriptedLog
  let told: number
  beforeEach(() => {
    clock = new ManualClock()
    settings = settingsOf({})
    log = new ScriptedLog()
    told = 0
  })

  const entry = (pattern: string, action: 'allow' | 'block', seconds?: number): PermissionEntry => ({
    pattern,
    direction: 'both',
    action,
    demands: {},
    reason: '',
    ...(seconds !== undefined && { expires: new Date(clock.date().getTime() + seconds * 1000) }),
  })
  const gateOf = (...entries: readonly PermissionEntry[]): PermissionGate => {
    const gate = new PermissionGate({ clock, log, settings, entries })
    gate.watch(() => told++)
    return gate
  }
  const saysOf = (gate: PermissionGate, remote: string, direction: 'incoming' | 'outgoing' = 'incoming'): string => {
    const answer = gate.ask(remote, direction)
    return 'refused' in answer ? answer.refused.detail : 'allowed'
  }

  it('both modes, changed while running', () => {
    const gate = gateOf(entry('good.example', 'allow'), entry('bad.example', 'block'))
    const all = (): string[] => ['good.example', 'bad.example', 'other.example', ''].map(name => saysOf(gate, name))
    expect(all()).to.deep.equal(['allowed', 'blocked', 'allowed', 'allowed'])
    settings.apply('xmpp.server.permission', 'whitelist', 'stored')
    expect(all()).to.deep.equal(['allowed', 'blocked', 'not-listed', 'allowed'])
    settings.apply('xmpp.server.permission', 'blacklist', 'stored')
    expect(all()).to.deep.equal(['allowed', 'blocked', 'allowed', 'allowed'])
  })

  it('whoever names no domain is under the settings alone, even where everybody is blocked or has terms', () => {
    const gate = gateOf({ ...entry('*', 'allow'), demands: { tls: 'optional' } })
    expect(gate.ask('', 'incoming')).to.have.nested.property('rules.tls', 'required')
    expect(gate.ask('a.example', 'incoming')).to.have.nested.property('rules.tls', 'optional')
    gate.replace([entry('*', 'block')])
    expect([saysOf(gate, ''), saysOf(gate, 'a.example')]).to.deep.equal(['allowed', 'blocked'])
  })

  it('directions are told apart', () => {
    const gate = gateOf({ ...entry('a.example', 'block'), direction: 'in' })
    expect([saysOf(gate, 'a.example'), saysOf(gate, 'a.example', 'outgoing')]).to.deep.equal(['blocked', 'allowed'])
  })

  it('sub-domains are covered or not, as the setting says', () => {
    const gate = gateOf(entry('bad.example', 'block'))
    expect(saysOf(gate, 'sub.bad.example')).to.equal('blocked')
    settings.apply('xmpp.server.permission-apply-recursive', false, 'stored')
    expect([saysOf(gate, 'sub.bad.example'), saysOf(gate, 'bad.example')]).to.deep.equal(['allowed', 'blocked'])
  })

  it('answers are the same object until something changes', () => {
    const gate = gateOf(entry('a.example', 'allow'))
    const before = gate.ask('a.example', 'incoming')
    expect(gate.ask('a.example', 'incoming')).to.equal(before)
    settings.apply('xmpp.server.tls.policy', 'optional', 'stored')
    expect(gate.ask('a.example', 'incoming')).to.have.nested.property('rules.tls', 'optional')
    expect(told).to.equal(0)
    gate.replace([entry('a.example', 'block')])
    expect([saysOf(gate, 'a.example'), told]).to.deep.equal(['blocked', 1])
  })

  it('an entry ends at its time: whoever watches is told, once for each time', () => {
    const gate = gateOf(
      entry('a.example', 'block', 60),
      entry('b.example', 'block', 60),
      entry('c.example', 'block', 90),
    )
    const all = (): string[] => ['a.example', 'b.example', 'c.example'].map(name => saysOf(gate, name))
    clock.advance(59_999)
    expect([all(), told]).to.deep.equal([['blocked', 'blocked', 'blocked'], 0])
    clock.advance(1)
    expect([all(), told]).to.deep.equal([['allowed', 'allowed', 'blocked'], 1])
    clock.advance(30_000)
    expect([all(), told]).to.deep.equal([['allowed', 'allowed', 'allowed'], 2])
    expect(log.all('permission-expired').map(({ pattern }) => pattern)).to.have.members([
      'a.example',
      'b.example',
      'c.example',
    ])
    expect(clock.waiting).to.equal(0)
  })

  it('an allow of a whitelist ends too, after months as well', () => {
    settings.apply('xmpp.server.permission', 'whitelist', 'stored')
    const day = 24 * 3600
    const gate = gateOf(entry('a.example', 'allow', 90 * day))
    expect(saysOf(gate, 'a.example')).to.equal('allowed')
    clock.advance(90 * day * 1000 - 1)
    expect([saysOf(gate, 'a.example'), told]).to.deep.equal(['allowed', 0])
    clock.advance(1)
    expect([saysOf(gate, 'a.example'), told]).to.deep.equal(['not-listed', 1])
  })

  it('an entry that ends while a setting changes is still told', () => {
    const gate = gateOf(entry('a.example', 'block', 60))
    clock.after(60_000, () => settings.apply('xmpp.server.dialback.enabled', false, 'stored'))
    clock.advance(60_000)
    expect([saysOf(gate, 'a.example'), told]).to.deep.equal(['allowed', 1])
  })

  it('nothing waits any more when it is not watched', () => {
    const gate = gateOf(entry('a.example', 'block', 60))
    expect(clock.waiting).to.equal(1)
    gate.unwatch()
    gate.replace([entry('a.example', 'block', 120)])
    expect(clock.waiting).to.equal(0)
  })
})
