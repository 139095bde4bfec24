import type { Duplex } from 'node:stream'
import type { Stanza } from '../../lib/stanza/stanza.js'
import type { TestAuthority } from './authority.js'
import { ManualClock } from './manual-clock.js'
import { MemoryFederation, type MemoryNetwork } from './memory-federation.js'
import { type Attempted, scriptedAttempt } from './scripted-initiator.js'
import { ScriptedLog } from './scripted-log.js'
import { describeSettings, type Expected, type Outcome } from './scripted-matrix.js'
import { fixtureOf, type PeerSettings, type ScriptedCertificates, type ScriptedParty } from './scripted-party.js'
import { ScriptedReceiver, type Visit } from './scripted-receiver.js'

export const NORTH = 'north.example'
export const SOUTH = 'south.example'
const SECRET = 'what only the north knows'

/** The server of the initiating domain when it is not the one that opens the stream: nothing keeps others from asking it. */
const CONFIRMING: PeerSettings = { tls: 'optional', certificate: 'valid', dialback: true, strict: false }

/** What all cases have in common. */
export interface CaseWorld {
  readonly authority: TestAuthority
  readonly certificates: ScriptedCertificates
  readonly newNetwork: () => MemoryNetwork
}

export interface CaseOptions {
  readonly initiator: PeerSettings
  readonly receiver: PeerSettings
  readonly expected: Expected
  /** Who confirms the key: a server of its own kind, or the initiating one. */
  readonly confirms: 'other' | 'initiator'
}

/** What was seen of one case, from both ends. */
export interface Observed {
  readonly outcome: Outcome
  readonly encrypted: boolean
  /** Everything that contradicts what was expected. */
  readonly faults: readonly string[]
}

/** Real milliseconds after which a case that does not move any more is given up, so that the spec can say which one it was. */
const WATCHDOG_MS = 6000

/** Time stands still in all cases: whatever ends, ends without the help of a deadline. */
abstract class Case {
  protected readonly world: CaseWorld
  protected readonly options: CaseOptions
  protected readonly network: MemoryNetwork
  protected readonly faults: string[] = []
  protected readonly servers: MemoryFederation[] = []

  constructor(world: CaseWorld, options: CaseOptions) {
    this.world = world
    this.options = options
    this.network = world.newNetwork()
  }

  protected abstract play(): Promise<{ outcome: Outcome; encrypted: boolean }>

  async run(): Promise<Observed> {
    const { initiator, receiver, expected } = this.options
    let timer: NodeJS.Timeout | undefined
    const stuck = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('nothing moves any more')), WATCHDOG_MS)
    })
    let seen: { outcome: Outcome; encrypted: boolean } = { outcome: 'NONE', encrypted: expected.encrypted }
    try {
      seen = await Promise.race([this.play(), stuck])
    } catch (error) {
      this.faults.push(String(error))
    } finally {
      clearTimeout(timer)
      await Promise.all(this.servers.map(server => server.stop()))
    }
    this.check(expected.outcome, seen.outcome, 'outcome')
    this.check(expected.encrypted, seen.encrypted, 'encrypted')
    const demanded = initiator.tls === 'required' || receiver.tls === 'required'
    if (seen.outcome === 'PLAIN-DB' && demanded) this.faults.push('plain though TLS is required')
    const name = `I ${describeSettings(initiator)} | R ${describeSettings(receiver)} (row ${expected.row})`
    return { ...seen, faults: this.faults.map(fault => `${name}: ${fault}`) }
  }

  protected check(expected: unknown, seen: unknown, what: string): void {
    if (expected !== seen) this.faults.push(`${what} is ${String(seen)}, not ${String(expected)}`)
  }

  protected federation(domain: string, settings: PeerSettings, log: ScriptedLog): MemoryFederation {
    const { tls, strict, dialback } = settings
    const server = new MemoryFederation({
      network: this.network,
      authority: this.world.authority,
      clock: new ManualClock(),
      domains: [domain],
      rules: { tls, strict, dialback, external: true },
      certificate: fixtureOf(settings),
      secret: SECRET,
      log,
    })
    this.servers.push(server)
    return server
  }

  protected party(domain: string, settings: PeerSettings): ScriptedParty {
    const dial = (to: string): Duplex | undefined => this.network.connect(to)
    return { domain, settings, certificates: this.world.certificates, secret: SECRET, dial }
  }

  /** Lets the initiating domain have a server that confirms keys, unless its own does. */
  protected letConfirm(own?: ScriptedReceiver): void {
    if (this.options.confirms === 'other') this.listen(new ScriptedReceiver(this.party(NORTH, CONFIRMING)), NORTH)
    else if (own !== undefined) this.listen(own, NORTH)
  }

  protected listen(receiver: ScriptedReceiver, domain: string): void {
    this.network.listen(domain, receiver.serve)
  }

  protected checkVisit(visit: Visit): void {
    this.faults.push(...visit.faults)
  }

  /** What our server says of an attempt of its own that proved nothing, and what the one waiting stanza was answered. */
  protected checkFailure(server: MemoryFederation, bounce: Stanza): void {
    const failure = this.options.expected.failure
    const attempts = server.outgoing.session(NORTH, SOUTH)?.attempts ?? []
    this.check(1, attempts.length, 'number of attempts')
    const outcome = attempts.at(-1)?.outcome ?? ''
    if (failure === undefined || !outcome.startsWith(`${failure}: `)) this.faults.push(`${outcome}, not ${failure}`)
    this.check('error', bounce.type, 'type of the answer')
    const error = bounce.element.getChild('error')
    const waits = outcome === 'dialback: remote-connection-failed' || outcome === 'dialback: remote-server-timeout'
    this.check(waits ? 'wait' : 'cancel', error?.attrs.type, 'error type')
    if (error?.getChild('remote-server-timeout') === undefined) this.faults.push(`the answer is ${String(error)}`)
    this.check(0, server.received.length, 'further answers')
  }

  /** What our server recorded as the receiving one. */
  protected checkIncoming(server: MemoryFederation, log: ScriptedLog): Outcome {
    const proven = log.all('s2s-in-proven')
    if (proven.length === 0) return 'NONE'
    this.check(1, server.proven.filter(({ direction }) => direction === 'incoming').length, 'number of proofs')
    if (proven[0]?.proof === 'external') return 'TLS-EXT'
    return proven[0]?.tls === undefined ? 'PLAIN-DB' : 'TLS-DB'
  }

  /** Why the receiving side, which is ours, says that a stream without proof has ended. */
  protected async checkIncomingEnd(log: ScriptedLog): Promise<void> {
    const { reason } = await log.first('s2s-in-ended')
    const wanted = this.options.expected.row === 8 ? 'certificate: ' : 'stream: '
    if (!String(reason).startsWith(wanted)) this.faults.push(`the receiving side ended with ${String(reason)}`)
  }
}

function outcomeOf(proof: Attempted['proof'] | 'certificate', encrypted: boolean): Outcome {
  if (proof === 'none') return 'NONE'
  if (proof === 'external') return 'TLS-EXT'
  return encrypted ? 'TLS-DB' : 'PLAIN-DB'
}

const text = 'hello'

/** Our server opens the stream to a scripted one. */
export class InitiatorCase extends Case {
  protected override async play(): Promise<{ outcome: Outcome; encrypted: boolean }> {
    const { initiator, receiver } = this.options
    const server = this.federation(NORTH, initiator, new ScriptedLog())
    const far = new ScriptedReceiver(this.party(SOUTH, receiver))
    this.listen(far, SOUTH)
    this.letConfirm()
    server.send(`a@${NORTH}/x`, `b@${SOUTH}`, text)
    const bounce = server.next()
    const ended = await Promise.race([bounce, far.next()])
    this.check(1, far.visits.length, 'number of connections')
    const visit = far.visits[0]!
    if ('kind' in ended) {
      await visit.stream.closed
      this.checkFailure(server, ended)
      this.check(0, server.proven.length, 'proofs')
      this.check('none', visit.proof, 'proof seen by the receiver')
    } else {
      const proof = server.proven.find(({ direction }) => direction === 'outgoing')?.proof ?? 'none'
      this.check(visit.proof, proof, 'proof seen by the initiator')
      this.check(1, visit.stanzas.length, 'stanzas')
    }
    this.checkVisit(visit)
    return { outcome: outcomeOf(visit.proof, visit.stream.encrypted), encrypted: visit.stream.encrypted }
  }
}

/** A scripted server opens the stream to ours. */
export class ReceiverCase extends Case {
  protected override async play(): Promise<{ outcome: Outcome; encrypted: boolean }> {
    const { initiator, receiver, expected } = this.options
    const log = new ScriptedLog()
    const server = this.federation(SOUTH, receiver, log)
    const party = this.party(NORTH, initiator)
    this.letConfirm(new ScriptedReceiver(party))
    const attempted = await scriptedAttempt(party, SOUTH)
    if (attempted.proof === 'none') {
      await attempted.stream?.closed
      this.check(expected.failure, attempted.end, `end (${attempted.detail})`)
      await this.checkIncomingEnd(log)
    } else {
      attempted.stream?.send(`<message from='a@${NORTH}/x' to='b@${SOUTH}' id='1'><body>${text}</body></message>`)
      this.check(text, (await server.next()).textOf('body'), 'body')
    }
    const outcome = this.checkIncoming(server, log)
    this.check(outcome, outcomeOf(attempted.proof, attempted.encrypted), 'outcome seen by the initiator')
    return { outcome, encrypted: attempted.encrypted }
  }
}

/** Both ends are ours. */
export class OwnCase extends Case {
  protected override async play(): Promise<{ outcome: Outcome; encrypted: boolean }> {
    const { initiator, receiver } = this.options
    const northLog = new ScriptedLog()
    const southLog = new ScriptedLog()
    const north = this.federation(NORTH, initiator, northLog)
    const south = this.federation(SOUTH, receiver, southLog)
    this.letConfirm()
    north.send(`a@${NORTH}/x`, `b@${SOUTH}`, text)
    const ended = await Promise.race([north.next(), south.next()])
    if (ended.type === 'error') {
      this.checkFailure(north, ended)
      await this.checkIncomingEnd(southLog)
    }
    const trace = north.outgoing.session(NORTH, SOUTH)?.attempts.at(-1)?.trace
    const outcome = this.checkIncoming(south, southLog)
    const proof = north.proven.find(({ direction }) => direction === 'outgoing')?.proof ?? 'none'
    const encrypted = trace?.steps.some(({ step }) => step === 'tls') === true
    this.check(outcome, outcomeOf(proof, encrypted), 'outcome seen by the initiator')
    return { outcome, encrypted }
  }
}
