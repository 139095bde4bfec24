import { resolve } from 'node:path'
import type { Settings } from './settings.js'

/** Absolute path of the data directory; a relative one starts where the program was started. */
export function dataDirectory(settings: Settings): string {
  return resolve(settings.get('data.directory'))
}

/** Absolute path of the directory with the certificates; a relative one starts in the data directory. */
export function tlsDirectory(settings: Settings): string {
  return resolve(dataDirectory(settings), settings.get('tls.directory'))
}

/** Absolute path of the admin socket of the service that uses this data directory. */
export function adminSocketPath(settings: Settings): string {
  return resolve(dataDirectory(settings), 'admin.sock')
}
