import type { Duplex } from 'node:stream'
import type { Stanza } from '../../lib/stanza/stanza.js'
import type { TestAuthority } from './authority.js'
import { ManualClock } from './manual-clock.js'
import { MemoryFederation, type MemoryFederationOptions, MemoryNetwork } from './memory-federation.js'
import { ScriptedLog } from './scripted-log.js'
import { type PeerSettings, ScriptedCertificates, type ScriptedParty } from './scripted-party.js'
import { type ReceiverOptions, ScriptedReceiver, type Step } from './scripted-receiver.js'

export const HERE = 'here.example'
export const THERE = 'there.example'

/** A server as one hopes to meet them. */
export const GOOD: PeerSettings = { tls: 'required', certificate: 'valid', dialback: true, strict: true }

/** What a sender was told. */
export interface Bounce {
  readonly id: string | undefined
  readonly condition: string | undefined
  readonly type: string | undefined
}

/** One server of ours under a clock moved by hand, and scripted ones around it. */
export class Scene {
  readonly clock = new ManualClock()
  readonly network = new MemoryNetwork()
  readonly log = new ScriptedLog()
  readonly server: MemoryFederation
  readonly #certificates: ScriptedCertificates
  readonly #receivers: ScriptedReceiver[] = []

  constructor(authority: TestAuthority, options: Partial<MemoryFederationOptions> = {}) {
    this.#certificates = new ScriptedCertificates(authority)
    const { clock, network, log } = this
    this.server = new MemoryFederation({ network, authority, clock, log, domains: [HERE], ...options })
  }

  party(domain: string, settings: Partial<PeerSettings> = {}): ScriptedParty {
    const dial = (to: string): Duplex | undefined => this.network.connect(to)
    return {
      domain,
      settings: { ...GOOD, ...settings },
      certificates: this.#certificates,
      secret: `of ${domain}`,
      dial,
      isDirectTls: to => this.network.directTls.has(to),
    }
  }

  /** A scripted server that answers for a domain. */
  receiver(options: Partial<ReceiverOptions> & { settings?: PeerSettings } = {}): ScriptedReceiver {
    const receiver = new ScriptedReceiver({ ...this.party(options.domain ?? THERE), ...options })
    this.network.listen(options.domain ?? THERE, receiver.serve)
    this.#receivers.push(receiver)
    return receiver
  }

  send(body = 'hello', from = HERE, to = THERE): void {
    this.server.send(`a@${from}/x`, `b@${to}`, body)
  }

  /** The next error that comes back to a local user. */
  async bounce(): Promise<Bounce> {
    return bounceOf(await this.server.next(({ type }) => type === 'error'))
  }

  /** How the attempts for the pair have ended, oldest first, without the peer's own words. */
  outcomes(local = HERE, remote = THERE): string[] {
    const attempts = this.server.outgoing.session(local, remote)?.attempts ?? []
    return attempts.map(({ outcome }) => outcome.replace(/ \(.*$/s, ''))
  }

  /** Sends two stanzas that wait for one attempt: each is answered once, in order and alike. Gives condition and type. */
  async twoBounces(): Promise<string> {
    this.send('one')
    this.send('two')
    const bounces = [await this.bounce(), await this.bounce()] as const
    await settled()
    const [first, second] = bounces
    const told = `${first.condition} ${first.type}`
    if (first.id !== 'one' || second.id !== 'two' || `${second.condition} ${second.type}` !== told) {
      throw new Error(`the answers were ${JSON.stringify(bounces)}`)
    }
    if (this.server.received.length > 0) throw new Error('more answers than stanzas')
    const { accepted, delivered, refused } = this.server.outgoing.counters
    if (accepted !== 2 || delivered !== 0 || refused !== 2) throw new Error('the counters do not add up')
    return told
  }

  async stop(): Promise<void> {
    await this.server.stop()
    for (const { visits } of this.#receivers) for (const { stream } of visits) stream.cut()
    await settled()
    if (this.clock.waiting > 0) throw new Error(`${this.clock.waiting} timers are left when everything has ended`)
  }
}

export function bounceOf(stanza: Stanza): Bounce {
  const error = stanza.element.getChild('error')
  return { id: stanza.id, condition: error?.getChildElements()[0]?.name, type: error?.attrs.type }
}

/** Lets everything that is under way come to rest: nothing here needs more turns of the event loop than that. */
export async function settled(turns = 50): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise(resolve => setImmediate(resolve))
}

/** What our side needs so that an attempt comes by a step. */
export function oursTowards(step: Step): Partial<MemoryFederationOptions> {
  return step === 'dialback' ? { rules: { external: false } } : {}
}

/** And the other side: without dialback, so that a refused EXTERNAL is the end of it. */
export function theirsTowards(step: Step): Partial<ReceiverOptions> {
  return step === 'dialback' ? {} : { settings: { ...GOOD, dialback: false } }
}
