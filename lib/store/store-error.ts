/**
 * Why the store refused:
 * `url` the address cannot be used, `open` the database cannot be opened or brought up to date, `newer` it was written by a newer program,
 * `corrupt` a stored value cannot be read, `name` a name or key that may not be stored, `password` a password that SASLprep refuses,
 * `value` not a JSON value.
 */
export type StoreErrorCode = 'url' | 'open' | 'newer' | 'corrupt' | 'name' | 'password' | 'value'

/** A failure of the store. The message is for the admin; it holds no password, key or property value. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}
