const PREDEFINED: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
])

const REFERENCE = /&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|([a-z]+));/g

/** Replaces references by their characters; `text` must be known to hold no other than the allowed ones. */
function dereference(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(
    REFERENCE,
    (_, hex: string | undefined, decimal: string | undefined, name: string | undefined) => {
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
      if (decimal !== undefined) return String.fromCodePoint(Number.parseInt(decimal, 10))
      return PREDEFINED.get(name ?? '') ?? ''
    },
  )
}

/** The text that checked character data stands for (XML 1.0 §2.11, §4.1). */
export function unescapeText(raw: string): string {
  return dereference(unifyBreaks(raw))
}

/** The line ends of XML 1.0 §2.11: only these change in a CDATA section. */
export function unifyBreaks(raw: string): string {
  return raw.includes('\r') ? raw.replace(/\r\n?/g, '\n') : raw
}

/** The value that a checked attribute's bytes stand for (XML 1.0 §3.3.3). */
export function unescapeValue(raw: string): string {
  return dereference(raw.replace(/\r\n|[\t\r\n]/g, ' '))
}
