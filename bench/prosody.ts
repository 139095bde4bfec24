import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PeerCommand } from '../spec/peers/peer.js'
import { Prosody } from '../spec/peers/prosody.js'
import { pinned } from './cpu.js'
import type { ServerRequest, ServerUnderTest } from './server.js'
import { xmppUser } from './users.js'

const ADDRESS = '127.0.0.21'

/** Prosody as the peer specs configure it (no limits, few modules), but quiet, and on the servers' processor. */
class QuietProsody extends Prosody {
  pin = false

  protected override async prepare(directory: string): Promise<PeerCommand> {
    const command = await super.prepare(directory)
    const file = join(directory, 'prosody.cfg.lua')
    const configuration = await readFile(file, 'utf8')
    await writeFile(file, configuration.replace(/^log = \{ debug =/m, 'log = { info ='))
    return { ...command, ...pinned(command.file, command.args, this.pin) }
  }
}

/** Starts Prosody with plain client connections. Throws with the end of its log when it does not start. */
export async function startProsody({ pin, user, password, ...request }: ServerRequest): Promise<ServerUnderTest> {
  const { domain, dnsPort, identity } = request
  const users = { [user]: password }
  const prosody = new QuietProsody({ domain, address: ADDRESS, dnsPort, auth: 'external', users, ...identity })
  prosody.pin = pin
  await prosody.start()
  const [, version = ''] = /Prosody version (\S+)/.exec(await prosody.log()) ?? []
  return {
    name: `Prosody ${version}`.trimEnd(),
    pid: prosody.pid!,
    domain,
    host: ADDRESS,
    s2sPort: prosody.s2sPort,
    logIn: () => xmppUser({ host: ADDRESS, port: prosody.c2sPort, user, domain, password }),
    stop: () => prosody.remove(),
  }
}
