/**
 * Comity as a library: the same service that `comity start` runs, inside a program of your own.
 *
 * ```ts
 * import { createService, settingsOf, silentLog } from 'comity'
 *
 * const settings = settingsOf({ 'xmpp.domains': ['north.example'], 'data.directory': '/var/lib/comity' })
 * const service = await createService({ settings, log: silentLog })
 * await service.start()
 * ```
 */
export { createLog } from './admin/log-sink.js'
export { type Clock, systemClock } from './base/clock.js'
export { type Log, type LogFields, type LogLevel, silentLog } from './base/log.js'
export { ConfigInvalid } from './service/config-problems.js'
export type { Service, ServiceEndpoints, ServiceOptions } from './service/contract.js'
export { createService } from './service/service.js'
export { Settings, settingsOf } from './service/settings.js'
