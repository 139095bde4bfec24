/** May begin a name: a bit of `CLASSES`. The colon is left out, since names are checked part by part. */
export const NAME_START = 1
/** May stand in a name: a bit of `CLASSES`. */
export const NAME = 2
/** White space of XML: a bit of `CLASSES`. */
export const SPACE = 4

/** What an ASCII byte may be in markup (XML 1.0 §2.3). Bytes of longer characters have no bit set: decode them. */
export const CLASSES = new Uint8Array(256)
for (const byte of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_'))
  CLASSES[byte] = NAME_START | NAME
for (const byte of Buffer.from('0123456789.-')) CLASSES[byte] = NAME
for (const byte of Buffer.from(' \t\r\n')) CLASSES[byte] = SPACE

export const PLAIN = 0
/** Not a character of XML. */
export const ILLEGAL = 1
export const LESS = 2
export const AMPERSAND = 3
/** `]`, which may be the beginning of the forbidden `]]>`. */
export const BRACKET = 4
export const GREATER = 5
/** The first byte of U+F000 to U+FFFF, of which U+FFFE and U+FFFF are not characters of XML. */
export const LAST_PLANE = 6
export const QUOTE = 7
/** Tab, line feed, carriage return: white space that an attribute value turns into spaces. */
export const BREAK = 8

/** What a byte of character data asks for (XML 1.0 §2.4). */
export const TEXT_CLASSES = new Uint8Array(256)
/** What a byte of an attribute value asks for (XML 1.0 §3.1). */
export const VALUE_CLASSES = new Uint8Array(256)
for (let byte = 0; byte < 0x20; byte++) {
  const broken = byte === 9 || byte === 10 || byte === 13
  TEXT_CLASSES[byte] = broken ? PLAIN : ILLEGAL
  VALUE_CLASSES[byte] = broken ? BREAK : ILLEGAL
}
for (const table of [TEXT_CLASSES, VALUE_CLASSES]) {
  table[0x3c] = LESS
  table[0x26] = AMPERSAND
  table[0xef] = LAST_PLANE
}
TEXT_CLASSES[0x5d] = BRACKET
TEXT_CLASSES[0x3e] = GREATER
VALUE_CLASSES[0x22] = QUOTE
VALUE_CLASSES[0x27] = QUOTE

/** The first place from `from` on, but not behind `stop`, that is no white space. */
export function passSpace(data: Uint8Array, from: number, stop: number): number {
  const classes = CLASSES
  let pos = from
  while (pos < stop && (classes[data[pos]!]! & SPACE) !== 0) pos++
  return pos
}

/** Length in bytes of the UTF-8 character that begins with `lead`; the character must be known to be valid. */
export function lengthOf(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
}

/** The character at `pos`, which must be valid UTF-8. */
export function characterAt(data: Uint8Array, pos: number): number {
  const lead = data[pos]!
  if (lead < 0x80) return lead
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | (data[pos + 1]! & 0x3f)
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | ((data[pos + 1]! & 0x3f) << 6) | (data[pos + 2]! & 0x3f)
  return (
    ((lead & 0x07) << 18) | ((data[pos + 1]! & 0x3f) << 12) | ((data[pos + 2]! & 0x3f) << 6) | (data[pos + 3]! & 0x3f)
  )
}

/** Whether the three bytes at `pos` are U+FFFE or U+FFFF. */
export function isNoncharacter(data: Uint8Array, pos: number): boolean {
  return data[pos + 1] === 0xbf && data[pos + 2]! >= 0xbe
}

/** Characters beyond ASCII that may begin a name (XML 1.0, fifth edition, §2.3). */
const STARTS = [
  0xc0, 0xd6, 0xd8, 0xf6, 0xf8, 0x2ff, 0x370, 0x37d, 0x37f, 0x1fff, 0x200c, 0x200d, 0x2070, 0x218f, 0x2c00, 0x2fef,
  0x3001, 0xd7ff, 0xf900, 0xfdcf, 0xfdf0, 0xfffd, 0x10000, 0xeffff,
]

/** Whether a character may begin a name without colon (Namespaces in XML 1.0 §3: NCName). */
export function isNameStart(character: number): boolean {
  if (character < 0x80) return (CLASSES[character]! & NAME_START) !== 0
  for (let i = 0; i < STARTS.length; i += 2) {
    if (character < STARTS[i]!) return false
    if (character <= STARTS[i + 1]!) return true
  }
  return false
}

/** Whether a character may stand in a name without colon. */
export function isNameCharacter(character: number): boolean {
  if (character < 0x80) return (CLASSES[character]! & NAME) !== 0
  return (
    character === 0xb7 ||
    (character >= 0x300 && character <= 0x36f) ||
    character === 0x203f ||
    character === 0x2040 ||
    isNameStart(character)
  )
}

/** Whether a character may stand in a document at all (XML 1.0 §2.2). */
export function isCharacter(character: number): boolean {
  return (
    character === 9 ||
    character === 10 ||
    character === 13 ||
    (character >= 0x20 && character <= 0xd7ff) ||
    (character >= 0xe000 && character <= 0xfffd) ||
    (character >= 0x10000 && character <= 0x10ffff)
  )
}

/** Whether `text` may be the name of an element or attribute: one or two parts (Namespaces in XML 1.0 §4). */
export function isQualifiedName(text: string): boolean {
  if (/^[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?$/.test(text)) return true
  const parts = text.split(':')
  return parts.length <= 2 && parts.every(isName)
}

function isName(part: string): boolean {
  let first = true
  for (const character of part) {
    const code = character.codePointAt(0)!
    if (first ? !isNameStart(code) : !isNameCharacter(code)) return false
    first = false
  }
  return !first
}
