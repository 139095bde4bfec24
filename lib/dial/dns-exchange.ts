import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import type { Clock } from '../base/clock.js'
import { Deadline } from '../base/deadline.js'
import {
  type DnsQuestion,
  type DnsReply,
  decodeReply,
  encodeQuestion,
  FORMAT_ERROR,
  NOT_IMPLEMENTED,
} from './dns-message.js'
import type { DnsType, ServerAddress } from './dns-record.js'

/** What one server said, or why it said nothing. */
export type Exchange = DnsReply | 'timeout' | 'malformed' | 'unreachable' | 'too-many-records'

/** Longest time one server has, over UDP and TCP together. */
const SERVER_TIME_MS = 5000
/** A datagram that may have been lost is sent again so long after the first. */
const RESEND_AFTER_MS = [1000, 2500]
/** After so many datagrams that are not the reply somebody is guessing: the question goes over TCP (RFC 5452 §9.1). */
const MOST_STRANGERS = 20

interface Way {
  readonly server: ServerAddress
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Asks one server one question: UDP from a fresh port with a random id, then TCP when the reply was cut short
 * (RFC 7766 §5); without EDNS when the server does not understand it (RFC 6891 §7). At most 5 seconds.
 * Rejects with the reason of `signal` when that aborts.
 */
export async function askServer(
  server: ServerAddress,
  name: string,
  type: DnsType,
  clock: Clock,
  signal: AbortSignal,
): Promise<Exchange> {
  signal.throwIfAborted()
  const limit = new Deadline(clock, SERVER_TIME_MS, () => new Error('the time is up'), signal)
  const way: Way = { server, clock, signal: limit.signal }
  try {
    const exchange = await ask(way, name, type, true)
    return isUnknownEdns(exchange) ? await ask(way, name, type, false) : exchange
  } finally {
    limit.done()
    signal.throwIfAborted()
  }
}

async function ask(way: Way, name: string, type: DnsType, edns: boolean): Promise<Exchange> {
  const question = encodeQuestion(randomInt(0x10000), name, type, edns)
  const overUdp = await askOverUdp(way, question)
  return overUdp === 'use-tcp' ? await askOverTcp(way, question) : overUdp
}

function isUnknownEdns(exchange: Exchange): boolean {
  if (typeof exchange === 'string') return false
  return exchange.responseCode === FORMAT_ERROR || exchange.responseCode === NOT_IMPLEMENTED
}

function askOverUdp({ server, clock, signal }: Way, question: DnsQuestion): Promise<Exchange | 'use-tcp'> {
  return new Promise(resolve => {
    const socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4')
    let resends: (() => void)[] = []
    let strangers = 0
    const end = (exchange: Exchange | 'use-tcp'): void => {
      for (const cancel of resends) cancel()
      signal.removeEventListener('abort', timeout)
      socket.removeAllListeners('message')
      try {
        socket.close()
      } catch {
        // Closed already by an error while it was being opened.
      }
      resolve(exchange)
    }
    const timeout = (): void => end('timeout')
    const send = (): void => socket.send(question.bytes)
    if (signal.aborted) return end('timeout')
    signal.addEventListener('abort', timeout, { once: true })
    socket.on('error', () => end('unreachable'))
    socket.on('message', message => {
      const reply = decodeReply(message, question)
      if (reply === 'foreign') {
        if (++strangers >= MOST_STRANGERS) end('use-tcp')
      } else end(reply === 'truncated' ? 'use-tcp' : reply)
    })
    // Connected, so that the kernel drops what other hosts send and reports a port where nobody listens.
    socket.connect(server.port, server.address, () => {
      if (signal.aborted) return
      send()
      resends = RESEND_AFTER_MS.map(ms => clock.after(ms, send))
    })
  })
}

function askOverTcp({ server, signal }: Way, question: DnsQuestion): Promise<Exchange> {
  return new Promise(resolve => {
    const socket = connect({ host: server.address, port: server.port })
    let received: Buffer = Buffer.alloc(0)
    const end = (exchange: Exchange): void => {
      signal.removeEventListener('abort', timeout)
      socket.destroy()
      resolve(exchange)
    }
    const timeout = (): void => end('timeout')
    if (signal.aborted) return end('timeout')
    signal.addEventListener('abort', timeout, { once: true })
    socket.on('error', () => end('unreachable'))
    socket.on('close', () => end('malformed'))
    socket.on('connect', () => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(question.bytes.length)
      socket.write(Buffer.concat([length, question.bytes]))
    })
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2) return
      const length = received.readUInt16BE(0)
      if (received.length < length + 2) return
      const reply = decodeReply(received.subarray(2, length + 2), question)
      end(reply === 'foreign' || reply === 'truncated' ? 'malformed' : reply)
    })
  })
}
