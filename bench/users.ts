import { bodyBetween, ID, REQUEST_ID } from './messages.js'
import { Wire } from './wire.js'

/** Whom to log in, and where. */
export interface Login {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly domain: string
  readonly password: string
}

/** A local user of the server under test, logged in and ready for messages. */
export interface LocalUser {
  readonly jid: string
  readonly wire: Wire
  /** What it writes to send one message to this address. */
  message(to: string): string
  /** Whether each message is answered by a response. */
  readonly isAnswered: boolean
}

const RESOURCE = 'bench'
const NS_STREAMS = 'http://etherx.jabber.org/streams'
const FEATURES = /<\/stream:features>/

/** Logs in with XIMSS over plain TCP. */
export async function ximssUser({ host, port, user, domain, password }: Login): Promise<LocalUser> {
  const wire = await Wire.connect(host, port)
  const request = async (name: string, attributes: string): Promise<void> => {
    wire.write(`<${name} id="${name}" ${attributes}/>\0`)
    const response = await wire.until(new RegExp(`<response id="${name}"[^>]*>`))
    if (response.includes('errorText')) throw new Error(`${name}: ${response}`)
  }
  await request('login', `authData="${user}@${domain}" password="${password}" version="6.2"`)
  await request('signalBind', `presence="no" readIM="1" clientID="${RESOURCE}"`)
  wire.countFromNow({ responses: true })
  const jid = `${user}@${domain}/${RESOURCE}`
  return {
    jid,
    wire,
    isAnswered: true,
    message: to =>
      `<sendIM id="${REQUEST_ID}" peer="${to}" type="chat" iqid="${ID}"><body>${bodyBetween(jid, to)}</body></sendIM>\0`,
  }
}

/** Logs in with XMPP (RFC 6120 §6, §7) over plain TCP. */
export async function xmppUser({ host, port, user, domain, password }: Login): Promise<LocalUser> {
  const wire = await Wire.connect(host, port)
  const header = `<?xml version='1.0'?><stream:stream to='${domain}' version='1.0' xmlns='jabber:client' xmlns:stream='${NS_STREAMS}'>`
  wire.write(header)
  await wire.until(FEATURES)
  const token = Buffer.from(`\0${user}\0${password}`).toString('base64')
  wire.write(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${token}</auth>`)
  await wire.until(/<success[^>]*>/)
  wire.write(header)
  await wire.until(FEATURES)
  const bind = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${RESOURCE}</resource></bind>`
  wire.write(`<iq type='set' id='b'>${bind}</iq>`)
  const [, jid = ''] = /<jid>([^<]*)<\/jid>/.exec(await wire.until(/<jid>[^<]*<\/jid>/)) ?? []
  wire.write('<presence/>')
  await wire.until(/<presence[\s\S]*?(\/>|<\/presence>)/)
  wire.countFromNow()
  return {
    jid,
    wire,
    isAnswered: false,
    message: to => `<message to='${to}' id='${ID}' type='chat'><body>${bodyBetween(jid, to)}</body></message>`,
  }
}
