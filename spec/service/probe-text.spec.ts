import { expect } from 'chai'
import { outcomeText, stepText } from '../../lib/service/cli/probe-text.js'
import type { ProbeReport } from '../../lib/service/contract.js'
import { hintOf } from '../../lib/service/probe-hints.js'

describe('the words of a probe', () => {
  const text = (step: string, facts: Readonly<Record<string, unknown>>): string => stepText({ atMs: 7, step, facts })

  const report: ProbeReport = {
    local: 'north.example',
    remote: 'south.example',
    outcome: 'failed',
    failed: 'stream',
    reason: 'stream: host-unknown (who?)',
    words: 'the remote server does not serve that domain',
    mends: 'their admin',
    hint: 'Ask them.',
    proof: '',
    steps: [],
  }

  it('what strangers chose cannot move the cursor or begin a line', () => {
    const hostile = 'a\u001b[2Jb\nfailed: c'
    const shown = [
      text('dns.answer', { name: hostile, type: 'A', kind: 'records', records: [{ address: hostile }] }),
      text('features', { mechanisms: [hostile] }),
      text('anything', { [hostile]: hostile }),
      outcomeText({ ...report, reason: hostile }),
    ].join('')
    expect(shown).not.to.include('\u001b')
    expect(shown.split('\n')).to.have.length(6)
  })

  it('steps without words of their own are told as data, facts of another shape break nothing', () => {
    expect(text('news', { a: 1 })).to.equal('     7 ms  news    {"a":1}\n')
    for (const step of ['certificate', 'dns.answer', 'features', 'tls', 'ping', 'dial.failed', 'tcp.start'])
      expect(text(step, { records: 5, chain: 'x', defects: [1], mechanisms: {}, limits: 3 }), step).to.match(
        /^ {5}7 ms/,
      )
    expect(text('candidates', {})).to.equal('')
  })

  it('DNS, Direct TLS, DANE and a failed address', () => {
    const srv = { type: 'SRV', priority: 1, weight: 2, port: 5270, target: 'x.south.example' }
    const answer = { name: 'n', type: 'SRV', kind: 'records', records: [srv], dnssec: 'secure', ttlSeconds: 60 }
    expect(text('dns.answer', answer)).to.include('SRV n: 1 2 5270 x.south.example (DNSSEC secure, for 60 s)')
    expect(text('dns.answer', { name: 'n', type: 'A', kind: 'failure', reason: 'bogus', ttlSeconds: 5 })).to.include(
      'A n: failed: bogus\n',
    )
    expect(text('tcp.start', { host: 'h', address: '::1', port: 1, transport: 'tls' })).to.include(
      'trying ::1 port 1 (h) for TLS at once\n',
    )
    expect(text('certificate.dane', { name: 'n', applies: true, verified: false })).to.include(
      'DANE    n: does not fit',
    )
    expect(
      text('dial.failed', { kind: 'tcp', detail: 'refused', text: 'ECONNREFUSED', address: '::1', port: 1 }),
    ).to.include('failed  ::1 port 1: refused (ECONNREFUSED)')
  })

  it('the last line says which step failed, why, and whose side mends it; the hint stands before it', () => {
    expect(outcomeText(report).split('\n')).to.deep.equal([
      'hint: Ask them.',
      'failed: stream: the remote server does not serve that domain (stream: host-unknown (who?)); to be mended by: their admin',
      '',
    ])
    expect(outcomeText({ ...report, outcome: 'works', hint: '', proof: 'dialback', pingMs: 3 })).to.equal(
      'works: proven by dialback, ping 3 ms\n',
    )
  })

  it('hints: by detail, else by kind; of a certificate one for every defect', () => {
    expect(hintOf({ kind: 'tcp', detail: 'refused' })).to.match(/^Nothing listens there/)
    expect(hintOf({ kind: 'tcp', detail: 'constructor' })).to.match(/^Their server is down/)
    expect(hintOf({ kind: 'certificate', detail: 'expired' }, ['expired', 'wrong-name'])).to.match(
      /has run out.* is for other names/,
    )
    expect(hintOf({ kind: 'certificate', detail: 'path-length' })).to.equal(
      'Their admin installs a certificate that verifies.',
    )
  })
})
