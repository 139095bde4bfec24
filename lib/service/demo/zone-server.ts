import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
  type Question,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet'
import type { DnsRecord, ServerAddress } from '../../dial/dns-record.js'

type DataOf<T extends DnsRecord['type']> = Omit<Extract<DnsRecord, { type: T }>, 'type'>

/** The records of one name. A `CNAME` answers for every type. */
export interface ZoneNode {
  readonly A?: readonly string[]
  readonly AAAA?: readonly string[]
  readonly SRV?: readonly DataOf<'SRV'>[]
  readonly TLSA?: readonly DataOf<'TLSA'>[]
  readonly CNAME?: string
}

/** Names in lower case without a final dot; looked at for each question, so it may be changed at any time. */
export type Zone = Record<string, ZoneNode>

/** A question that was asked. */
export interface AskedQuestion {
  readonly name: string
  readonly type: string
  readonly over: 'udp' | 'tcp'
}

const LOOPBACK = '127.0.0.1'
const NAME_ERROR = 3
/** Largest UDP reply to a question without EDNS (RFC 1035 §4.2.1). */
const PLAIN_UDP_BYTES = 512
const MOST_REMEMBERED = 1000
const TCP_IDLE_MS = 5000
const MOST_CONNECTIONS = 50
const BIND_TRIES = 10

/**
 * A small authoritative DNS server on loopback, UDP and TCP on one port, for what has to find its peers without the
 * machine's own DNS.
 */
export class ZoneServer {
  readonly zone: Zone
  /** The latest questions, oldest first. */
  readonly asked: AskedQuestion[] = []
  /** TTL of every record and of negative answers, in seconds. */
  ttlSeconds = 60
  negativeSeconds = 30
  readonly #connections = new Set<Socket>()
  #udp: UdpSocket | undefined
  #tcp: Server | undefined

  constructor(zone: Zone) {
    this.zone = zone
  }

  /** Starts on a free port. */
  async listen(): Promise<ServerAddress> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#bind()
      } catch (error) {
        await this.close()
        if (tries === BIND_TRIES) throw error
      }
    }
  }

  async close(): Promise<void> {
    const udp = this.#udp
    const tcp = this.#tcp
    this.#udp = this.#tcp = undefined
    for (const connection of this.#connections) connection.destroy()
    await Promise.all([
      udp && new Promise<void>(resolve => udp.close(() => resolve())),
      tcp && new Promise<void>(resolve => tcp.close(() => resolve())),
    ])
  }

  /** The messages that answer a query, in order; none when it is not worth an answer. */
  protected reply(query: DecodedPacket, over: 'udp' | 'tcp'): Buffer[] | Promise<Buffer[]> {
    const answer = encode(this.answer(query))
    const isTooLong = over === 'udp' && answer.length > udpPayload(query)
    return [
      isTooLong ? encode({ ...this.answer(query), flags: flagsFor(query) | TRUNCATED_RESPONSE, answers: [] }) : answer,
    ]
  }

  /** What the zone says. */
  protected answer(query: DecodedPacket): Packet {
    const question = query.questions?.[0]
    const reply: Packet = {
      id: query.id ?? 0,
      type: 'response',
      flags: flagsFor(query),
      questions: query.questions,
    }
    if (question === undefined) return reply
    const answers = this.#records(question)
    const last = answers.at(-1)
    const end = last?.type === 'CNAME' ? last.data.toLowerCase() : nameOf(question)
    if ((last !== undefined && last.type !== 'CNAME') || this.zone[end]?.CNAME !== undefined)
      return { ...reply, answers }
    const flags = flagsFor(query) | (this.#exists(end) ? 0 : NAME_ERROR)
    return { ...reply, flags, answers, authorities: [this.#startOfAuthority(end)] }
  }

  async #bind(): Promise<ServerAddress> {
    const tcp = createServer(connection => this.#serve(connection))
    tcp.maxConnections = MOST_CONNECTIONS
    const udp = createSocket('udp4')
    this.#tcp = tcp
    this.#udp = udp
    await new Promise<void>((resolve, reject) => tcp.once('error', reject).listen(0, LOOPBACK, resolve))
    const address = tcp.address()
    if (address === null || typeof address === 'string') throw new Error('no port was bound')
    const { port } = address
    await new Promise<void>((resolve, reject) => udp.once('error', reject).bind(port, LOOPBACK, resolve))
    udp.on('error', () => {})
    udp.on('message', (message, from) => void this.#answerDatagram(message, from))
    return { address: LOOPBACK, port }
  }

  async #answerDatagram(message: Buffer, from: RemoteInfo): Promise<void> {
    for (const reply of await this.#handle(message, 'udp')) this.#udp?.send(reply, from.port, from.address)
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection)
    let received: Buffer = Buffer.alloc(0)
    connection.setTimeout(TCP_IDLE_MS, () => connection.destroy())
    connection.on('error', () => {})
    connection.on('close', () => this.#connections.delete(connection))
    connection.on('data', async chunk => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        const end = received.readUInt16BE(0) + 2
        const message = received.subarray(2, end)
        received = received.subarray(end)
        for (const reply of await this.#handle(message, 'tcp')) connection.write(withLength(reply))
      }
    })
  }

  async #handle(message: Buffer, over: 'udp' | 'tcp'): Promise<Buffer[]> {
    let query: DecodedPacket
    try {
      query = decode(message)
    } catch {
      return []
    }
    const question = query.questions?.[0]
    if (query.type !== 'query' || question === undefined) return []
    if (this.asked.length === MOST_REMEMBERED) this.asked.shift()
    this.asked.push({ name: nameOf(question), type: question.type, over })
    return await this.reply(query, over)
  }

  #records(question: Question): Answer[] {
    const { name, type } = question
    const node = this.zone[nameOf(question)]
    const ttl = this.ttlSeconds
    if (node?.CNAME !== undefined) {
      const alias: Answer = { name, type: 'CNAME', ttl, data: node.CNAME }
      const target = node.CNAME.toLowerCase()
      return [alias, ...(this.zone[target]?.CNAME === undefined ? this.#records({ name: target, type }) : [])]
    }
    switch (type) {
      case 'A':
      case 'AAAA':
        return (node?.[type] ?? []).map(data => ({ name, type, ttl, data }))
      case 'SRV':
        return (node?.SRV ?? []).map(data => ({ name, type, ttl, data }))
      case 'TLSA':
        return (node?.TLSA ?? []).map(data => ({ name, type, ttl, data }))
      default:
        return []
    }
  }

  /** A name without records that has names below it exists as well (RFC 8020). */
  #exists(name: string): boolean {
    return Object.keys(this.zone).some(known => known === name || known.endsWith(`.${name}`))
  }

  #startOfAuthority(name: string): Answer {
    const minimum = this.negativeSeconds
    const data = {
      mname: 'ns.invalid',
      rname: 'hostmaster.invalid',
      serial: 1,
      refresh: 60,
      retry: 60,
      expire: 60,
      minimum,
    }
    return { name, type: 'SOA', ttl: minimum, data }
  }
}

function nameOf(question: Question): string {
  return question.name.toLowerCase()
}

function udpPayload(query: DecodedPacket): number {
  const opt = query.additionals?.find(record => record.type === 'OPT')
  return Math.max(PLAIN_UDP_BYTES, opt?.udpPayloadSize ?? 0)
}

function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

/** Authoritative, and whether recursion was desired is copied (RFC 1035 §4.1.1): resolvers check it. */
function flagsFor(query: DecodedPacket): number {
  return AUTHORITATIVE_ANSWER | ((query.flags ?? 0) & RECURSION_DESIRED)
}
