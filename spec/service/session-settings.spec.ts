import { expect } from 'chai'
import type { Key } from '../../lib/service/options.js'
import { sessionSettings } from '../../lib/service/session-settings.js'
import { settingsOf } from '../../lib/service/settings.js'

/** Which setting each of them follows, another value than the default, and what the session sees then. */
const FOLLOWED: readonly (readonly [
  name: keyof ReturnType<typeof sessionSettings>,
  key: Key,
  raw: unknown,
  seen: unknown,
])[] = [
  ['initialiseTimeoutMs', 'xmpp.server.session.initialise-timeout', '3s', 3000],
  ['idleMs', 'xmpp.server.session.idle', '7m', 420_000],
  ['idleMs', 'xmpp.server.session.idle', -1, Number.POSITIVE_INFINITY],
  ['readTimeoutMs', 'xmpp.server.read.timeout', '4s', 4000],
  ['resolutionTimeoutMs', 'xmpp.server.resolution-timeout', '5s', 5000],
  ['writeTimeoutMs', 'xmpp.socket.write-timeout-seconds', 6, 6000],
  ['queueStanzas', 'xmpp.server.outgoing.queue', 7, 7],
  ['queueBytes', 'xmpp.server.outgoing.queue-bytes', 1_000_000, 1_000_000],
  ['queueBytesTotal', 'xmpp.server.outgoing.queue-bytes-total', 100_000_000, 100_000_000],
  ['maxAttempts', 'xmpp.server.outgoing.max-attempts', 9, 9],
  ['backoffInitialMs', 'xmpp.server.backoff.initial', '1s', 1000],
  ['backoffMaxMs', 'xmpp.server.backoff.max', '10s', 10_000],
  ['stanzaBytes', 'xmpp.server.limits.stanza-bytes', 20_000, 20_000],
  ['unauthenticatedBytes', 'xmpp.server.limits.unauthenticated-bytes', 30_000, 30_000],
  ['limitsHidden', 'xmpp.server.limits.advertisement.disabled', true, true],
  ['newConnections', 'xmpp.ratelimit.newconnections.s2s.enabled', false, undefined],
  ['newConnections', 'xmpp.ratelimit.newconnections.s2s.permits_per_second', 30, { perSecond: 30, burst: 50 }],
  ['newConnections', 'xmpp.ratelimit.newconnections.s2s.max_burst', 60, { perSecond: 20, burst: 60 }],
  ['streamsPerAddress', 'xmpp.server.limits.streams-per-address', 11, 11],
  ['unauthenticatedStreams', 'xmpp.server.limits.unauthenticated-streams', 12, 12],
  ['requireAuthzid', 'xmpp.auth.external.server.require-authzid', true, true],
  ['skipSendingAuthzid', 'xmpp.auth.external.server.skip-sending-authzid', true, true],
  ['remotePort', 'xmpp.server.socket.remotePort', 15_269, 15_269],
  ['attemptDelayMs', 'xmpp.server.connection-attempt-delay', 300, 300],
  ['resolutionDelayMs', 'xmpp.server.resolution-delay', 60, 60],
  ['maxWorkers', 'xmpp.server.connection-max-workers', 3, 3],
  ['privateTargets', 'xmpp.server.private-targets', true, true],
  ['proxy', 'xmpp.server.proxy', 'socks5://127.0.0.1:9050', { host: '127.0.0.1', port: 9050, login: undefined }],
  ['sourceAddresses', 'xmpp.server.source-address', '127.0.0.2, ::1', ['127.0.0.2', '::1']],
]

describe('session settings', () => {
  for (const [name, key, raw, seen] of FOLLOWED) {
    it(`${name} is ${key} = ${JSON.stringify(raw)} as soon as that is set, and again the default afterwards`, () => {
      const settings = settingsOf({})
      const live = sessionSettings(settings)
      const before = live[name]
      expect(before).not.to.deep.equal(seen)
      expect(settings.apply(key, raw, 'set')).to.include({ ok: true })
      expect(live[name]).to.deep.equal(seen)
      settings.unset(key, 'set')
      expect(live[name]).to.deep.equal(before)
    })
  }

  it('none is forgotten here', () => {
    const names = Object.keys(sessionSettings(settingsOf({})))
    expect(names.filter(name => !FOLLOWED.some(([known]) => known === name))).to.deep.equal([])
  })
})
