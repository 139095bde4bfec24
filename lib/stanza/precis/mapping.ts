// Full-width and half-width forms whose mapping is more than one character away (half-width jamo, the full-width macron)
// come out as something that no class with width mapping admits, so the shorter way through NFKC is safe here.
const WIDE_OR_NARROW = /[\u3000\uFF01-\uFF9F\uFFE0-\uFFEE]/g

/** The width-mapping rule of RFC 8264 §5.2.1: full-width and half-width forms become their ordinary ones. */
export function mapWidth(text: string): string {
  return text.replace(WIDE_OR_NARROW, character => character.normalize('NFKC'))
}

/**
 * Lower case, character by character (RFC 8264 §5.2.3). JavaScript turns a capital sigma at the end of a word into a final
 * sigma, which would make the result depend on what follows; here it is always the ordinary one.
 */
export function toLower(text: string): string {
  return text.replaceAll('\u03A3', '\u03C3').toLowerCase()
}
