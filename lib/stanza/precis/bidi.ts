import { RunTable } from './run-table.js'
import { BIDI_CLASSES } from './tables.generated.js'

// R, A(L), (A)N, E(N), (E)S, C(S), (E)T, O(N), B(N), (NS)M, L; X for the classes no label may hold.
const classes = new RunTable(BIDI_CLASSES)

function classesOf(text: string): string {
  let letters = ''
  for (const character of text) letters += classes.letterOf(character.codePointAt(0) ?? 0)
  return letters
}

/** True when `text` holds a right-to-left character (Bidi_Class R, AL or AN): RFC 5893 §1.4, RFC 8265 §3.3.3. */
export function isRightToLeft(text: string): boolean {
  return /[RAN]/.test(classesOf(text))
}

/** The Bidi Rule of RFC 5893 §2, all six conditions, for one label or localpart. */
export function obeysBidiRule(text: string): boolean {
  const letters = classesOf(text)
  if (/^L[LESCTOBM]*$/.test(letters)) return /[LE]M*$/.test(letters)
  if (!/^[RA][RANESCTOBM]*$/.test(letters) || !/[RAEN]M*$/.test(letters)) return false
  return !(letters.includes('E') && letters.includes('N'))
}
