import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The version of this program, as its package says. */
export const VERSION: string = readVersion()

function readVersion(): string {
  // The package file is beside the sources, or one folder higher when compiled.
  let directory = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
        name?: string
        version?: string
      }
      if (name === 'comity' && version !== undefined) return version
    } catch {
      // Not here: look higher.
    }
    const parent = dirname(directory)
    if (parent === directory) return 'unknown'
    directory = parent
  }
}
