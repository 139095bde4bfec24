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
}

const setting = z.object({ value: z.json() })

/** `GET /properties`, `GET|PUT|DELETE /properties/KEY`: what `comity property` asks for. A change is applied and stored. */
export function propertyRoutes({ settings, properties, log }: PropertyRoutesOptions): AdminRoutes {
  /** The store is the truth: when it does not take a change, the settings go back to what it holds. */
  const store = async (applied: Applied, write: () => Promise<unknown>): Promise<Applied> => {
    if (!applied.ok) throw new AdminRefusal(400, problemText(applied.problem))
    try {
      await write()
    } catch (error) {
      settings.useStored(await properties.all())
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
