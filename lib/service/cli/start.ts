import type { Command } from 'commander'
import { createLog, type LogSink } from '../../admin/log-sink.js'
import { systemClock } from '../../base/clock.js'
import { dataDirectory } from '../config-paths.js'
import type { CreateService, Service } from '../contract.js'
import type { Settings } from '../settings.js'
import { load, loadSettings, type SettingsFlags, withSettings } from './cli.js'
import type { CliIo } from './io.js'
import { onSignals } from './signals.js'

/** How long a clean end may take. */
const STOP_MS = 30_000

/** `comity start`: runs the service in the foreground until it is told to stop. */
export function addStart(program: Command, io: CliIo, loadService: () => Promise<CreateService>): void {
  withSettings(program.command('start'))
    .description(
      'run the service in the foreground until SIGTERM or SIGINT; SIGHUP reads settings and certificates again',
    )
    .action(async (flags: SettingsFlags) => {
      const settings = loadSettings(io, flags)
      const log = logOf(settings, io)
      const createService = await loadService()
      let stop: () => void = () => {}
      const stopAsked = new Promise<void>(resolve => {
        stop = resolve
      })
      let service: Service | undefined
      const release = onSignals({ stop, reload: () => void reload(service, log) })
      try {
        service = await createService({ settings, log, reread: () => load(io, flags) })
        const listeners = await service.start()
        for (const listener of listeners) io.output.write(`${listener}\n`)
        io.output.write(`${readyLine(settings, listeners.length)}\n`)
        await stopAsked
        await stopInTime(service, log)
      } finally {
        release()
      }
    })
}

async function stopInTime(service: Service, log: LogSink): Promise<void> {
  const cancel = systemClock.after(STOP_MS, () => {
    log.error('stop-took-too-long', { seconds: STOP_MS / 1_000 })
    process.exit(1)
  })
  await service.stop().finally(cancel)
}

function logOf(settings: Settings, io: CliIo): LogSink {
  const format = settings.get('log.format')
  const isTerminal = io.errors.isTTY === true
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal)
  const log = createLog({
    level: settings.get('log.level'),
    format: isPretty ? 'pretty' : 'json',
    color: isTerminal,
    write: line => io.errors.write(line),
  })
  settings.onChangeOf('log.level', level => {
    log.level = level
  })
  return log
}

async function reload(service: Service | undefined, log: LogSink): Promise<void> {
  try {
    await service?.reload()
  } catch (error) {
    log.warn('reload-refused', { problem: error instanceof Error ? error.message : String(error) })
  }
}

function readyLine(settings: Settings, listeners: number): string {
  const count = listeners === 1 ? '1 listener' : `${listeners} listeners`
  return `comity ready: ${settings.get('xmpp.domains').join(', ')}; ${count}; data in ${dataDirectory(settings)}; process ${process.pid}`
}
