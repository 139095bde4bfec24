import { main } from '../../lib/service/cli/main.js'
import type { CreateService } from '../../lib/service/contract.js'

/** A service without listeners: run as a program by the specs of signals, which a whole service would only slow down. */
const createService: CreateService = async ({ settings }) => {
  const alive = setInterval(() => {}, 60_000)
  return {
    endpoints: { servers: [], ximss: [] },
    start: async () => ['first listener', 'second listener'],
    stop: async () => {
      if (settings.get('xmpp.domains')[0] === 'never-stops.example') {
        process.stdout.write('stopping\n')
        await new Promise(() => {})
      }
      process.stdout.write('stopped\n')
      clearInterval(alive)
    },
    reload: async () => {
      process.stdout.write('reloaded\n')
      throw new Error('log.level: wrong')
    },
    probe: () => Promise.reject(new Error('not in this service')),
  }
}

process.exitCode = await main(
  process.argv.slice(2),
  { input: process.stdin, output: process.stdout, errors: process.stderr, env: process.env },
  {
    version: '0.0.0',
    loadService: async () => createService,
    loadDemo: () => Promise.reject(new Error('no demo here')),
  },
)
