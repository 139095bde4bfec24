import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml'

/** One setting as it stands in a file. */
export interface YamlEntry {
  readonly key: string
  readonly raw: unknown
}

/** Something that keeps the file from being read as settings; `line` counts from 1. */
export interface YamlProblem {
  readonly line: number
  readonly problem: string
}

/** How deep maps may nest; the longest key has six parts. */
const DEEPEST = 16

/**
 * The settings of a YAML text, nested maps joined with dots. `isWhole(key)` says where the joining stops, because the map below
 * is itself a value. Aliases are refused (a short file could stand for gigabytes), and so are keys given twice.
 */
export function readYaml(
  yaml: string,
  isWhole: (key: string) => boolean,
): { entries: YamlEntry[]; problems: YamlProblem[] } {
  const lines = new LineCounter()
  const entries: YamlEntry[] = []
  const problems: YamlProblem[] = []
  const lineOf = (node: ParsedNode | null): number => lines.linePos(node?.range[0] ?? 0).line

  const join = (node: ParsedNode | null, prefix: string, depth: number): void => {
    if (isAlias(node)) problems.push({ line: lineOf(node), problem: 'aliases are not accepted' })
    else if (!isMap(node)) problems.push({ line: lineOf(node), problem: 'not a map of settings' })
    else if (depth > DEEPEST) problems.push({ line: lineOf(node), problem: 'maps nested too deeply' })
    else for (const pair of node.items) joinPair(pair.key, pair.value, prefix, depth)
  }

  const joinPair = (keyNode: ParsedNode, valueNode: ParsedNode | null, prefix: string, depth: number): void => {
    if (!isScalar(keyNode)) {
      problems.push({ line: lineOf(keyNode), problem: 'a key that is not plain text' })
      return
    }
    const key = prefix === '' ? String(keyNode.value) : `${prefix}.${String(keyNode.value)}`
    if (!isWhole(key) && isMap(valueNode)) {
      join(valueNode, key, depth + 1)
      return
    }
    try {
      entries.push({ key, raw: toPlain(valueNode, 0) })
    } catch (error) {
      problems.push({ line: lineOf(valueNode ?? keyNode), problem: `${key}: ${messageOf(error)}` })
    }
  }

  try {
    const document = parseDocument(yaml, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
    for (const fault of [...document.errors, ...document.warnings]) {
      problems.push({ line: lines.linePos(fault.pos[0]).line, problem: fault.message })
    }
    const top = document.contents
    if (problems.length === 0 && top !== null && !(isScalar(top) && top.value === null)) join(top, '', 1)
  } catch (error) {
    problems.push({ line: 1, problem: `cannot be read as YAML: ${messageOf(error)}` })
  }
  return { entries, problems }
}

/** The plain value of a YAML flow such as `[a, b]` or `{a: b}`; the text itself when it is none. */
export function parseFlow(flow: string): unknown {
  try {
    const document = parseDocument(flow, { prettyErrors: false, logLevel: 'error' })
    return document.errors.length === 0 && document.warnings.length === 0 ? toPlain(document.contents, 0) : flow
  } catch {
    return flow
  }
}

function toPlain(node: ParsedNode | null, depth: number): unknown {
  if (depth > DEEPEST) throw new Error('values nested too deeply')
  if (node === null) return null
  if (isAlias(node)) throw new Error('aliases are not accepted')
  if (isScalar(node)) return node.value
  if (isSeq(node)) return node.items.map(item => toPlain(item as ParsedNode, depth + 1))
  const pairs: [string, unknown][] = []
  for (const pair of node.items) {
    if (!isScalar(pair.key)) throw new Error('a key that is not plain text')
    const key = String(pair.key.value)
    if (key === '__proto__') throw new Error('the key __proto__ is not accepted')
    pairs.push([key, toPlain(pair.value, depth + 1)])
  }
  return Object.fromEntries(pairs)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
