import { type Answer, type DecodedPacket, encode, type Packet } from 'dns-packet'
import { type Zone, ZoneServer } from '../../lib/service/demo/zone-server.js'

/** What a scripted server does instead of answering as its zone says. */
export interface Misdeed {
  /** Response code instead of an answer, with an extended error (RFC 8914) if wanted. */
  readonly rcode?: number
  readonly extendedError?: number
  /** No answer at all. */
  readonly drop?: boolean
  /** Cut short over UDP. */
  readonly truncate?: boolean
  /** Bytes that are no DNS message behind an id and a question that fit. */
  readonly garbage?: boolean
  /** Sent before the proper answer: the answer with these things changed. */
  readonly before?: readonly Forgery[]
  /** The AD bit set. */
  readonly authentic?: boolean
  /** Count of answers in the header, whatever follows. */
  readonly claimedAnswers?: number
  /** Held until the promise is settled. */
  readonly until?: Promise<unknown>
  /** Answers instead of those of the zone. */
  readonly answers?: readonly Answer[]
  /** Format error for whoever speaks EDNS. */
  readonly noEdns?: boolean
  /** Over this way only; else over both. */
  readonly over?: 'udp' | 'tcp'
}

export type Forgery = 'wrong id' | 'wrong name' | 'wrong type' | 'no question' | 'not a response' | 'noise'

const AUTHENTIC_DATA = 1 << 5
const TRUNCATED = 1 << 9

/** A zone server that misbehaves as told, by `TYPE name` or by name. */
export class ScriptedDns extends ZoneServer {
  readonly misdeeds: Record<string, Misdeed>
  #watchers: (() => void)[] = []

  constructor(zone: Zone = {}, misdeeds: Record<string, Misdeed> = {}) {
    super(zone)
    this.misdeeds = misdeeds
  }

  /** Waits until `count` questions have been asked in all. */
  async askedTimes(count: number): Promise<void> {
    while (this.asked.length < count) await new Promise<void>(resolve => this.#watchers.push(resolve))
  }

  protected override async reply(query: DecodedPacket, over: 'udp' | 'tcp'): Promise<Buffer[]> {
    for (const watcher of this.#watchers.splice(0)) watcher()
    const question = query.questions?.[0]
    const name = question?.name.toLowerCase() ?? ''
    const misdeed = this.misdeeds[`${question?.type} ${name}`] ?? this.misdeeds[name]
    if (misdeed === undefined || (misdeed.over !== undefined && misdeed.over !== over)) return super.reply(query, over)
    await misdeed.until
    return misbehave(misdeed, query, this.answer(query), over) ?? super.reply(query, over)
  }
}

function misbehave(misdeed: Misdeed, query: DecodedPacket, honest: Packet, over: 'udp' | 'tcp'): Buffer[] | undefined {
  if (misdeed.drop) return []
  const empty: Packet = { id: query.id, type: 'response', questions: query.questions }
  if (misdeed.rcode !== undefined) return [encode({ ...empty, flags: misdeed.rcode, additionals: extended(misdeed) })]
  if (misdeed.noEdns) return (query.additionals ?? []).length > 0 ? [encode({ ...empty, flags: 1 })] : undefined
  if (misdeed.truncate && over === 'udp') return [encode({ ...empty, flags: TRUNCATED })]
  if (misdeed.garbage) {
    const bytes = Buffer.concat([encode(empty), Buffer.from([0xc0, 0xff, 0xff])])
    bytes.writeUInt16BE(3, 6)
    return [bytes]
  }
  const said: Packet = misdeed.answers === undefined ? honest : { ...empty, answers: [...misdeed.answers] }
  const message = encode({ ...said, flags: (said.flags ?? 0) | (misdeed.authentic ? AUTHENTIC_DATA : 0) })
  if (misdeed.claimedAnswers !== undefined) message.writeUInt16BE(misdeed.claimedAnswers, 6)
  return [...(misdeed.before ?? []).map(forgery => forge(forgery, honest)), message]
}

function extended({ extendedError }: Misdeed): Answer[] {
  if (extendedError === undefined) return []
  const data = Buffer.alloc(2)
  data.writeUInt16BE(extendedError)
  const options = [{ code: 15, data }] as never[]
  return [
    {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 1232,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options,
    },
  ]
}

function forge(forgery: Forgery, honest: Packet): Buffer {
  const question = honest.questions?.[0]
  const poison: Answer = { name: question?.name ?? '', type: 'A', ttl: 60, data: '192.0.2.66' }
  const forged: Packet = { ...honest, answers: [poison], authorities: [] }
  switch (forgery) {
    case 'wrong id':
      return encode({ ...forged, id: (honest.id ?? 0) ^ 1 })
    case 'wrong name':
      return encode({ ...forged, questions: [{ name: 'other.example', type: question?.type ?? 'A' }] })
    case 'wrong type':
      return encode({ ...forged, questions: [{ name: question?.name ?? '', type: 'TXT' }] })
    case 'no question':
      return encode({ ...forged, questions: [] })
    case 'not a response':
      return encode({ ...forged, type: 'query' })
    case 'noise':
      return Buffer.from('no DNS message')
  }
}
