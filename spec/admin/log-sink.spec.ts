import { expect } from 'chai'
import { createLog, type LogSink, type LogSinkOptions } from '../../lib/admin/log-sink.js'
import { printable, printableJson, withoutPasswords } from '../../lib/admin/printable.js'
import { ManualClock } from '../support/manual-clock.js'

describe('log sink', () => {
  const lines: string[] = []
  beforeEach(() => {
    lines.length = 0
  })
  const logOf = (options: Partial<LogSinkOptions> = {}): LogSink =>
    createLog({ level: 'info', format: 'json', clock: new ManualClock(), write: line => lines.push(line), ...options })
  const written = (): Record<string, unknown>[] => lines.map(line => JSON.parse(line))

  it('json: one object per line, with time, level, event and fields', () => {
    logOf()
      .child({ tag: 'S2SO-00001' })
      .info('outgoing-established', { pair: ['a.example', 'b.example'], ms: 12 })
    expect(lines[0]).to.match(/^\{.*\}\n$/)
    expect(written()).to.deep.equal([
      {
        level: 'info',
        time: '2026-01-01T00:00:00.000Z',
        tag: 'S2SO-00001',
        pair: ['a.example', 'b.example'],
        ms: 12,
        event: 'outgoing-established',
      },
    ])
  })

  it('pretty: one line of text', () => {
    logOf({ format: 'pretty' })
      .child({ tag: 'XIMSSI' })
      .warn('user-refused', { account: 'olga@north.example', reason: 'too many', n: 3 })
    expect(lines).to.deep.equal([
      '2026-01-01 00:00:00.000 WARN  [XIMSSI] user-refused account=olga@north.example reason="too many" n=3\n',
    ])
  })

  it('writes nothing below its level, which can be changed while running, for children too', () => {
    const log = logOf()
    const child = log.child({ tag: 'a' })
    child.debug('unseen')
    log.level = 'debug'
    child.debug('seen')
    log.level = 'error'
    child.warn('unseen')
    child.error('seen too')
    expect(written().map(line => line.event)).to.deep.equal(['seen', 'seen too'])
    expect(child.level).to.equal('error')
  })

  for (const format of ['json', 'pretty'] as const) {
    it(`${format}: nothing that a stranger chose starts a line, drives a terminal or turns the writing`, () => {
      const evil = 'x\r\n2026 INFO forged \u001b[2J\u009b31m\u2028\u202e\u0000end'
      const log = logOf({ format })
      log
        .child({ [evil]: evil })
        .info(evil, { [evil]: evil, deep: { [evil]: [evil] }, error: new Error(evil), map: new Map([[evil, evil]]) })
      expect(lines).to.have.length(1)
      expect(lines[0]?.slice(0, -1)).not.to.match(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/)
      expect(lines[0]).to.match(/\n$/).and.include('end')
      if (format === 'json') expect(JSON.stringify(written()[0]).replaceAll('\\\\', '')).not.to.match(/\\[nru]/)
    })

    it(`${format}: fields named like secrets are never written, however deep`, () => {
      const log = logOf({ format, level: 'debug' })
      const secret = 'MARKED-SECRET'
      const names = [
        'password',
        'Password',
        'passwd',
        'newPassword',
        'user_password',
        'secret',
        'clientSecret',
        'key',
        'privateKey',
        'api_key',
        'API_KEY',
        'keys',
        'authData',
        'auth-data',
        'Authorization',
        'token',
        'cookie',
        'passphrase',
        'credentials',
      ]
      for (const name of names) {
        log.info('flat', { [name]: secret })
        log.debug('deep', { request: { headers: [{ [name]: { inner: secret } }] } })
        log.info('map', { map: new Map([[name, secret]]) })
        log.child({ [name]: secret }).warn('child')
        log.error('error', { error: Object.assign(new Error('failed'), { [name]: secret }) })
      }
      expect(lines).to.have.length(names.length * 5)
      expect(lines.join('')).not.to.include(secret)
      expect(lines.join('')).to.include('[redacted]')
    })

    it(`${format}: passwords in addresses and raw bytes are never written`, () => {
      logOf({ format }).info('store-opened', {
        url: 'postgres://comity:MARKED@db/x',
        also: new URL('https://u:MARKED@h/'),
        bytes: Buffer.from('MARKED'),
      })
      expect(lines.join('')).not.to.include('MARKED').and.not.include('77,65')
      expect(lines.join('')).to.include('comity:[redacted]@db/x').and.include('[6 bytes]')
    })
  }

  it('keeps names that only look like secrets', () => {
    logOf().info('x', { monkey: 1, keyboard: 2, author: 3, bypassed: 4 })
    expect(written()[0]).to.include({ monkey: 1, keyboard: 2, author: 3, bypassed: 4 })
  })

  it('limits what one line can hold, and takes values of every kind', () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    const throwing = Object.defineProperty({}, 'x', { enumerable: true, get: () => expect.fail('read') })
    logOf().info('kinds', {
      long: 'x'.repeat(100_000),
      many: Array(10_000).fill(1),
      circle,
      throwing,
      big: 10n,
      none: undefined,
      act: () => {},
      when: new Date(0),
      bad: new Date(Number.NaN),
      nan: Number.NaN,
      error: new TypeError('wrong', { cause: new Error('inner') }),
    })
    expect(lines[0]?.length).to.be.below(10_000)
    expect(written()[0]).to.deep.include({
      throwing: '[unreadable]',
      big: '10',
      act: '[function]',
      when: '1970-01-01T00:00:00.000Z',
      bad: 'invalid date',
    })
    expect(written()[0]?.error).to.include({ name: 'TypeError', message: 'wrong' })
    expect(written()[0]).to.have.nested.property('error.cause').that.include({ message: 'inner' })
  })

  it('a field cannot stand for the time, level or event of its line', () => {
    logOf().info('real', { event: 'forged', level: 'error', time: 'never' })
    expect(lines[0]?.match(/"event":/g)).to.have.length(1)
    expect(written()[0]).to.include({ event: 'real', level: 'info', event_: 'forged' })
  })

  it('printable text: escapes only what is unsafe, and JSON reads back the same', () => {
    expect(printable('Grüße 你好 🎉 a\tb\u0007')).to.equal('Grüße 你好 🎉 a\\tb\\u0007')
    const value = { 'a\u009b': 'b\u202e\n' }
    expect(printableJson(value, 2)).not.to.match(/[\u009b\u202e]/)
    expect(JSON.parse(printableJson(value, 2))).to.deep.equal(value)
    expect(withoutPasswords('at postgres://u:p@ss/w@db:1/x and http://h:80/')).to.equal(
      'at postgres://u:[redacted]@db:1/x and http://h:80/',
    )
  })
})
