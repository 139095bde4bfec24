import { z } from 'zod'
import { AdminRefusal, type AdminRoutes } from '../admin/admin-socket.js'
import type { Log } from '../base/log.js'
import type { JsonValue, Properties } from '../store/properties.js'
import { problemText, unknownKey } from './config-problems.js'
import { isKey } from './options.js'
import type { Applied, Settings } from './settings.js'

/** What `propertyRoutes` needs. */
export interface PropertyRoutesOptions {
  readonly settings: Settings
  readonly properties: Pick<Properties, 'all' | 'set' | 'unset'>
  readonly log: Log
  /** Resolves when everything that a change has set off is done; rejects with what failed. */
  readonly settled: () => Promise<void>
}

const setting = z.object({ value: z.json() })

/** `GET /properties`, `GET|PUT|DELETE /properties/KEY`: what `comity property` asks for. A change is applied and stored. */
export function propertyRoutes({ settings, properties, log, settled }: PropertyRoutesOptions): AdminRoutes {
  /** The store is the truth: when a change cannot be carried out or stored, the settings go back to what it holds. */
  const store = async (applied: Applied, write: () => Promise<unknown>): Promise<Applied> => {
    if (!applied.ok) throw new AdminRefusal(400, problemText(applied.problem))
    const takeBack = async (): Promise<void> => {
      settings.useStored(await properties.all())
      await settled().catch(() => {})
    }
    try {
      await settled()
    } catch (error) {
      await takeBack()
      const problem = error instanceof Error ? error.message : String(error)
      throw new AdminRefusal(409, `${applied.key}: not changed, ${problem}`)
    }
    try {
      await write()
    } catch (error) {
      await takeBack()
      throw error
    }
    const { ok, ...facts } = applied
    log.info('property-changed', { setting: facts.key, value: facts.value, source: facts.source, atOnce: facts.atOnce })
    return { ok, ...facts }
  }
  return {
    'GET /properties': () => settings.rows(),
    'GET /properties/:key': ({ params: { key = '' } }) => {
      if (!isKey(key)) throw new AdminRefusal(404, problemText(unknownKey(key, '')))
      return settings.row(key)
    },
    'PUT /properties/:key': ({ params: { key = '' }, body }) => {
      const read = setting.safeParse(body)
      if (!read.success) throw new AdminRefusal(400, 'expected {"value": …}')
      return store(settings.apply(key, read.data.value, 'stored'), () =>
        properties.set(key, read.data.value as JsonValue),
      )
    },
    'DELETE /properties/:key': ({ params: { key = '' } }) =>
      store(settings.unset(key, 'stored'), () => properties.unset(key)),
  }
}
