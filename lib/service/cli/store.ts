import { AdminUnreachable } from '../../admin/admin-client.js'
import { silentLog } from '../../base/log.js'
import { openStore, type Store } from '../../store/store.js'
import { dataDirectory } from '../config-paths.js'
import type { Settings } from '../settings.js'

/** Asks the running service, or, when none runs, works on the store of the data directory itself. */
export async function liveOrStored<T>(
  settings: Settings,
  live: () => Promise<T>,
  stored: (store: Store) => Promise<T>,
): Promise<T> {
  try {
    return await live()
  } catch (error) {
    if (!(error instanceof AdminUnreachable && error.isAbsent)) throw error
  }
  const store = await openStore({
    url: settings.get('store.url'),
    dataDirectory: dataDirectory(settings),
    log: silentLog,
  })
  try {
    return await stored(store)
  } finally {
    await store.close()
  }
}
