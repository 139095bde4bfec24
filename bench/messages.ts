/** What stands before the number in every message id, and nowhere else. */
const ID_MARK = 'bench-'
/** Stands for a number in a template. */
const HOLE = '0000000'
/** Numbers have as many digits as the hole. */
export const MOST_NUMBERS = 10 ** HOLE.length
/** Size of a message as it goes over the stream between servers. */
export const MESSAGE_BYTES = 300

/** The message id in a template. */
export const ID = `${ID_MARK}${HOLE}`
/** The id of a XIMSS request in a template. */
export const REQUEST_ID = `r${HOLE}`

/** A chat message as it goes over the stream between servers, padded by its body to the size that is measured. */
export function serverMessage(from: string, to: string): string {
  const text = (body: string): string =>
    `<message from='${from}' to='${to}' id='${ID}' type='chat'><body>${body}</body></message>`
  return text(bodyOf(MESSAGE_BYTES - text('').length))
}

/** The body that `serverMessage` has between these addresses. */
export function bodyBetween(from: string, to: string): string {
  return /<body>(.*)<\/body>/.exec(serverMessage(from, to))?.[1] ?? ''
}

function bodyOf(bytes: number): string {
  return 'The quick brown fox jumps over the lazy dog. '.repeat(10).slice(0, bytes)
}

/** Makes many messages as bytes from one template, as cheaply as possible. */
export class Batches {
  readonly #one: Buffer
  readonly #holes: readonly number[]
  #many: Buffer

  constructor(template: string) {
    this.#one = Buffer.from(template)
    this.#many = this.#one
    const holes: number[] = []
    for (let at = template.indexOf(HOLE); at >= 0; at = template.indexOf(HOLE, at + 1)) holes.push(at)
    this.#holes = holes
  }

  /** Messages `first` to `first + count - 1`, one behind the other. */
  make(first: number, count: number): Buffer {
    const size = this.#one.length
    if (this.#many.length < size * count) this.#many = Buffer.alloc(size * count, this.#one)
    const bytes = Buffer.from(this.#many.subarray(0, size * count))
    for (let i = 0; i < count; i++) {
      for (const hole of this.#holes) writeNumber(bytes, i * size + hole, first + i)
    }
    return bytes
  }
}

function writeNumber(bytes: Buffer, offset: number, number: number): void {
  let rest = number
  for (let at = offset + HOLE.length - 1; at >= offset; at--) {
    bytes[at] = 0x30 + (rest % 10)
    rest = Math.trunc(rest / 10)
  }
}

/** Finds numbers between two texts in a flow of bytes, however it is cut into chunks. */
export class NumberReader {
  readonly #before: Buffer
  readonly #after: Buffer
  readonly #length: number
  #rest: Buffer = Buffer.alloc(0)

  constructor(before: string, after = '') {
    this.#before = Buffer.from(before)
    this.#after = Buffer.from(after)
    this.#length = before.length + HOLE.length + after.length
  }

  /** The numbers of message ids. */
  static ofIds(): NumberReader {
    return new NumberReader(ID_MARK)
  }

  /** The numbers of XIMSS requests that succeeded. */
  static ofResponses(): NumberReader {
    return new NumberReader('<response id="r', '"/>')
  }

  read(chunk: Buffer, take: (number: number) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      const found = bytes.indexOf(this.#before, at)
      const end = found + this.#length
      if (found < 0 || end > bytes.length) {
        this.#rest = bytes.subarray(found < 0 ? Math.max(at, bytes.length - this.#before.length + 1) : found)
        return
      }
      at = found + this.#before.length
      const number = readNumber(bytes, at)
      if (bytes.compare(this.#after, 0, this.#after.length, end - this.#after.length, end) === 0) take(number)
    }
  }
}

/** NaN when there is something else than digits. */
function readNumber(bytes: Buffer, offset: number): number {
  let number = 0
  for (let at = offset; at < offset + HOLE.length; at++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    number = number * 10 + digit
  }
  return number
}
