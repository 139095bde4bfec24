import { readProxy } from '../dial/proxy.js'
import type { NetworkSettings } from '../session/connect.js'
import type { SessionSettings } from '../session/context.js'
import type { Settings } from './settings.js'

/** What sessions and dialer follow, as it is set at the moment of use. */
export function sessionSettings(settings: Settings): SessionSettings & NetworkSettings {
  return {
    get initialiseTimeoutMs() {
      return settings.get('xmpp.server.session.initialise-timeout')
    },
    get idleMs() {
      const idle = settings.get('xmpp.server.session.idle')
      return idle < 0 ? Number.POSITIVE_INFINITY : idle
    },
    get readTimeoutMs() {
      return settings.get('xmpp.server.read.timeout')
    },
    get resolutionTimeoutMs() {
      return settings.get('xmpp.server.resolution-timeout')
    },
    get writeTimeoutMs() {
      return settings.get('xmpp.socket.write-timeout-seconds')
    },
    get queueStanzas() {
      return settings.get('xmpp.server.outgoing.queue')
    },
    get queueBytes() {
      return settings.get('xmpp.server.outgoing.queue-bytes')
    },
    get queueBytesTotal() {
      return settings.get('xmpp.server.outgoing.queue-bytes-total')
    },
    get maxAttempts() {
      return settings.get('xmpp.server.outgoing.max-attempts')
    },
    get backoffInitialMs() {
      return settings.get('xmpp.server.backoff.initial')
    },
    get backoffMaxMs() {
      return settings.get('xmpp.server.backoff.max')
    },
    get stanzaBytes() {
      return settings.get('xmpp.server.limits.stanza-bytes')
    },
    get unauthenticatedBytes() {
      return settings.get('xmpp.server.limits.unauthenticated-bytes')
    },
    get limitsHidden() {
      return settings.get('xmpp.server.limits.advertisement.disabled')
    },
    get newConnections() {
      if (!settings.get('xmpp.ratelimit.newconnections.s2s.enabled')) return undefined
      return {
        perSecond: settings.get('xmpp.ratelimit.newconnections.s2s.permits_per_second'),
        burst: settings.get('xmpp.ratelimit.newconnections.s2s.max_burst'),
      }
    },
    get streamsPerAddress() {
      return settings.get('xmpp.server.limits.streams-per-address')
    },
    get unauthenticatedStreams() {
      return settings.get('xmpp.server.limits.unauthenticated-streams')
    },
    get requireAuthzid() {
      return settings.get('xmpp.auth.external.server.require-authzid')
    },
    get skipSendingAuthzid() {
      return settings.get('xmpp.auth.external.server.skip-sending-authzid')
    },
    get remotePort() {
      return settings.get('xmpp.server.socket.remotePort')
    },
    get attemptDelayMs() {
      return settings.get('xmpp.server.connection-attempt-delay')
    },
    get resolutionDelayMs() {
      return settings.get('xmpp.server.resolution-delay')
    },
    get maxWorkers() {
      return settings.get('xmpp.server.connection-max-workers')
    },
    get privateTargets() {
      return settings.get('xmpp.server.private-targets')
    },
    get proxy() {
      return readProxy(settings.get('xmpp.server.proxy'))
    },
    get sourceAddresses() {
      return settings.get('xmpp.server.source-address')
    },
  }
}
