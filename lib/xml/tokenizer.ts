import { Bounds } from './bounds.js'
import { CLASSES, ILLEGAL, isNoncharacter, passSpace, SPACE, TEXT_CLASSES } from './characters.js'
import { faultOfDeclaration } from './declaration.js'
import { Input } from './input.js'
import { Names } from './names.js'
import { OpenElements } from './open-elements.js'
import { COMPLETE, ENTITY, MALFORMED, ReferenceReader } from './reference.js'
import { Scope } from './scope.js'
import { DECLARATION as DECLARED, REFUSED, SECTION, SpecialMarkup } from './special-markup.js'
import { StartTagResolver } from './start-tag.js'
import { StartTagReader } from './start-tag-reader.js'
import { TextReader } from './text-reader.js'
import {
  type ErrorToken,
  malformed,
  misplaced,
  restricted,
  type StartTag,
  type Token,
  type TokenizerLimits,
  tooMuch,
} from './token.js'

/** Between the elements, around the root: white space only. */
const OUTSIDE = 0
/** Within a first-level element, between its tags. */
const CONTENT = 1
/** In a reference between the elements. */
const REFERENCE = 2
const END_NAME = 3
const END_SPACE = 4
/** Behind a root that ended where it began. */
const EMPTY_ROOT = 5
/** Behind a `<`. From this state on, the bytes of the markup are needed from its beginning. */
const MARKUP = 6
const START_TAG = 7
const SPECIAL = 8
const DECLARATION = 9

/** Before the root's start tag, between it and its end tag, behind a document. */
const PROLOG = 0
const OPEN = 1
const EPILOG = 2

const LESS = 0x3c
const GREATER = 0x3e
const NO_SCOPE: ReadonlyMap<string, string> = new Map()

/** What a tokenizer reads, and within which bounds. */
export interface TokenizerOptions {
  /** `stream`: a root that stays open, its children are the tokens (RFC 6120 §4.2); `document`: one element, itself the token. */
  readonly mode: 'stream' | 'document'
  readonly limits: TokenizerLimits
  /** Namespaces whose elements change their namespace with the stream they are put on: see `ElementToken.portable`. */
  readonly contentNamespaces: readonly string[]
}

/**
 * Cuts bytes into tokens and refuses everything RFC 6120 §11 forbids: it accepts XML 1.0 in UTF-8, well-formed and
 * namespace-well-formed, without comments, processing instructions, document types and entities of their own.
 *
 * It is asked for tokens: `write` only takes bytes, `next` reads no further than to the end of the token it returns. How
 * the input was cut into chunks makes no difference to the tokens. Time is linear in the bytes, memory at most four times
 * the bytes that wait. After an error or a footer nothing is returned for ever.
 */
export class Tokenizer {
  readonly #document: boolean
  readonly #content: readonly string[]
  readonly #input = new Input()
  readonly #bounds: Bounds
  readonly #names = new Names()
  readonly #reader = new StartTagReader()
  readonly #text = new TextReader()
  readonly #reference = new ReferenceReader()
  readonly #special = new SpecialMarkup()
  /** The elements open, the root of a stream first. */
  readonly #open = new OpenElements()
  #scope = new Scope()
  #resolver: StartTagResolver

  #state = OUTSIDE
  #phase = PROLOG
  #over = false
  /** This, the beginning of the markup and of the inner bytes are positions in the input and move with it. */
  #pos = 0
  #markup = 0
  #inner = 0
  /** Where an XML declaration may stand; this and the next are places in all that was written. */
  #beginning = 0
  /** Up to where tokens, and the white space between them, were read. */
  #consumed = 0
  /** Bytes written behind the end. */
  #unread = 0

  #portable = true
  #tag: StartTag | undefined
  #root: StartTag | undefined
  #rootScope = NO_SCOPE

  constructor(options: TokenizerOptions) {
    this.#bounds = new Bounds(options.limits, this.#input)
    this.#document = options.mode === 'document'
    this.#content = options.contentNamespaces
    this.#resolver = new StartTagResolver(this.#reader, this.#names, this.#scope, this.#content)
  }

  /** May be replaced at any time; holds from the next call of `next`. */
  get limits(): TokenizerLimits {
    return this.#bounds.limits
  }

  set limits(limits: TokenizerLimits) {
    this.#bounds.limits = limits
  }

  /** Bytes written that belong to no token yet; straight after a token: the bytes behind it. */
  get buffered(): number {
    return this.#input.offset + this.#input.end - this.#consumed + this.#unread
  }

  /** Takes bytes, which must not be changed afterwards. */
  write(chunk: Buffer): void {
    if (this.#over) this.#unread += chunk.length
    else this.#shift(this.#input.write(chunk, this.#keep()))
  }

  /** The next token; undefined when more bytes are needed or nothing will follow. */
  next(): Token | undefined {
    if (this.#over) return undefined
    const token: Token | undefined = this.#state === EMPTY_ROOT ? { kind: 'footer' } : this.#read()
    if (token === undefined) {
      this.#shift(this.#input.rest(this.#keep()))
      return undefined
    }
    this.#consumed = this.#input.offset + this.#pos
    if (token.kind === 'error' || token.kind === 'footer') {
      this.#over = true
      this.#unread = this.buffered
      this.#input.clear()
      this.#consumed = this.#input.offset
    }
    return token
  }

  /**
   * Begins a new stream (RFC 6120 §4.3.3) with the bytes behind the token returned last: names, namespaces and counts of
   * the old one are forgotten. Has no effect after an error or a footer.
   */
  restart(): void {
    if (this.#over) return
    this.#scope = new Scope()
    this.#resolver = new StartTagResolver(this.#reader, this.#names, this.#scope, this.#content)
    this.#open.clear()
    this.#state = OUTSIDE
    this.#phase = PROLOG
    this.#beginning = this.#consumed = this.#input.offset + this.#pos
    this.#bounds.restart(this.#consumed)
    this.#root = undefined
    this.#rootScope = NO_SCOPE
  }

  #shift(by: number): void {
    this.#pos -= by
    this.#markup -= by
    this.#inner -= by
  }

  /** The first byte that is still needed. */
  #keep(): number {
    const keep = this.#state >= MARKUP ? this.#markup : this.#pos
    return this.#depth > 0 && !this.#bounds.skipping ? Math.min(keep, this.#inner) : keep
  }

  /** Elements open, the root of a stream not counted. */
  get #depth(): number {
    return this.#open.depth - (this.#root === undefined ? 0 : 1)
  }

  #read(): Token | undefined {
    const data = this.#input.bytes
    let stop = this.#bounds.stop()
    for (;;) {
      const pos = this.#pos
      if (pos >= stop) {
        const why = this.#bounds.stopped(pos)
        if (why === 'more') return undefined
        if (why !== undefined) return why
        stop = this.#bounds.stop()
        continue
      }
      let token: Token | undefined
      switch (this.#state) {
        case OUTSIDE:
          token = this.#outside(data, stop)
          if (this.#bounds.elementAt >= 0) stop = this.#bounds.stop()
          break
        case CONTENT:
          this.#pos = data[pos] === LESS && this.#text.idle ? pos : this.#text.read(data, pos, stop)
          if (this.#text.error !== undefined) return this.#text.error
          if (this.#pos < stop) this.#beginMarkup()
          break
        case MARKUP:
          token = this.#behindLess(data[pos]!)
          break
        case START_TAG:
          token = this.#startTag(data, stop)
          break
        case END_NAME: {
          const at = this.#open.match(data, pos, stop)
          if (at < 0) return malformed('end tag does not match')
          this.#pos = at
          if (this.#open.ended) this.#state = END_SPACE
          break
        }
        case END_SPACE:
          this.#pos = passSpace(data, pos, stop)
          if (this.#pos === stop) break
          if (data[this.#pos++] !== GREATER) return malformed('end tag does not match')
          token = this.#close(this.#markup)
          break
        case SPECIAL: {
          const found = this.#special.feed(data[this.#pos++]!)
          if (found === REFUSED) return this.#special.error
          if (found === SECTION) {
            if (this.#depth === 0) return this.#stray('CDATA section outside an element')
            this.#text.beginSection()
            this.#state = CONTENT
          } else if (found === DECLARED) {
            if (this.#input.offset + this.#markup !== this.#beginning) return malformed('misplaced XML declaration')
            this.#state = DECLARATION
          }
          break
        }
        case DECLARATION:
          token = this.#declaration(data, stop)
          if (this.#bounds.elementAt < 0) stop = this.#bounds.stop()
          break
        case REFERENCE: {
          const outcome = this.#reference.feed(data[this.#pos++]!)
          if (outcome === MALFORMED) return malformed('malformed reference')
          if (outcome === ENTITY) return restricted('entity reference')
          if (outcome === COMPLETE) {
            const { value } = this.#reference
            if (value > 0x20 || (CLASSES[value]! & SPACE) === 0) return misplaced('text between elements')
            this.#state = OUTSIDE
          }
        }
      }
      if (token !== undefined) return token
    }
  }

  #outside(data: Buffer, stop: number): ErrorToken | undefined {
    const { offset } = this.#input
    if (offset + this.#pos === this.#beginning && this.#beginning === this.#bounds.origin && data[this.#pos] === 0xef) {
      // The input holds back characters that are cut, so the other two bytes are there.
      if (data[this.#pos + 1] !== 0xbb || data[this.#pos + 2] !== 0xbf) return malformed('text before the root')
      this.#pos += 3
      this.#beginning += 3
      return undefined
    }
    const pos = passSpace(data, this.#pos, stop)
    this.#pos = pos
    this.#consumed = offset + pos
    if (pos === stop) return undefined
    if (data[pos] === LESS) {
      if (this.#phase === (this.#document ? PROLOG : OPEN)) {
        this.#bounds.enter(offset + pos)
      }
      this.#beginMarkup()
      return undefined
    }
    if (data[pos] === 0x26 && this.#phase === OPEN) {
      this.#reference.begin()
      this.#state = REFERENCE
      this.#pos++
      return undefined
    }
    const illegal = TEXT_CLASSES[data[pos]!] === ILLEGAL || (data[pos] === 0xef && isNoncharacter(data, pos))
    return illegal ? malformed('illegal character') : this.#stray('text outside an element')
  }

  #stray(text: string): ErrorToken {
    return this.#phase === OPEN ? misplaced(text) : malformed(text)
  }

  #beginMarkup(): void {
    this.#markup = this.#pos++
    this.#state = MARKUP
  }

  #behindLess(byte: number): ErrorToken | undefined {
    if (byte === 0x2f) {
      if (this.#open.depth === 0) return malformed('end tag without start tag')
      this.#open.beginEnd()
      this.#state = END_NAME
      this.#pos++
    } else if (byte === 0x21 || byte === 0x3f) {
      this.#special.begin(byte === 0x3f)
      this.#state = SPECIAL
      this.#pos++
    } else {
      if (this.#phase === EPILOG) return malformed('second root element')
      if (this.#phase === OPEN || this.#document) {
        const refusal = this.#bounds.count(this.#depth + 1)
        if (refusal !== undefined) return refusal
      }
      this.#reader.begin()
      this.#state = START_TAG
    }
    return undefined
  }

  #startTag(data: Buffer, stop: number): Token | undefined {
    const reader = this.#reader
    const cap = this.#markup + this.limits.startTagBytes
    this.#pos = reader.read(data, this.#markup, this.#pos, Math.min(stop, cap), this.limits)
    if (reader.error !== undefined) return reader.error
    if (!reader.done) return this.#pos >= cap && this.#input.end > cap ? tooMuch('start tag too large') : undefined
    const root = this.#phase === PROLOG && !this.#document
    const depth = root ? 0 : this.#depth + 1
    if (!this.#resolver.check(data, this.#markup, depth)) return malformed(this.#resolver.fault)
    if (root) return this.#header(data)
    if (depth === 1) {
      const misfit = this.#first(data)
      if (misfit !== undefined) return misfit
    } else if (this.#resolver.bound) this.#portable = false
    this.#open.open(data, this.#markup + 1, this.#markup + reader.nameTo)
    this.#state = CONTENT
    return reader.empty ? this.#close(this.#inner) : undefined
  }

  #header(data: Buffer): Token {
    const tag = this.#resolver.make(data, this.#markup)
    this.#phase = OPEN
    this.#root = tag
    this.#rootScope = this.#scope.snapshot()
    this.#open.open(data, this.#markup + 1, this.#markup + this.#reader.nameTo)
    this.#state = this.#reader.empty ? EMPTY_ROOT : OUTSIDE
    return { kind: 'header', tag }
  }

  /** Takes the start tag of a first-level element. */
  #first(data: Buffer): ErrorToken | undefined {
    const tag = this.#resolver.make(data, this.#markup)
    if (this.#root !== undefined && tag.name === this.#root.name && tag.namespace === this.#root.namespace) {
      return misplaced('second root element')
    }
    const inherited = this.#scope.default
    this.#portable = inherited === (this.#rootScope.get('') ?? '') || this.#content.includes(inherited)
    this.#tag = tag
    this.#inner = this.#pos
    return undefined
  }

  /** Closes the innermost element; `innerEnd` is where its end tag begins. */
  #close(innerEnd: number): Token | undefined {
    const depth = this.#depth
    if (depth === 0) return { kind: 'footer' }
    this.#scope.leave(depth)
    this.#open.close()
    this.#state = CONTENT
    const tag = this.#tag
    if (depth > 1 || tag === undefined) return undefined
    const bytes = this.#input.offset + this.#pos - this.#bounds.elementAt
    this.#bounds.elementAt = -1
    this.#state = OUTSIDE
    this.#tag = undefined
    if (this.#document) this.#phase = EPILOG
    if (this.#bounds.skipping) return { kind: 'oversize', tag, bytes }
    const inner = this.#input.copy(this.#inner, innerEnd)
    return { kind: 'element', tag, inner, portable: this.#portable, scope: this.#rootScope, bytes }
  }

  #declaration(data: Buffer, stop: number): ErrorToken | undefined {
    const cap = this.#markup + this.limits.startTagBytes
    const limit = Math.min(stop, cap)
    const at = data.indexOf(GREATER, this.#pos)
    if (at < 0 || at >= limit) {
      this.#pos = limit
      return limit === cap && this.#input.end > cap ? tooMuch('XML declaration too large') : undefined
    }
    this.#pos = at + 1
    this.#consumed = this.#input.offset + this.#pos
    this.#bounds.elementAt = -1
    this.#state = OUTSIDE
    return faultOfDeclaration(data.toString('latin1', this.#markup, this.#pos))
  }
}
