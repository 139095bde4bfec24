/** Why a request failed: what its `response` says in `errorText` and `errorNum`. Thrown by operations, caught by the session alone. */
export class XimssError extends Error {
  readonly number: number

  constructor(number: number, text: string) {
    super(text)
    this.number = number
  }
}

export const unknownCommand = (): XimssError => new XimssError(500, 'unknown command')

/** `name` is the attribute or child element that is missing or cannot be used. */
export const badParameter = (name: string): XimssError => new XimssError(501, `missing or illegal parameter: ${name}`)

export const requiresLogin = (): XimssError => new XimssError(502, 'operation requires login')

export const notAfterLogin = (): XimssError => new XimssError(503, 'operation is not available after login')

export const notSupported = (): XimssError => new XimssError(504, 'operation is not supported by this server')

/** A request that does not fit what went before it: `auth` without a running exchange, anything else during one. */
export const outOfSequence = (): XimssError => new XimssError(505, 'request sequence error')

/** The same for an unknown account, a wrong password and a broken exchange, so that nothing is learned from it. */
export const badCredentials = (): XimssError => new XimssError(515, 'incorrect password or account name')

export const tooManyRequests = (): XimssError => new XimssError(551, 'too many requests')
