import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import * as tls from 'node:tls'
import type { Identity } from '../spec/peers/surroundings.js'
import { Wire } from './wire.js'

const HEADER_START =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'"
const NS_TLS = 'urn:ietf:params:xml:ns:xmpp-tls'
const NS_SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
const FEATURES = /<stream:features[^>]*\/>|<\/stream:features>/
const HEADER = /<stream:stream[^>]*>/

/** A server of the load tool: says by rote what proves a stream by SASL EXTERNAL (XEP-0178), in either role, and no more. */
export class RemoteServer {
  readonly domain: string
  readonly #identity: Identity
  readonly #server: Server
  readonly #wires: Wire[] = []
  #accepted: { readonly resolve: (wire: Wire) => void; readonly reject: (error: unknown) => void } | undefined
  /** The stream that the server under test opens. */
  readonly accepted: Promise<Wire>

  constructor(domain: string, identity: Identity) {
    this.domain = domain
    this.#identity = identity
    this.accepted = new Promise((resolve, reject) => {
      this.#accepted = { resolve, reject }
    })
    this.accepted.catch(() => {})
    this.#server = createServer(socket => {
      this.#accept(socket).then(this.#accepted?.resolve, this.#accepted?.reject)
    })
  }

  /** Listens on a free port of 127.0.0.1. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no port was bound')
    return address.port
  }

  /** Opens a stream to a server and proves our domain on it. */
  async open(host: string, port: number, domain: string): Promise<Wire> {
    const wire = await Wire.connect(host, port)
    this.#wires.push(wire)
    const header = `${HEADER_START} from='${this.domain}' to='${domain}' version='1.0'>`
    wire.write(header)
    await wire.until(FEATURES)
    wire.write(`<starttls xmlns='${NS_TLS}'/>`)
    await wire.until(/<proceed[^>]*>/)
    const secure = tls.connect({ socket: wire.socket, servername: domain, ...this.#credentials })
    wire.attach(secure)
    await once(secure, 'secureConnect')
    wire.write(header)
    await wire.until(/EXTERNAL[\s\S]*<\/stream:features>/)
    const name = Buffer.from(this.domain).toString('base64')
    wire.write(`<auth xmlns='${NS_SASL}' mechanism='EXTERNAL'>${name}</auth>`)
    await wire.until(/<success[^>]*>/)
    wire.write(header)
    await wire.until(FEATURES)
    wire.countFromNow()
    return wire
  }

  close(): void {
    this.#server.close()
    for (const wire of this.#wires) wire.destroy()
  }

  async #accept(socket: Socket): Promise<Wire> {
    const wire = new Wire(socket)
    this.#wires.push(wire)
    const welcome = async (features: string): Promise<void> => {
      const [, domain = ''] = /\bfrom=['"]([^'"]*)/.exec(await wire.until(HEADER)) ?? []
      wire.write(`${HEADER_START} from='${this.domain}' to='${domain}' id='bench' version='1.0'>${features}`)
    }
    await welcome(`<stream:features><starttls xmlns='${NS_TLS}'><required/></starttls></stream:features>`)
    await wire.until(/<starttls[^>]*>/)
    wire.write(`<proceed xmlns='${NS_TLS}'/>`)
    wire.attach(await this.#secure(socket))
    await welcome(
      `<stream:features><mechanisms xmlns='${NS_SASL}'><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>`,
    )
    await wire.until(/<auth[^>]*(\/>|>[^<]*<\/auth>)/)
    wire.write(`<success xmlns='${NS_SASL}'/>`)
    await welcome('<stream:features/>')
    wire.countFromNow()
    return wire
  }

  /** TLS as the accepting side; a certificate that does not verify is refused. */
  async #secure(socket: Socket): Promise<tls.TLSSocket> {
    const server = tls.createServer({ requestCert: true, rejectUnauthorized: true, ...this.#credentials })
    return await new Promise((resolve, reject) => {
      server.once('secureConnection', resolve).once('tlsClientError', reject)
      server.emit('connection', socket)
    })
  }

  get #credentials(): { cert: string; key: string; ca: string } {
    const { certificate, key, trust } = this.#identity
    return { cert: certificate, key, ca: trust }
  }
}
