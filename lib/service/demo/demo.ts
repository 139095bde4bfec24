import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../base/clock.js'
import { Deadline } from '../../base/deadline.js'
import { silentLog } from '../../base/log.js'
import { openStore } from '../../store/store.js'
import { loadConfig } from '../config.js'
import { ConfigInvalid } from '../config-problems.js'
import type { RunDemo, Service } from '../contract.js'
import { createService } from '../service.js'
import { Settings } from '../settings.js'
import { DemoAuthority } from './demo-authority.js'
import { transcriptLog } from './transcript.js'
import { XimssUser } from './ximss-user.js'
import { ZoneServer } from './zone-server.js'

/** How long the whole exchange may take. */
const EXCHANGE_MS = 20_000

interface Side {
  readonly name: 'north' | 'south'
  readonly domain: string
  readonly user: string
}

const NORTH: Side = { name: 'north', domain: 'north.example', user: 'olga' }
const SOUTH: Side = { name: 'south', domain: 'south.example', user: 'ivo' }

/** Two complete services with their own DNS and their own certificate authority; their users write to each other over a real link. */
export const runDemo: RunDemo = async ({ once, print, sets, signal }) => {
  const directory = await mkdtemp(join(tmpdir(), 'comity-demo-'))
  const zone = new ZoneServer({})
  const services: Service[] = []
  const password = randomBytes(9).toString('base64url')
  try {
    const { port: dnsPort } = await zone.listen()
    const authority = new DemoAuthority(systemClock.date())
    await writeFile(join(directory, 'root.pem'), authority.rootPem)
    for (const side of [NORTH, SOUTH]) {
      const data = join(directory, side.name)
      await prepare(data, side, password, authority)
      const settings = settingsFor(side, data, join(directory, 'root.pem'), dnsPort, sets)
      const service = await createService({ settings, log: transcriptLog(side.name, print) })
      services.push(service)
      await service.start()
      publish(zone, side, service)
    }
    const [north, south] = services as [Service, Service]
    print(
      `demo   two services are up: ${NORTH.domain} and ${SOUTH.domain}, with their own DNS on 127.0.0.1 port ${dnsPort}`,
    )
    const went = await exchange(ximssPort(north), ximssPort(south), password, print, signal)
    if (once || !went) return went
    print('demo   the services stay up; Ctrl-C ends them')
    for (const [side, service] of [
      [NORTH, north],
      [SOUTH, south],
    ] as const) {
      print(`demo   ${side.user}@${side.domain}, password ${password}: XIMSS on 127.0.0.1 port ${ximssPort(service)}`)
      print(`demo   ${side.domain}: try npx comity sessions --set data.directory=${join(directory, side.name)}`)
    }
    print('demo   docs/XIMSS.md has a conversation to paste')
    await new Promise<void>(resolve => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    return true
  } finally {
    await Promise.allSettled(services.map(service => service.stop()))
    await zone.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function prepare(
  data: string,
  { domain, user }: Side,
  password: string,
  authority: DemoAuthority,
): Promise<void> {
  await mkdir(data, { recursive: true, mode: 0o700 })
  await authority.issueInto(join(data, 'certs'), domain)
  const store = await openStore({ url: 'sqlite:', dataDirectory: data, log: silentLog })
  await store.accounts.add(user, domain, password)
  await store.close()
}

function settingsFor(
  side: Side,
  data: string,
  root: string,
  dnsPort: number,
  sets: readonly (readonly [string, string])[],
): Settings {
  const loaded = loadConfig({
    file: null,
    env: {},
    sets: [
      ['xmpp.domains', [side.domain]],
      ['data.directory', data],
      ['network.interface', ['127.0.0.1']],
      ['xmpp.server.socket.port', 'any'],
      ['xmpp.server.socket.ssl.port', 'any'],
      ['xmpp.server.private-targets', true],
      ['ximss.listener.port', 'any'],
      ['tls.trust', [root]],
      ['dns.servers', [`127.0.0.1:${dnsPort}`]],
      ...sets,
    ],
  })
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems)
  return new Settings(loaded.config)
}

function publish(zone: ZoneServer, { domain }: Side, service: Service): void {
  const host = `xmpp.${domain}`
  const port = service.endpoints.servers.find(({ tls }) => !tls)?.port ?? 0
  zone.zone[`_xmpp-server._tcp.${domain}`] = { SRV: [{ priority: 10, weight: 0, port, target: host }] }
  zone.zone[host] = { A: ['127.0.0.1'] }
  zone.zone[domain] = { A: ['127.0.0.1'] }
}

function ximssPort(service: Service): number {
  return service.endpoints.ximss[0]?.port ?? 0
}

async function exchange(
  northPort: number,
  southPort: number,
  password: string,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = new Deadline(systemClock, EXCHANGE_MS, () => new Error('no message within 20 s'), signal)
  const users: XimssUser[] = []
  const join = async (side: Side, port: number): Promise<XimssUser> => {
    const user = await XimssUser.login(port, `${side.user}@${side.domain}`, password)
    print(`${side.name.padEnd(6)} XIMSS     ${side.user}@${side.domain} logged in on port ${port}`)
    users.push(user)
    return user
  }
  const tell = async (from: Side, writer: XimssUser, to: Side, reader: XimssUser, body: string): Promise<void> => {
    print(`${from.name.padEnd(6)} message   ${from.user}@${from.domain} writes: ${body}`)
    await writer.send(`${to.user}@${to.domain}`, body)
    const { peer, body: read } = await Promise.race([
      reader.receive(deadline.signal),
      writer.undelivered(deadline.signal),
    ])
    if (read !== body) throw new Error('another message came than was sent')
    print(`${to.name.padEnd(6)} message   ${to.user}@${to.domain} reads from ${peer}: ${read}`)
  }
  try {
    const olga = await join(NORTH, northPort)
    const ivo = await join(SOUTH, southPort)
    await tell(NORTH, olga, SOUTH, ivo, 'Lunch at noon?')
    await tell(SOUTH, ivo, NORTH, olga, 'Gladly, see you there.')
    print('demo   the message and its reply have crossed a federated link')
    return true
  } catch (error) {
    if (!signal.aborted) print(`demo   the exchange failed: ${error instanceof Error ? error.message : String(error)}`)
    return false
  } finally {
    deadline.done()
    for (const user of users) user.close()
  }
}
