import { printable } from '../../admin/printable.js'

/** Space between two columns. */
const GAP = '  '

/** Rows as aligned columns under their headings; the last column is never padded or cut. Cells are escaped for terminals. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map(row => headings.map((_, column) => printable(row[column] ?? '')))
  const widths = headings.map((_, column) => Math.max(...lines.map(line => width(line[column] ?? ''))))
  const last = headings.length - 1
  return lines
    .map(line =>
      line
        .map((cell, column) => (column === last ? cell : cell + ' '.repeat((widths[column] ?? 0) - width(cell))))
        .join(GAP),
    )
    .map(line => `${line.trimEnd()}\n`)
    .join('')
}

/** Columns that a terminal uses: marks none, the wide scripts of East Asia two (Unicode Standard Annex #11). */
function width(text: string): number {
  let columns = 0
  for (const character of text) if (!/\p{M}/u.test(character)) columns += WIDE.test(character) ? 2 : 1
  return columns
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/u
