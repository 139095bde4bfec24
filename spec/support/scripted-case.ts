import type { Stanza } from '../../lib/stanza/stanza.js'
import type { MemoryFederation } from './memory-federation.js'
import { type Arena, northOf, type OwnServer, southOf } from './scripted-arena.js'
import { type Attempted, scriptedAttempt } from './scripted-initiator.js'
import { describeSettings, type Expected, type Outcome } from './scripted-matrix.js'
import type { PeerSettings } from './scripted-party.js'
import type { ScriptedReceiver, Visit } from './scripted-receiver.js'

/** What was seen of one case, from both ends. */
export interface Observed {
  readonly outcome: Outcome
  /** Everything that contradicts what was expected. */
  readonly faults: readonly string[]
}

interface Seen {
  readonly outcome: Outcome
  readonly encrypted: boolean
}

/** Real milliseconds after which a case that does not move any more is given up, so that the spec can say which one it was. */
const WATCHDOG_MS = 6000

/** Far more turns of the event loop than bytes under way need. */
const MOST_TURNS = 5000

const BODY = 'hello'

/** One case of the policy matrix: one domain pair, one stanza, and what both ends see of it. */
abstract class Case {
  protected readonly arena: Arena
  protected readonly initiator: PeerSettings
  protected readonly receiver: PeerSettings
  protected readonly expected: Expected
  protected readonly north: string
  protected readonly south: string
  protected readonly faults: string[] = []

  constructor(arena: Arena, initiator: PeerSettings, receiver: PeerSettings, expected: Expected) {
    this.arena = arena
    this.initiator = initiator
    this.receiver = receiver
    this.expected = expected
    this.north = northOf(initiator)
    this.south = southOf(receiver)
  }

  protected abstract play(): Promise<Seen>

  async run(): Promise<Observed> {
    const { initiator, receiver, expected } = this
    let timer: NodeJS.Timeout | undefined
    const stuck = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('nothing moves any more')), WATCHDOG_MS)
    })
    let outcome: Outcome = 'NONE'
    try {
      const seen = await Promise.race([this.play(), stuck])
      outcome = seen.outcome
      this.check(expected.outcome, outcome, 'outcome')
      this.check(expected.encrypted, seen.encrypted, 'encrypted')
    } catch (error) {
      this.faults.push(String(error))
    } finally {
      clearTimeout(timer)
    }
    const demanded = initiator.tls === 'required' || receiver.tls === 'required'
    if (outcome === 'PLAIN-DB' && demanded) this.faults.push('plain though TLS is required')
    const name = `I ${describeSettings(initiator)} | R ${describeSettings(receiver)} (row ${expected.row})`
    return { outcome, faults: this.faults.map(fault => `${name}: ${fault}`) }
  }

  protected check(expected: unknown, seen: unknown, what: string): void {
    if (expected !== seen) this.faults.push(`${what} is ${String(seen)}, not ${String(expected)}`)
  }

  /** Whether the receiving side never learns who it was: there was no connection, or no header on it. */
  protected get isAnonymous(): boolean {
    const { directTls, failure } = this.expected
    return failure === 'dns' || (directTls === true && failure === 'tls')
  }

  protected sendFrom(server: MemoryFederation): Promise<Stanza> {
    server.send(`a@${this.north}/x`, `b@${this.south}`, BODY)
    return server.next(({ from }) => from?.domain === this.south)
  }

  /** What comes to our receiving server. */
  protected nextAt(server: MemoryFederation): Promise<Stanza> {
    return server.next(({ from }) => from?.domain === this.north)
  }

  /** How our initiating server has proven itself. */
  protected proofOf(server: MemoryFederation): Attempted['proof'] | 'certificate' {
    const own = server.proven.filter(({ direction, pair }) => direction === 'outgoing' && pair.remote === this.south)
    if (own.length > 1) this.faults.push('several proofs')
    return own[0]?.proof ?? 'none'
  }

  /** What our server says of an attempt of its own that proved nothing, and what the one waiting stanza was answered. */
  protected checkFailure(server: MemoryFederation, bounce: Stanza): void {
    const { failure } = this.expected
    const attempts = server.outgoing.session(this.north, this.south)?.attempts ?? []
    this.check(1, attempts.length, 'number of attempts')
    const outcome = attempts.at(-1)?.outcome ?? ''
    if (failure === undefined || !outcome.startsWith(`${failure}: `)) this.faults.push(`${outcome}, not ${failure}`)
    this.check('error', bounce.type, 'type of the answer')
    const error = bounce.element.getChild('error')
    const waits =
      outcome === 'dialback: remote-connection-failed' ||
      outcome === 'dialback: remote-server-timeout' ||
      outcome.startsWith('tls: handshake-failed')
    this.check(waits ? 'wait' : 'cancel', error?.attrs.type, 'error type')
    const condition = failure === 'dns' ? 'remote-server-not-found' : 'remote-server-timeout'
    if (error?.getChild(condition) === undefined) this.faults.push(`the answer is ${String(error)}`)
    const more = server.received.filter(({ from }) => from?.domain === this.south)
    this.check(0, more.length, 'further answers')
  }

  /** What our server recorded as the receiving one. */
  protected outcomeAt({ log }: OwnServer): Outcome {
    const proven = log.entries.filter(({ event, fields }) => event === 's2s-in-proven' && fields.remote === this.north)
    if (proven.length > 1) this.faults.push('several proofs')
    const fields = proven[0]?.fields
    if (fields === undefined) return 'NONE'
    return outcomeOf(fields.proof === 'external' ? 'external' : 'dialback', fields.tls !== undefined)
  }

  /** Why the receiving side, which is ours, says that a stream without proof has ended. */
  protected async checkEndAt({ log }: OwnServer): Promise<void> {
    // A handshake that fails names nobody.
    const from = this.isAnonymous ? undefined : this.north
    const { reason } = await log.first('s2s-in-ended', ({ remote }) => remote === from)
    const { row, failure, directTls } = this.expected
    const wanted = row === 8 ? 'certificate: ' : directTls && failure === 'tls' ? 'tls: ' : 'stream: '
    if (!String(reason).startsWith(wanted)) this.faults.push(`the receiving side ended with ${String(reason)}`)
  }
}

function outcomeOf(proof: Attempted['proof'] | 'certificate', encrypted: boolean): Outcome {
  if (proof === 'none') return 'NONE'
  if (proof === 'external') return 'TLS-EXT'
  return encrypted ? 'TLS-DB' : 'PLAIN-DB'
}

/** Our server opens the stream to a scripted one. */
export class InitiatorCase extends Case {
  protected override async play(): Promise<Seen> {
    const { server } = this.arena.ourNorth(this.initiator)
    const far = this.arena.scriptedSouth(this.receiver)
    const bounce = this.sendFrom(server)
    const bounced = await Promise.race([bounce, far.next(this.north)])
    const visits = await this.#visitsTo(far)
    this.check(this.isAnonymous ? 0 : 1, visits.length, 'number of connections')
    const visit = visits[0]
    if (visit === undefined) {
      if ('kind' in bounced) this.checkFailure(server, bounced)
      return { outcome: 'NONE', encrypted: false }
    }
    if ('kind' in bounced) {
      await visit.stream.closed
      this.checkFailure(server, bounced)
    } else {
      this.check(1, visit.stanzas.length, 'stanzas')
    }
    this.check(visit.proof, this.proofOf(server), 'proof seen by the initiator')
    this.faults.push(...visit.faults)
    const { encrypted } = visit.stream
    return { outcome: outcomeOf(visit.proof, encrypted), encrypted }
  }

  /** A header that is sent together with the end of the attempt is read after that. */
  async #visitsTo(far: ScriptedReceiver): Promise<readonly Visit[]> {
    for (let turn = 0; ; turn++) {
      const visits = far.visits.filter(({ from }) => from === this.north)
      if (visits.length > 0 || this.isAnonymous || turn === MOST_TURNS) return visits
      await new Promise(resolve => setImmediate(resolve))
    }
  }
}

/** A scripted server opens the stream to ours. */
export class ReceiverCase extends Case {
  protected override async play(): Promise<Seen> {
    const own = this.arena.ourSouth(this.receiver)
    const attempted = await scriptedAttempt(this.arena.scriptedNorth(this.initiator), this.south)
    const { proof, stream, encrypted } = attempted
    if (proof === 'none') {
      await stream?.closed
      this.check(this.expected.failure, attempted.end, `end (${attempted.detail})`)
      if (attempted.end !== 'dns') await this.checkEndAt(own)
    } else {
      stream?.send(`<message from='a@${this.north}/x' to='b@${this.south}' id='1'><body>${BODY}</body></message>`)
      this.check(BODY, (await this.nextAt(own.server)).textOf('body'), 'body')
    }
    const outcome = this.outcomeAt(own)
    this.check(outcome, outcomeOf(proof, encrypted), 'outcome seen by the initiator')
    return { outcome, encrypted }
  }
}

/** Both ends are ours. */
export class OwnCase extends Case {
  protected override async play(): Promise<Seen> {
    const { server: north } = this.arena.ourNorth(this.initiator)
    const south = this.arena.ourSouth(this.receiver)
    const ended = await Promise.race([this.sendFrom(north), this.nextAt(south.server)])
    if (ended.type === 'error') {
      this.checkFailure(north, ended)
      if (this.expected.failure !== 'dns') await this.checkEndAt(south)
    }
    const trace = north.outgoing.session(this.north, this.south)?.attempts.at(-1)?.trace
    const encrypted = trace?.steps.some(({ step }) => step === 'tls') === true
    const outcome = this.outcomeAt(south)
    this.check(outcome, outcomeOf(this.proofOf(north), encrypted), 'outcome seen by the initiator')
    return { outcome, encrypted }
  }
}

export type CaseKind = typeof InitiatorCase | typeof ReceiverCase | typeof OwnCase

export type Sides = readonly [initiator: PeerSettings, receiver: PeerSettings]

/** Every initiating side with every receiving one. */
export function pairs(initiators: readonly PeerSettings[], receivers: readonly PeerSettings[]): readonly Sides[] {
  return initiators.flatMap(i => receivers.map(r => [i, r] as const))
}

/** Enough to keep two processors busy with handshakes; more would only add to what is held at once. */
const AT_ONCE = 12

/** Plays many cases, some at a time, and stops the arena. */
export async function playAll(
  arena: Arena,
  kind: CaseKind,
  cases: readonly Sides[],
  rule: (i: PeerSettings, r: PeerSettings) => Expected,
): Promise<{ readonly outcomes: readonly Outcome[]; readonly faults: readonly string[] }> {
  const outcomes: Outcome[] = []
  const faults: string[] = []
  const left = [...cases]
  const worker = async (): Promise<void> => {
    for (let sides = left.pop(); sides !== undefined; sides = left.pop()) {
      const observed = await new kind(arena, ...sides, rule(...sides)).run()
      outcomes.push(observed.outcome)
      faults.push(...observed.faults)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await arena.stop()
  return { outcomes, faults }
}
