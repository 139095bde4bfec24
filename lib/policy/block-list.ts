import { readPattern } from './permission.js'

/** Something in a block list that cannot be used; lines are counted from 1. */
export interface BlockListProblem {
  readonly line: number
  readonly problem: string
}

/** The patterns of a list, each once and in order, or everything that is wrong with it. */
export type BlockList =
  | { readonly ok: true; readonly patterns: readonly string[] }
  | { readonly ok: false; readonly problems: readonly BlockListProblem[] }

/** Longest piece of a wrong line that is repeated. */
const LONGEST_QUOTE = 60

/** Reads a plain-text list: one name or `*.suffix` per line, `#` begins a comment, empty lines mean nothing. */
export function readBlockList(text: string): BlockList {
  const patterns = new Set<string>()
  const problems: BlockListProblem[] = []
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const written = line.replace(/#.*$/, '').trim()
    if (written === '') continue
    const pattern = readPattern(written)
    if (pattern === undefined) problems.push({ line: index + 1, problem: `not a domain name: ${quoted(written)}` })
    else if (pattern === '*') problems.push({ line: index + 1, problem: '* would block everybody' })
    else patterns.add(pattern)
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, patterns: [...patterns] }
}

function quoted(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text)
}
