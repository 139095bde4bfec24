const REPLACEMENT = '\ufffd'

/** Characters XML has no way to write (XML 1.0 §2.2), halves of surrogate pairs among them. */
const UNWRITABLE = '\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\ufffe\\uffff\\ud800-\\udfff'
const IN_TEXT = new RegExp(`[&<>\\r${UNWRITABLE}]`, 'gu')
const IN_VALUE = new RegExp(`[&<>"'\\t\\n\\r${UNWRITABLE}]`, 'gu')

/** How a character is written that may not stand for itself. */
const WRITTEN: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&apos;'],
  ['\t', '&#9;'],
  ['\n', '&#10;'],
  ['\r', '&#13;'],
])

function written(character: string): string {
  return WRITTEN.get(character) ?? REPLACEMENT
}

/** Text as character data. What XML cannot hold is replaced by U+FFFD, so that no value can break a stream. */
export function escapeText(text: string): string {
  return text.search(IN_TEXT) < 0 ? text : text.replace(IN_TEXT, written)
}

/** Text as an attribute value within quotes of either kind; tabs and line breaks are kept. Replaces like `escapeText`. */
export function escapeAttribute(text: string): string {
  return text.search(IN_VALUE) < 0 ? text : text.replace(IN_VALUE, written)
}
