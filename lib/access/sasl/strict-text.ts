const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** The octets as UTF-8 text; `undefined` when they are not. A byte order mark is a character like any other. */
export function readUtf8(data: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data)
  } catch {
    return undefined
  }
}

/** Base64 in its one canonical form (RFC 4648 §3.2, §3.5); `undefined` for anything else, which Node would read leniently. */
export function readBase64(text: string): Buffer | undefined {
  if (!BASE64.test(text)) return undefined
  const data = Buffer.from(text, 'base64')
  return data.toString('base64') === text ? data : undefined
}
