import { CONTENT_NAMESPACES } from '../../lib/xml/namespaces.js'
import type { ElementToken, Token, TokenizerLimits } from '../../lib/xml/token.js'
import { Tokenizer } from '../../lib/xml/tokenizer.js'

/** Limits of a stream whose peer is known (the widest that are used). */
export const LIMITS: TokenizerLimits = {
  streamBytes: Number.POSITIVE_INFINITY,
  elementBytes: 262_144,
  skippedBytes: 8 * 262_144,
  startTagBytes: 32_768,
  attributes: 256,
  declarations: 64,
  depth: 128,
  elements: 16_384,
  streamElements: Number.POSITIVE_INFINITY,
}

export const HEADER =
  "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' xmlns:db='jabber:server:dialback' version='1.0'>"

export type Mode = 'stream' | 'document'

export function tokenizer(mode: Mode = 'stream', limits: Partial<TokenizerLimits> = {}): Tokenizer {
  return new Tokenizer({ mode, limits: { ...LIMITS, ...limits }, contentNamespaces: CONTENT_NAMESPACES })
}

export function drain(from: Tokenizer): Token[] {
  const tokens: Token[] = []
  for (let token = from.next(); token !== undefined; token = from.next()) tokens.push(token)
  return tokens
}

/** The tokens of an input that comes in the given pieces. */
export function read(pieces: readonly Buffer[], mode: Mode = 'stream', limits: Partial<TokenizerLimits> = {}): Token[] {
  const reader = tokenizer(mode, limits)
  return pieces.flatMap(piece => {
    reader.write(piece)
    return drain(reader)
  })
}

export function bytesOf(input: string | Buffer): Buffer {
  return typeof input === 'string' ? Buffer.from(input) : input
}

export function oneByOne(input: Buffer): Buffer[] {
  return Array.from(input, (_, at) => input.subarray(at, at + 1))
}

/** A token as text that can be compared. */
export function show(token: Token): string {
  return JSON.stringify(token, (_, value: unknown) => {
    if (value instanceof Map) return [...value]
    const { type, data } = (value ?? {}) as { type?: unknown; data?: unknown }
    return type === 'Buffer' && Array.isArray(data) ? Buffer.from(data).toString('latin1') : value
  })
}

/** Reads an input whole, byte by byte, and split in two at every place; throws unless the tokens are always the same. */
export function readEveryWay(
  text: string | Buffer,
  mode: Mode = 'stream',
  limits: Partial<TokenizerLimits> = {},
): Token[] {
  const input = bytesOf(text)
  const whole = read([input], mode, limits)
  const expected = whole.map(show).join('\n')
  const compare = (pieces: readonly Buffer[], how: string): void => {
    const found = read(pieces, mode, limits).map(show).join('\n')
    if (found !== expected) throw new Error(`${how}:\n${found}\ninstead of\n${expected}`)
  }
  compare(oneByOne(input), 'byte by byte')
  for (let at = 1; at < input.length; at++) compare([input.subarray(0, at), input.subarray(at)], `split at ${at}`)
  return whole
}

/** What the last token is: its kind, or the condition of an error. */
export function outcome(tokens: readonly Token[]): string {
  const last = tokens.at(-1)
  return last === undefined ? 'nothing' : last.kind === 'error' ? last.condition : last.kind
}

/** The one element of a document. Throws when it is refused. */
export function documentToken(text: string | Buffer, limits: Partial<TokenizerLimits> = {}): ElementToken {
  const [token, more] = read([bytesOf(text)], 'document', limits)
  if (token?.kind !== 'element' || more !== undefined) throw new Error(`no element: ${JSON.stringify(more ?? token)}`)
  return token
}

/** The first-level elements behind a header. Throws on anything else. */
export function elementTokens(text: string | Buffer, header = HEADER): ElementToken[] {
  return read([Buffer.concat([Buffer.from(header), bytesOf(text)])])
    .slice(1)
    .map(token => {
      if (token.kind !== 'element') throw new Error(`no element: ${JSON.stringify(token)}`)
      return token
    })
}
