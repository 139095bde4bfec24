import { Deadline } from '../base/deadline.js'
import type { Trace } from '../base/trace.js'
import type { DialTarget } from '../dial/dial-target.js'
import {
  encryptAtOnce,
  headerOf,
  type InitiateOptions,
  introduce,
  openStream,
  type PeerHeader,
  proveExternal,
  type SecuredStream,
  type ShownCertificate,
  secureStream,
} from '../negotiation/initiate.js'
import type { Proof, Rules } from '../negotiation/rules.js'
import type { DomainPair } from '../stanza/domain-pair.js'
import { StreamEnd } from '../stream/end-reason.js'
import { Transport } from '../stream/transport.js'
import { XmlStream } from '../stream/xml-stream.js'
import type { Connect } from './connect.js'
import type { SessionContext } from './context.js'
import type { OutgoingStream } from './outgoing-stream.js'
import { limitsBeforeProof } from './stream-limits.js'

/** What one attempt for one domain pair works with. */
export interface AttemptOptions {
  readonly context: SessionContext
  readonly connect: Connect
  readonly pair: DomainPair
  readonly rules: Rules
  readonly trace: Trace
  /** Aborts with the attempt's absolute deadline, or when the service stops. */
  readonly signal: AbortSignal
  readonly provenLately: boolean
  /** Most addresses that are dialed, where fewer are to be than usual. */
  readonly mostAddresses?: number
  /** What is true of every connection of the attempt; a new one for each. */
  readonly history: AttemptHistory
  /** Wraps a secured stream; the owner of the streams names and counts them. */
  wrap(stream: XmlStream, secured: SecuredStream): OutgoingStream
}

export interface AttemptHistory {
  /** TLS was begun on one connection: from then on none is used without it, whatever the policy (RFC 7590 §3.1). */
  tlsBegun: boolean
}

/** A usable connection: with the peer's header, or with TLS at once and the verdict on its certificate. */
type Opened = {
  readonly stream: XmlStream
  readonly connectedAt: number
  readonly target?: DialTarget | undefined
} & ({ readonly header: PeerHeader } | { readonly shown: ShownCertificate })

/** From a domain to a stream that is as safe as the rules demand and has proven nothing yet. */
export async function reach(options: AttemptOptions): Promise<OutgoingStream> {
  return (await reachSince(options))[0]
}

/** The same with the time at which its socket was connected. */
async function reachSince(options: AttemptOptions): Promise<readonly [OutgoingStream, number]> {
  const { context, connect, pair, rules, trace, signal, provenLately, mostAddresses } = options
  const { clock, settings } = context
  const opened = await connect<Opened>({
    pair,
    rules,
    trace,
    signal,
    provenLately,
    ...(mostAddresses !== undefined && { mostAddresses }),
    open: async (socket, addresses, raceSignal, kind, target) => {
      const connectedAt = clock.now()
      const transport = new Transport(socket, { clock, addresses, writeTimeoutMs: settings.writeTimeoutMs })
      const stream = new XmlStream(transport, {
        clock,
        limits: limitsBeforeProof(settings),
        errorHeader: () => headerOf(initiate(options, raceSignal)),
      })
      const deadline = proofDeadline(options, connectedAt, raceSignal)
      try {
        const how = initiate(options, deadline.signal, target)
        if (kind === 'starttls') return { stream, header: await openStream(stream, how), connectedAt, target }
        options.history.tlsBegun = true
        return { stream, shown: await encryptAtOnce(stream, how), connectedAt, target }
      } catch (error) {
        if (stream.open) stream.abort({ kind: 'deadline', detail: trace.waitingFor })
        // Whoever dialed takes the socket away at once; a stream error of ours leaves within this turn.
        else await new Promise(resolve => setImmediate(resolve))
        throw error
      } finally {
        deadline.done()
      }
    },
  })
  const deadline = proofDeadline(options, opened.connectedAt, signal)
  try {
    const how = initiate(options, deadline.signal, opened.target)
    const secured =
      'header' in opened
        ? await secureStream(opened.stream, opened.header, how)
        : await introduce(opened.stream, opened.shown, how)
    return [options.wrap(opened.stream, secured), opened.connectedAt]
  } catch (error) {
    // Still open: time is over, or a mistake of ours. Whatever else went wrong has closed it.
    if (opened.stream.open) opened.stream.abort({ kind: 'deadline', detail: trace.waitingFor })
    throw error
  } finally {
    deadline.done()
  }
}

/** Why the peer refused EXTERNAL, when it also ended the stream: dialback gets one new connection. */
class ExternalRefused extends Error {}

/**
 * One attempt: a stream that has proven the pair, by EXTERNAL, else by dialback, each only where the peer offers it. `spare` is a stream
 * that was opened to verify a key and has proven nothing. Rejects with a StreamEnd.
 */
export async function attempt(
  options: AttemptOptions,
  spare?: OutgoingStream,
): Promise<readonly [OutgoingStream, Proof]> {
  const [stream, since] = spare === undefined ? await reachSince(options) : [spare, options.context.clock.now()]
  if (stream.stream.transport.tls !== undefined) options.history.tlsBegun = true
  try {
    return [stream, await prove(stream, options, since, true)]
  } catch (error) {
    const lost = error instanceof ExternalRefused || (error instanceof StreamEnd && closedByPeer(error))
    if (spare !== undefined && lost) {
      options.trace.note('reuse', { refused: 'the stream was closed', next: 'a new connection' })
      return await attempt(options)
    }
    if (!(error instanceof ExternalRefused)) throw error
    options.trace.note('external', { refused: 'the stream was closed', next: 'dialback on a new connection' })
    const [again, sinceAgain] = await reachSince(options)
    return [again, await prove(again, options, sinceAgain, false)]
  }
}

async function prove(
  stream: OutgoingStream,
  options: AttemptOptions,
  since: number,
  mayUseExternal: boolean,
): Promise<Proof> {
  const { pair, rules, trace, signal } = options
  const deadline = proofDeadline(options, since, signal)
  const { secured } = stream
  const offersDialback = rules.dialback && dialbackOffered(secured)
  let externalRefused = false
  try {
    if (mayUseExternal && externalPossible(secured, options)) {
      try {
        const outcome = await proveExternal(stream.stream, secured, initiate(options, deadline.signal))
        if (!('refused' in outcome)) {
          stream.secured = outcome
          stream.listen()
          return 'external'
        }
        if (!offersDialback) {
          stream.stream.close({ kind: 'sasl', detail: outcome.refused })
          throw new StreamEnd('sasl', outcome.refused)
        }
        externalRefused = true
      } catch (error) {
        if (offersDialback && error instanceof StreamEnd && closedByPeer(error)) throw new ExternalRefused()
        throw error
      }
    }
    if (!offersDialback) {
      stream.stream.close({ kind: 'sasl', detail: 'no-common-proof' })
      throw new StreamEnd('sasl', 'no-common-proof')
    }
    trace.note('dialback', { asked: true })
    trace.waitFor('dialback answer')
    stream.listen()
    try {
      await stream.requestPair(pair, deadline.signal)
    } catch (error) {
      if (externalRefused && error instanceof StreamEnd && closedByPeer(error)) throw new ExternalRefused()
      throw error
    }
    trace.note('dialback', { result: 'valid' })
    return 'dialback'
  } catch (error) {
    if (stream.usable) stream.close({ kind: 'dialback', detail: 'not proven' })
    // While SASL was read in straight lines nobody else was told of an end.
    stream.listen()
    throw error
  } finally {
    deadline.done()
  }
}

function externalPossible({ features, verdict }: SecuredStream, { rules, context, pair }: AttemptOptions): boolean {
  return (
    rules.external &&
    verdict?.verified === true &&
    features.mechanisms?.includes('EXTERNAL') === true &&
    context.credentials(pair.local) !== undefined
  )
}

/** By its feature; by the namespace on the header when the features list no proof at all, or there are none. */
function dialbackOffered({ features, declaresDialback }: SecuredStream): boolean {
  return features.dialback !== undefined || (features.mechanisms === undefined && declaresDialback)
}

function closedByPeer({ reason }: StreamEnd): boolean {
  return (
    reason.kind === 'tcp' ||
    (reason.kind === 'stream' && (reason.detail === 'closed' || reason.detail === 'not-authorized'))
  )
}

function initiate(
  { context, pair, rules, trace, history }: AttemptOptions,
  signal: AbortSignal,
  target?: DialTarget,
): InitiateOptions {
  return {
    local: pair.local,
    remote: pair.remote,
    rules: history.tlsBegun ? { ...rules, tls: 'required' } : rules,
    credentials: context.credentials(pair.local)?.context,
    skipSendingAuthzid: context.settings.skipSendingAuthzid,
    judge: chain => context.judgeRemote({ domain: pair.remote, chain, target, trace, signal }),
    trace,
    signal,
  }
}

/** From each connected socket to the proven pair; traffic does not move it. */
function proofDeadline({ context, trace }: AttemptOptions, since: number, signal: AbortSignal): Deadline {
  const left = Math.max(0, context.settings.initialiseTimeoutMs - (context.clock.now() - since))
  return new Deadline(context.clock, left, () => new StreamEnd('deadline', trace.waitingFor), signal)
}
