import type { LocalResource } from '../../lib/routing/local-resource.js'
import { Jids } from '../../lib/stanza/jid.js'
import type { Congestion, Refusal, Refused, Route } from '../../lib/stanza/route.js'
import { Stanza, type StanzaKind } from '../../lib/stanza/stanza.js'
import type { Element } from '../../lib/xml/element.js'

const jids = new Jids()

export function jid(text: string): ReturnType<Jids['parse']> & {} {
  const parsed = jids.parse(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

/** A stanza from `ivo@south.example/home`. */
export function stanza(
  kind: StanzaKind,
  to: string,
  type?: string,
  children: readonly (Element | string)[] = [],
): Stanza {
  return Stanza.build(kind, { from: jid('ivo@south.example/home'), to: jid(to), id: 'id1', type }, children)
}

/** A route that remembers what it was given, and takes or refuses as told. */
export class Recorder implements Route {
  readonly taken: Stanza[] = []
  readonly answers: Refused[] = []
  refusal: Refusal | undefined
  congestion: Congestion | undefined

  deliver(given: Stanza, refused: Refused): Refusal | undefined {
    if (this.refusal !== undefined) return this.refusal
    this.taken.push(given)
    this.answers.push(refused)
    return undefined
  }
}

/** A connected session, whose appetite follows its priority unless told otherwise. */
export class Resource extends Recorder implements LocalResource {
  readonly jid: ReturnType<typeof jid>
  readonly priority: number | undefined
  wantsMessages: boolean
  wantsPresence: boolean

  constructor(address: string, priority: number | undefined) {
    super()
    this.jid = jid(address)
    this.priority = priority
    this.wantsMessages = priority !== undefined && priority >= 0
    this.wantsPresence = priority !== undefined
  }
}
