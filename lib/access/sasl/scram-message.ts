import { readBase64, readUtf8 } from './strict-text.js'

/** What the client says of channel binding (RFC 5802 §6): not supported, supported but not offered by the server, or used. */
export type ChannelBindingFlag =
  | { readonly kind: 'n' }
  | { readonly kind: 'y' }
  | { readonly kind: 'p'; readonly type: string }

/** The first message of the client. */
export interface ClientFirst {
  /** As received: the second message must repeat it. */
  readonly gs2Header: string
  readonly bare: string
  readonly flag: ChannelBindingFlag
  readonly authzid?: string
  readonly username: string
  readonly nonce: string
}

/** The second message of the client. */
export interface ClientFinal {
  readonly channelBinding: Buffer
  readonly nonce: string
  readonly proof: Buffer
  /** Everything before the proof: part of what is signed. */
  readonly withoutProof: string
}

/** Longest nonce of a client in characters; common ones have 24 to 48. */
const MOST_NONCE_CHARACTERS = 512

const GS2_HEADER = /^(?:([ny])|p=([A-Za-z0-9.-]{1,64})),(?:a=([^,]+))?,/
const NONCE = /^[\x21-\x2b\x2d-\x7e]+$/
/** Only `=2C` and `=3D` may begin with an equals sign; anything else in a name must be refused (RFC 5802 §5.1). */
const BAD_ESCAPE = /=(?!2C|3D)/
/** One letter, and a value that is not empty; commas are gone already (RFC 5802 §7, `attr-val`). */
const ATTRIBUTE = /^[A-Za-z]=./s

/** Reads `client-first-message` (RFC 5802 §7); `undefined` when malformed or when it demands an extension (`m=`). */
export function readClientFirst(data: Buffer): ClientFirst | undefined {
  const text = readText(data)
  const header = text === undefined ? null : GS2_HEADER.exec(text)
  if (text === undefined || header === null) return undefined
  const [gs2Header, letter, type, escapedAuthzid] = header
  const bare = text.slice(gs2Header.length)
  const [user, nonce, ...extensions] = bare.split(',')
  const username = user?.startsWith('n=') ? readName(user.slice(2)) : undefined
  const authzid = escapedAuthzid === undefined ? undefined : readName(escapedAuthzid)
  if (username === undefined || (escapedAuthzid !== undefined && authzid === undefined)) return undefined
  if (nonce === undefined || !isNonce(nonce) || nonce.length > 2 + MOST_NONCE_CHARACTERS) return undefined
  if (!areIgnorable(extensions)) return undefined
  const flag: ChannelBindingFlag = type === undefined ? { kind: letter === 'y' ? 'y' : 'n' } : { kind: 'p', type }
  return { gs2Header, bare, flag, ...(authzid === undefined ? {} : { authzid }), username, nonce: nonce.slice(2) }
}

/** Reads `client-final-message` (RFC 5802 §7); `undefined` when malformed. */
export function readClientFinal(data: Buffer): ClientFinal | undefined {
  const text = readText(data)
  if (text === undefined) return undefined
  const parts = text.split(',')
  const last = parts.pop()
  const [binding, nonce, ...extensions] = parts
  if (binding === undefined || nonce === undefined || last === undefined) return undefined
  if (!binding.startsWith('c=') || !isNonce(nonce) || !last.startsWith('p=') || !areIgnorable(extensions))
    return undefined
  const channelBinding = readBase64(binding.slice(2))
  const proof = readBase64(last.slice(2))
  if (channelBinding === undefined || proof === undefined) return undefined
  return { channelBinding, nonce: nonce.slice(2), proof, withoutProof: parts.join(',') }
}

function readText(data: Buffer): string | undefined {
  const text = readUtf8(data)
  return text?.includes('\0') ? undefined : text
}

function readName(escaped: string): string | undefined {
  if (escaped === '' || BAD_ESCAPE.test(escaped)) return undefined
  return escaped.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

function isNonce(attribute: string): boolean {
  return attribute.startsWith('r=') && NONCE.test(attribute.slice(2))
}

/** Unknown extensions are ignored, except `m`, which means that they must be understood (RFC 5802 §5.1). */
function areIgnorable(extensions: readonly string[]): boolean {
  return extensions.every(extension => ATTRIBUTE.test(extension) && !extension.startsWith('m='))
}
