import { readFile, stat } from 'node:fs/promises'
import { isIPv4, isIPv6 } from 'node:net'
import type { Clock } from '../base/clock.js'
import { foldName } from './dns-record.js'

/** The addresses that a hosts file gives to one name. */
export interface HostsEntry {
  readonly v4: readonly string[]
  readonly v6: readonly string[]
}

/** A changed file is noticed after at most this time. */
const LOOK_AGAIN_MS = 5000
/** A larger file is not a hosts file. */
const MOST_BYTES = 4 * 1024 * 1024

/** A file in the format of hosts(5); read when it is asked for and has changed. One that cannot be read is empty. */
export class HostsFile {
  readonly #path: string
  readonly #clock: Clock
  #entries: Promise<ReadonlyMap<string, HostsEntry>> | undefined
  #version = ''
  #lookedAt = 0

  constructor(path: string, clock: Clock) {
    this.#path = path
    this.#clock = clock
  }

  /** The entry of a folded name; an entry answers for both address families, as getaddrinfo(3) does. */
  async find(name: string): Promise<HostsEntry | undefined> {
    const now = this.#clock.now()
    if (this.#entries === undefined || now - this.#lookedAt >= LOOK_AGAIN_MS) {
      this.#lookedAt = now
      this.#entries = this.#read(this.#entries)
    }
    return (await this.#entries).get(name)
  }

  async #read(last: Promise<ReadonlyMap<string, HostsEntry>> | undefined): Promise<ReadonlyMap<string, HostsEntry>> {
    try {
      const { mtimeMs, size } = await stat(this.#path)
      const version = `${mtimeMs} ${size}`
      if (last !== undefined && version === this.#version) return await last
      if (size > MOST_BYTES) return new Map()
      const entries = readHosts(await readFile(this.#path, 'utf8'))
      this.#version = version
      return entries
    } catch {
      this.#version = ''
      return new Map()
    }
  }
}

/** The lines `address name…`; `#` starts a comment, an address with a zone is left out. */
export function readHosts(text: string): ReadonlyMap<string, HostsEntry> {
  const entries = new Map<string, { v4: string[]; v6: string[] }>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    const family = isIPv4(address) ? 'v4' : isIPv6(address) && !address.includes('%') ? 'v6' : undefined
    if (family === undefined) continue
    for (const name of names.map(foldName)) {
      const entry = entries.get(name) ?? { v4: [], v6: [] }
      if (!entry[family].includes(address)) entry[family].push(address)
      entries.set(name, entry)
    }
  }
  return entries
}
