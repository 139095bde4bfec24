import type { TestAuthority } from './authority.js'
import { ManualClock } from './manual-clock.js'
import { MemoryFederation, type MemoryNetwork } from './memory-federation.js'
import { ScriptedLog } from './scripted-log.js'
import { fixtureOf, type PeerSettings, type ScriptedCertificates, type ScriptedParty } from './scripted-party.js'
import { ScriptedReceiver } from './scripted-receiver.js'

/** The server of the initiating domain when it is not the one that opens the stream: nothing keeps others from asking it. */
const CONFIRMING: PeerSettings = { tls: 'optional', certificate: 'valid', dialback: true, strict: false }

const SECRET = 'known to the initiating domain'

export interface ArenaOptions {
  readonly authority: TestAuthority
  readonly certificates: ScriptedCertificates
  readonly network: MemoryNetwork
  /** Who confirms a key: a server of its own kind, or the initiating one with its settings. */
  readonly confirms: 'other' | 'initiator'
  /** Receiving servers listen for Direct TLS only. */
  readonly directTls?: boolean
}

export interface OwnServer {
  readonly server: MemoryFederation
  readonly log: ScriptedLog
}

/** The initiating domain of a side's settings, and the receiving one. */
export function northOf(settings: PeerSettings): string {
  return `${labelOf(settings)}.north.example`
}

export function southOf(settings: PeerSettings): string {
  return `${labelOf(settings)}.south.example`
}

function labelOf({ tls, certificate, fixture, dialback, strict }: PeerSettings): string {
  return [tls, fixture ?? certificate, dialback ? 'dialback' : 'none', strict ? 'strict' : 'lax'].join('-')
}

/**
 * A network with a server for each setting of each side, made when it is needed: every case is a domain pair of its own. Time stands
 * still in it, so whatever ends, ends without the help of a deadline.
 */
export class Arena {
  readonly #options: ArenaOptions
  readonly #own = new Map<string, OwnServer>()
  readonly #scripted = new Map<string, ScriptedReceiver>()

  constructor(options: ArenaOptions) {
    this.#options = options
  }

  /** A server of ours that opens streams. */
  ourNorth(settings: PeerSettings): OwnServer {
    const domain = northOf(settings)
    return this.#own.get(domain) ?? this.#makeOurs(domain, settings, () => this.#letConfirm(domain))
  }

  /** A server of ours that streams are opened to. */
  ourSouth(settings: PeerSettings): OwnServer {
    const domain = this.#southOf(settings)
    return this.#own.get(domain) ?? this.#makeOurs(domain, settings)
  }

  /** A scripted server that opens streams. */
  scriptedNorth(settings: PeerSettings): ScriptedParty {
    const domain = northOf(settings)
    const party = this.#party(domain, settings)
    if (!this.#scripted.has(domain)) {
      if (this.#options.confirms === 'initiator') this.#makeReceiver(domain, settings)
      else this.#letConfirm(domain)
    }
    return party
  }

  /** A scripted server that streams are opened to. */
  scriptedSouth(settings: PeerSettings): ScriptedReceiver {
    const domain = this.#southOf(settings)
    return this.#scripted.get(domain) ?? this.#makeReceiver(domain, settings)
  }

  #southOf(settings: PeerSettings): string {
    const domain = southOf(settings)
    if (this.#options.directTls) this.#options.network.directTls.add(domain)
    return domain
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#own.values()].map(({ server }) => server.stop()))
    for (const receiver of this.#scripted.values()) for (const { stream } of receiver.visits) stream.cut()
  }

  #letConfirm(domain: string): void {
    if (this.#options.confirms === 'other') this.#makeReceiver(domain, CONFIRMING)
  }

  #makeReceiver(domain: string, settings: PeerSettings): ScriptedReceiver {
    const receiver = new ScriptedReceiver(this.#party(domain, settings))
    this.#scripted.set(domain, receiver)
    this.#options.network.listen(domain, receiver.serve)
    return receiver
  }

  #party(domain: string, settings: PeerSettings): ScriptedParty {
    const { network, certificates } = this.#options
    return {
      domain,
      settings,
      certificates,
      secret: SECRET,
      dial: to => network.connect(to),
      isDirectTls: to => network.directTls.has(to),
    }
  }

  #makeOurs(domain: string, settings: PeerSettings, made?: () => void): OwnServer {
    const { network, authority } = this.#options
    const { tls, strict, dialback } = settings
    const log = new ScriptedLog()
    const server = new MemoryFederation({
      network,
      authority,
      clock: new ManualClock(),
      domains: [domain],
      rules: { tls, strict, dialback, external: true },
      certificate: fixtureOf(settings),
      // All cases come from one address.
      settings: { streamsPerAddress: 1000 },
      secret: SECRET,
      log,
    })
    const own = { server, log }
    this.#own.set(domain, own)
    made?.()
    return own
  }
}
