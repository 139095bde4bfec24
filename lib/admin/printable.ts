/** Controls, line and paragraph separators, and the marks that turn the direction of writing. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g

/**
 * The text with every character escaped that could start a new line, move a terminal's cursor or turn the direction of
 * writing. Everything a stranger chose passes here before a person's terminal or a log shows it.
 */
export function printable(text: string): string {
  return text.replace(UNSAFE, unsafe => {
    if (unsafe === '\n') return '\\n'
    if (unsafe === '\r') return '\\r'
    if (unsafe === '\t') return '\\t'
    return `\\u${unsafe.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** The text with the password of every `scheme://user:password@host` in it replaced. */
export function withoutPasswords(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]{0,31}:\/\/[^\s/?#:@]{0,255}):\S{0,1023}@/gi, '$1:[redacted]@')
}

/** JSON whose strings show no unsafe character raw; the value read back is the same. */
export function printableJson(value: unknown, indent?: number): string {
  const json = JSON.stringify(value, undefined, indent) ?? 'null'
  return json.replace(UNSAFE, unsafe =>
    unsafe === '\n' ? unsafe : `\\u${unsafe.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
