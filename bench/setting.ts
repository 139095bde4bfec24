import { once } from 'node:events'
import type { Surroundings } from '../spec/peers/surroundings.js'
import { Batches, serverMessage } from './messages.js'
import type { Direction } from './options.js'
import { RemoteServer } from './remote-server.js'
import type { ServerRequest, ServerUnderTest } from './server.js'
import type { Wire } from './wire.js'

/** One way through a server under test: where messages go in, and where they come out. */
export interface Path {
  readonly direction: Direction
  readonly batches: Batches
  readonly entrance: Wire
  readonly exit: Wire
  /** Where a message must never show up in this direction: an error that comes back has the id of what it answers. */
  readonly others: readonly Wire[]
  /** Whether each message is answered at the entrance by a response. */
  readonly isAnswered: boolean
}

/** A server under test with its local user, and the remote server that it federates with. */
export interface Setting {
  readonly server: ServerUnderTest
  readonly paths: ReadonlyMap<Direction, Path>
  close(): Promise<void>
}

const FIRST_MESSAGE_MS = 20_000

/** Starts a server and its surroundings; both streams between the servers are proven when this returns. */
export async function openSetting(
  name: string,
  surroundings: Surroundings,
  pin: boolean,
  start: (request: ServerRequest) => Promise<ServerUnderTest>,
): Promise<Setting> {
  const domain = `${name}.example`
  const farDomain = `remote-${name}.example`
  const far = new RemoteServer(farDomain, surroundings.identity(farDomain))
  surroundings.publish(farDomain, { address: '127.0.0.1', port: await far.listen() })
  const { dnsPort } = surroundings
  const identity = surroundings.identity(domain)
  let server: ServerUnderTest | undefined
  const close = async (): Promise<void> => {
    far.close()
    await server?.stop()
  }
  try {
    server = await start({ domain, user: 'olga', password: 'none of your business', identity, dnsPort, pin })
    const user = await server.logIn()
    const farUser = `ivo@${farDomain}/far`
    const out = new Batches(user.message(farUser))
    const toServer = await far.open(server.host, server.s2sPort, domain)
    const fromServer = await openBack(far, user.wire, out)
    const inbound: Path = {
      direction: 'inbound',
      batches: new Batches(serverMessage(farUser, user.jid)),
      entrance: toServer,
      exit: user.wire,
      others: [fromServer],
      isAnswered: false,
    }
    const outbound: Path = {
      direction: 'outbound',
      batches: out,
      entrance: user.wire,
      exit: fromServer,
      others: [toServer],
      isAnswered: user.isAnswered,
    }
    return { server, paths: new Map([inbound, outbound].map(path => [path.direction, path])), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Makes the server open its stream to us by a first message, and takes that message. */
async function openBack(far: RemoteServer, user: Wire, batches: Batches): Promise<Wire> {
  user.write(batches.make(0, 1))
  const lost = AbortSignal.timeout(FIRST_MESSAGE_MS)
  const tooLate = once(lost, 'abort').then(() => Promise.reject(new Error('the first message did not come out')))
  const wire = await Promise.race([far.accepted, tooLate])
  if (wire.strays === 0) {
    const came = new Promise<void>(resolve => {
      wire.onMessage = () => resolve()
    })
    await Promise.race([came, tooLate])
  }
  wire.onMessage = undefined
  wire.strays = 0
  tooLate.catch(() => {})
  return wire
}
