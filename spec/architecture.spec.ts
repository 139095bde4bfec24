import { readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, posix } from 'node:path'
import { expect } from 'chai'

/** A file imports from its own layer and from those before it. */
const LAYERS = [
  'base',
  'xml',
  'stanza',
  'stream',
  'dial',
  'negotiation',
  'policy',
  'session',
  'store',
  'routing',
  'access',
  'cluster',
  'admin',
  'service',
]

/** Who may import a package from outside: a file, or a folder when it ends in `/`. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@mongodb-js/saslprep': ['lib/store/scram-keys.ts'],
  '@xmpp/xml': ['lib/xml/element.ts', 'lib/xml/tree.ts'],
  commander: ['lib/service/cli/'],
  'dns-packet': ['lib/dial/dns-message.ts', 'lib/service/demo/zone-server.ts'],
  kysely: ['lib/store/'],
  libsql: ['lib/store/sqlite.ts'],
  'lru-cache': [
    'lib/negotiation/certificate/posh.ts',
    'lib/policy/token-buckets.ts',
    'lib/stanza/jid.ts',
    'lib/session/backoff.ts',
    'lib/session/outgoing-sessions.ts',
    'lib/service/permission-gate.ts',
  ],
  'node-forge': ['lib/negotiation/certificate/der.ts'],
  pino: ['lib/admin/log-sink.ts'],
  tr46: ['lib/stanza/domain.ts'],
  yaml: ['lib/service/config-yaml.ts'],
  zod: [
    'lib/negotiation/certificate/posh-document.ts',
    'lib/service/cli/',
    'lib/service/config-addresses.ts',
    'lib/service/config-types.ts',
    'lib/service/permission-routes.ts',
    'lib/service/property-routes.ts',
    'lib/service/users.ts',
  ],
}

/** The only file that asks the machine for the time. */
const CLOCK = 'lib/base/clock.ts'
const MOST_LINES = 400

/** A comment, a string, or a regular expression where an expression may begin. */
const STRING_OR_COMMENT =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`|(?<=[=(,:?!&|[\n]\s*)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g

interface SourceFile {
  readonly path: string
  readonly text: string
  /** Without comments, and with empty strings and regular expressions. */
  readonly code: string
  readonly imports: readonly string[]
}

describe('architecture', () => {
  const files = filesBelow('lib')
    .filter(path => path.endsWith('.ts'))
    .map(read)
  const byPath = new Map(files.map(file => [file.path, file]))

  it('there is something to check', () => {
    expect(files.length).to.be.greaterThan(100)
    const seen = files.flatMap(file => file.imports)
    expect(seen).to.include('node:net').and.include('zod')
    expect(seen.some(specifier => specifier.startsWith('../'))).to.equal(true)
  })

  it('every import leads to its own layer or to one before it', () => {
    const wrong = files.flatMap(file =>
      internal(file).flatMap(target => {
        if (!byPath.has(target)) return [`${file.path} imports ${target}, which is not there`]
        const [from, to] = [layerOf(file.path), layerOf(target)]
        return to === -1 || to > from ? [`${file.path} imports ${target}`] : []
      }),
    )
    expect(wrong).to.deep.equal([])
  })

  it('files do not import each other in a circle', () => {
    const done = new Set<string>()
    const circles: string[] = []
    const visit = (path: string, way: readonly string[]): void => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' → '))
      if (way.includes(path) || done.has(path)) return
      const file = byPath.get(path)
      for (const target of file === undefined ? [] : internal(file)) visit(target, [...way, path])
      done.add(path)
    }
    for (const { path } of files) visit(path, [])
    expect(circles).to.deep.equal([])
  })

  it('a package from outside stands behind the files meant for it, and every entry of the table is true', () => {
    const used = files.flatMap(({ path, imports }) =>
      imports
        .filter(name => !name.startsWith('.') && !name.startsWith('node:'))
        .map(name => [packageOf(name), path] as const),
    )
    const isMeant = (name: string, path: string): boolean =>
      PACKAGES[name]?.some(place => (place.endsWith('/') ? path.startsWith(place) : path === place)) === true
    expect(
      used.filter(([name, path]) => !isMeant(name, path)).map(([name, path]) => `${path} imports ${name}`),
    ).to.deep.equal([])
    const unused = Object.entries(PACKAGES).flatMap(([name, places]) =>
      places
        .filter(place => !used.some(([other, path]) => other === name && path.startsWith(place)))
        .map(place => `${name} in ${place}`),
    )
    expect(unused).to.deep.equal([])
  })

  it('every package that is installed for running is used', () => {
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      dependencies: Record<string, string>
    }
    const known = new Set([...Object.keys(PACKAGES), 'ltx', 'pino-pretty'])
    expect(Object.keys(dependencies).filter(name => !known.has(name))).to.deep.equal([])
    expect(Object.keys(PACKAGES).filter(name => dependencies[name] === undefined)).to.deep.equal([])
  })

  it('policy is pure: nothing in it waits, and it imports nothing of the platform', () => {
    const policy = files.filter(({ path }) => path.startsWith('lib/policy/'))
    expect(policy).not.to.have.length(0)
    expect(matches(policy, /\basync\b|\bawait\b|\bPromise\b|\bClock\b/)).to.deep.equal([])
    expect(policy.flatMap(file => file.imports.filter(name => name.startsWith('node:')))).to.deep.equal([])
  })

  it(`no file has ${MOST_LINES} lines or more`, () => {
    const made = (path: string): boolean => path.endsWith('.generated.ts')
    const long = files.filter(({ path, text }) => !made(path) && text.split('\n').length > MOST_LINES)
    expect(long.map(({ path }) => path)).to.deep.equal([])
  })

  it('types are not switched off', () => {
    expect(matches(files, /[:<,|&(=]\s*any\b|\bas\s+any\b|\bany\[\]/)).to.deep.equal([])
    const orders = /@ts-(?:ignore|nocheck|expect-error)|biome-ignore-all/
    expect(files.filter(({ text }) => orders.test(text)).map(({ path }) => path)).to.deep.equal([])
  })

  it('no state belongs to a module: two services run in one process', () => {
    const variables = /^(?:export\s+)?(?:let|var)\b.*/m
    expect(matches(files, variables)).to.deep.equal([])
    const changed = files.flatMap(file =>
      containersOf(file).flatMap(({ name, change }) =>
        files
          .filter(other => sees(other, file, name) && change.test(other.code))
          .map(other => `${other.path} changes ${name} of ${file.path}`),
      ),
    )
    expect(changed).to.deep.equal([])
  })

  it('what a module keeps in a table and gives away is read-only by its type', () => {
    const open = files.flatMap(({ path, code }) =>
      [...code.matchAll(/^export const (\w+)(: [^=]+)? = new (Map|Set|WeakMap|LRUCache)\b/gm)]
        .filter(([, , type = '']) => !/Readonly(?:Map|Set)/.test(type))
        .map(([, name]) => `${path}: ${name}`),
    )
    expect(open).to.deep.equal([])
  })

  it('time comes from the clock that was handed in', () => {
    const asked =
      /\b(?:setTimeout|setInterval|Date\.now)\s*\(|\bnew Date\(\s*\)|\bDate\(\s*\)|\bperformance\.now\b|node:timers/
    const others = files.filter(({ path }) => path !== CLOCK)
    // A socket's own `setTimeout` watches its inactivity: it is no timer of ours.
    const withoutSockets = others.map(file => ({ ...file, code: file.code.replace(/\b\w+\.setTimeout\(/g, '(') }))
    expect(matches(withoutSockets, asked)).to.deep.equal([])
    expect(matches([byPath.get(CLOCK)!], asked)).to.have.length(1)
    const importing = others.filter(({ imports }) => imports.some(name => /^node:(?:timers|perf_hooks)/.test(name)))
    expect(importing.map(({ path }) => path)).to.deep.equal([])
  })

  it('nothing tells where it was made', () => {
    const here = [process.cwd(), homedir(), dirname(process.cwd())]
      .filter(place => place.length > 2)
      .map(place => `${place}/`)
    const places = ['lib', 'bin', 'spec', 'docs', 'conf', 'bench', '.ci']
    const texts = places
      .flatMap(filesBelow)
      .filter(path => /\.(?:ts|mts|js|md|json|yaml|yml|sh|run)$|\/run$/.test(path))
    const telling = texts.filter(path => {
      const text = readFileSync(path, 'utf8')
      return here.some(place =>
        new RegExp(`(?:^|[\\s'"\`(=:])${place.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`, 'm').test(text),
      )
    })
    expect(telling).to.deep.equal([])
  })
})

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter(entry => entry.isFile())
      .map(entry => posix.join(entry.parentPath, entry.name))
  } catch {
    return []
  }
}

function read(path: string): SourceFile {
  const text = readFileSync(path, 'utf8')
  const withoutComments = text.replace(STRING_OR_COMMENT, part =>
    part.startsWith('/*') || part.startsWith('//') ? '' : part,
  )
  const imports = [
    ...withoutComments.matchAll(
      /(?:^|\n)(?:import|export)\s(?:[^'";]*?\sfrom\s)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g,
    ),
  ]
  const code = text.replace(STRING_OR_COMMENT, part =>
    /^['"`]/.test(part) ? "''" : part.startsWith('/*') || part.startsWith('//') ? '' : '/x/',
  )
  return { path, text, code, imports: imports.map(([, from, dynamic]) => (from ?? dynamic)!) }
}

function internal(file: SourceFile): string[] {
  return file.imports
    .filter(name => name.startsWith('.'))
    .map(name => posix.join(posix.dirname(file.path), name).replace(/\.js$/, '.ts'))
}

/** `lib/index.ts` is what others see of everything. */
function layerOf(path: string): number {
  return path === 'lib/index.ts' ? LAYERS.length : LAYERS.indexOf(path.split('/')[1] ?? '')
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function matches(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap(({ path, code }) => {
    const found = pattern.exec(code)
    return found === null ? [] : [`${path}: ${found[0].trim()}`]
  })
}

interface Container {
  readonly name: string
  /** What a change of it looks like. */
  readonly change: RegExp
}

/** Maps, sets, arrays and plain objects that a module makes when it is loaded. */
function containersOf({ code }: SourceFile): Container[] {
  const made = code.matchAll(/^(?:export )?const (\w+)(?:: [^=]+)? = (new \w*(?:Map|Set|Cache)\b|\[|\{)/gm)
  return [...made].map(([, name = '', kind]) => {
    const assigned = String.raw`\b${name}(?:\.\w+|\[[^\]]*\])\s*(?:[-+*|&?/]{0,2}=[^=>]|\+\+|--)`
    const called = String.raw`\b${name}\.(?:set|add|delete|clear|push|pop|shift|unshift|splice|sort|reverse|fill)\(`
    return { name, change: new RegExp(kind === '{' ? assigned : `${assigned}|${called}`) }
  })
}

function sees(file: SourceFile, owner: SourceFile, name: string): boolean {
  return file === owner || (internal(file).includes(owner.path) && new RegExp(`\\b${name}\\b`).test(file.code))
}
