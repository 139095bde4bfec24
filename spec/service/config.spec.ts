import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type ConfigInput, loadConfig, variableOf } from '../../lib/service/config.js'
import { problemText, settingNotes } from '../../lib/service/config-problems.js'
import { referencePage, sampleYaml } from '../../lib/service/config-sample.js'
import { KEYS, optionOf, type Values } from '../../lib/service/options.js'

describe('config', () => {
  let directory: string
  let file: string
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'comity-config-'))
    file = join(directory, 'comity.yaml')
  })
  after(() => rmSync(directory, { recursive: true }))

  const values = (input: Partial<ConfigInput>): Values => {
    const loaded = loadConfig({ file: null, env: {}, sets: [], ...input })
    if (!loaded.ok) throw new Error(loaded.problems.map(problemText).join('\n'))
    return loaded.config.values
  }
  const problems = (input: Partial<ConfigInput>): string[] => {
    const loaded = loadConfig({ file: null, env: {}, sets: [], ...input })
    return loaded.ok ? [] : loaded.problems.map(problemText)
  }
  const ofYaml = (yaml: string): string[] => {
    writeFileSync(file, yaml)
    return problems({ file })
  }

  it('holds the defaults when nothing else is said', () => {
    const loaded = loadConfig({ file: null, env: {}, sets: [] })
    expect(loaded.ok && Object.entries(loaded.config.values)).to.deep.equal(
      KEYS.map(key => [key, optionOf(key).default]),
    )
    expect(loaded.ok && [...new Set(loaded.config.sources.values())]).to.deep.equal(['default'])
  })

  it('precedence: default, file, environment, stored property, --set', () => {
    const key = 'xmpp.server.outgoing.queue'
    const env = { COMITY_XMPP_SERVER_OUTGOING_QUEUE: '2' }
    const stored = new Map<string, unknown>([[key, '3']])
    const sets = [[key, '4']] as const
    writeFileSync(file, `${key}: 1\n`)
    const inputs: [Partial<ConfigInput>, number, string][] = [
      [{}, 2000, 'default'],
      [{ file }, 1, 'file'],
      [{ file, env }, 2, 'environment'],
      [{ file, env, stored }, 3, 'stored'],
      [{ file, env, stored, sets }, 4, 'set'],
    ]
    for (const [input, value, source] of inputs) {
      const loaded = loadConfig({ file: null, env: {}, sets: [], ...input })
      expect(loaded.ok && [loaded.config.values[key], loaded.config.sources.get(key)]).to.deep.equal([value, source])
    }
    expect(
      values({
        sets: [
          [key, '4'],
          [key, '5'],
        ],
      })[key],
    ).to.equal(5)
  })

  it('every key has a variable of its own', () => {
    const names = KEYS.map(variableOf)
    expect(new Set(names).size).to.equal(KEYS.length)
    for (const name of names) expect(name).to.match(/^COMITY_[A-Z0-9_]+$/)
    expect(variableOf('xmpp.server.certificate.strict-validation')).to.equal(
      'COMITY_XMPP_SERVER_CERTIFICATE_STRICT_VALIDATION',
    )
    expect(variableOf('tls.selfSigned')).to.equal('COMITY_TLS_SELFSIGNED')
  })

  it('keys in the file may be nested, dotted or both', () => {
    writeFileSync(
      file,
      'xmpp:\n  domains: [north.example]\n  server.socket:\n    port: 1\nxmpp.server.socket.remotePort: 2\ndns.override:\n  "*.b.example": "127.0.0.1:3"\n',
    )
    const read = values({ file })
    expect(read['xmpp.domains']).to.deep.equal(['north.example'])
    expect([read['xmpp.server.socket.port'], read['xmpp.server.socket.remotePort']]).to.deep.equal([1, 2])
    expect(read['dns.override']).to.deep.equal({ '*.b.example': '127.0.0.1:3' })
  })

  it('a group with all its keys commented out, and an empty file, say nothing', () => {
    expect(ofYaml('xmpp:\n#  domains: [a]\n')).to.deep.equal([])
    expect(ofYaml('')).to.deep.equal([])
    expect(ofYaml('# nothing\n---\n')).to.deep.equal([])
  })

  it('reports everything at once', () => {
    writeFileSync(file, 'ximss.channels: many\nxmpp.server.socket.prot: 1\n')
    expect(
      problems({
        file,
        env: { COMITY_LOG_LEVEL: 'loud' },
        sets: [['tls.selfSigned', '2']],
        stored: new Map([['log.format', 'xml']]),
      }),
    ).to.have.members([
      'ximss.channels: not a whole number (got "many", expected a whole number from 0 to 100000)',
      'xmpp.server.socket.prot: unknown key, did you mean xmpp.server.socket.port?',
      'log.level: not one of the choices, in COMITY_LOG_LEVEL (got "loud", expected one of error, warn, info, debug)',
      'tls.selfSigned: not true or false, in --set (got "2", expected true or false)',
      'log.format: not one of the choices, in a stored property (got "xml", expected one of auto, json, pretty)',
    ])
  })

  it('names that are no settings: near ones, later ones, Openfire ones, strange ones', () => {
    const of = (name: string): string | undefined => problems({ sets: [[name, 'MARKED']] })[0]
    expect(of('xmpp.server.tls.Policy')).to.equal(
      'xmpp.server.tls.Policy: unknown key in --set, did you mean xmpp.server.tls.policy?',
    )
    expect(of('remotePort')).to.equal('remotePort: unknown key in --set, did you mean xmpp.server.socket.remotePort?')
    expect(of('frobnicate')).to.equal('frobnicate: unknown key in --set')
    expect(of('cluster.servers')).to.equal('cluster.servers: not available in this version, in --set')
    expect(of('xmpp.server.certificate.accept-selfsigned')).to.match(
      /^\S+: not used here: a certificate verifies or it does not/,
    )
    expect(of('xmpp.server.certificate.verify.chain')).to.match(/: not used here: a certificate verifies/)
    expect(of('xmpp.server.compression.policy')).to.match(/: not used here: compression/)
    expect(of('cache.dnsRecords.size')).to.match(/: not used here: caches/)
    expect(of('xmpp.gateway.enabled')).to.match(/: not used here: there is no gateway/)
    expect(of('xmpp.server.processing.core.threads')).to.match(/: not used here: there are no threads/)
    expect(of('__proto__')).to.equal('__proto__: unknown key in --set')
    expect(of('constructor')).to.equal('constructor: unknown key in --set')
    for (const name of ['frobnicate', 'cluster.servers', 'cache.x', '__proto__'])
      expect(of(name)).not.to.include('MARKED')
  })

  it('unknown variables are told from those that Kubernetes sets for a service named comity', () => {
    expect(problems({ env: { COMITY_XMPP_DOMAIN: 'a', COMITY_TLS_SELF_SIGNED: 'true' } })).to.deep.equal([
      'COMITY_XMPP_DOMAIN: unknown environment variable',
      'COMITY_TLS_SELF_SIGNED: unknown environment variable, did you mean COMITY_TLS_SELFSIGNED?',
    ])
    const links = {
      COMITY_SERVICE_HOST: '10.0.0.1',
      COMITY_SERVICE_PORT: '5269',
      COMITY_PORT: 'tcp://x',
      COMITY_PORT_5269_TCP_ADDR: '10.0.0.1',
    }
    expect(problems({ env: links })).to.deep.equal([])
  })

  it('YAML: a key given twice is refused, in every way of writing it', () => {
    expect(ofYaml('log.level: info\nlog.level: debug\n')).to.deep.equal([`${file}:2: Map keys must be unique`])
    expect(ofYaml('log: {level: info}\nlog.level: debug\n')).to.deep.equal(['log.level: given twice'])
  })

  it('YAML: aliases are refused, so a short file cannot grow', () => {
    const bomb = 'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nxmpp.domains: [*b,*b,*b,*b]\n'
    expect(ofYaml(bomb)).to.include(`${file}:3: xmpp.domains: aliases are not accepted`)
    expect(ofYaml('xmpp: &x {domains: [a]}\nlog: *x\n')).to.include(`${file}:2: log: aliases are not accepted`)
  })

  it('YAML: __proto__ and merge keys are only unknown names', () => {
    expect(ofYaml('__proto__: {polluted: 1}\nxmpp: {__proto__: {domains: [a]}, "<<": {domains: [b]}}\n')).to.deep.equal(
      [
        '__proto__.polluted: unknown key',
        'xmpp.__proto__.domains: unknown key, did you mean xmpp.domains?',
        'xmpp.<<.domains: unknown key, did you mean xmpp.domains?',
      ],
    )
    expect(ofYaml('dns.override: {__proto__: "localhost:1"}\n')).to.deep.equal([
      `${file}:1: dns.override: the key __proto__ is not accepted`,
    ])
    expect({}).not.to.have.property('polluted')
  })

  it('YAML: what is no map of settings is refused with its line', () => {
    expect(ofYaml('- a\n')).to.deep.equal([`${file}:1: not a map of settings`])
    expect(ofYaml('log.level: info\n\t x: [\n')[0]).to.match(/comity\.yaml:2: /)
    expect(ofYaml('log.level: !!js/function "x"\n')[0]).to.match(/comity\.yaml:1: Unresolved tag/)
    expect(ofYaml('a: 1\n---\nb: 2\n')[0]).to.match(/comity\.yaml:\d: /)
    expect(ofYaml(`${'{a: '.repeat(40)}1${'}'.repeat(40)}\n`)).to.deep.equal([`${file}:1: maps nested too deeply`])
    expect(ofYaml('['.repeat(200_000))).to.have.length.above(0)
  })

  it('the file must exist when it is named, be UTF-8 and of a sensible size', () => {
    expect(problems({ file: join(directory, 'absent.yaml') })[0]).to.match(/absent\.yaml: cannot be read: ENOENT/)
    writeFileSync(file, Buffer.from([0x6c, 0x3a, 0xff]))
    expect(problems({ file })[0]).to.match(/comity\.yaml: cannot be read: /)
    expect(ofYaml('#'.repeat(1_048_577))).to.deep.equal([
      `${file}: too large for a file of settings (got 1048577 bytes, expected at most 1048576)`,
    ])
  })

  it('settings that belong together are checked together', () => {
    expect(problems({ sets: [['xmpp.server.backoff.initial', '10m']] })).to.deep.equal([
      'xmpp.server.backoff.initial: greater than xmpp.server.backoff.max (got 10m, expected at most 5m)',
    ])
    expect(problems({ sets: [['xmpp.server.outgoing.queue-bytes', '65536']] })[0]).to.match(
      /^xmpp\.server\.limits\.stanza-bytes: greater than/,
    )
  })

  it('stored properties: none that is needed to find the store; a wrong one can be replaced by --set', () => {
    expect(problems({ stored: new Map([['data.directory', 'elsewhere']]) })).to.deep.equal([
      'data.directory: cannot be a stored property, it is needed to find them; set it in the file',
    ])
    expect(problems({ stored: new Map([['log.level', 'loud']]), sets: [['log.level', 'debug']] })).to.deep.equal([])
  })

  it('escapes and limits what it shows', () => {
    const shown = problems({
      sets: [
        ['log.level', `\u001b[31m\n${'x'.repeat(1000)}`],
        ['\u001b[2Jkey', '1'],
      ],
    }).join('')
    expect(shown).not.to.match(/[\u0000-\u001f]/)
    expect(shown.length).to.be.below(700)
  })

  it('conf/comity.sample.yaml is the table: every key, its default, one line of explanation', () => {
    const sample = readFileSync('conf/comity.sample.yaml', 'utf8')
    expect(sample, 'write it anew: comity check-config --sample').to.equal(sampleYaml())
    const loaded = loadConfig({ file: 'conf/comity.sample.yaml', env: {}, sets: [] })
    expect(loaded.ok && loaded.config.values).to.deep.equal(values({}))
    expect(loaded.ok && [...loaded.config.layers.file.keys()]).to.deep.equal([...KEYS])
    for (const key of KEYS) expect(sample).to.match(new RegExp(`^# \\S.*\\n${key.replaceAll('.', '\\.')}: \\S`, 'm'))
  })

  it('docs/SETTINGS.md is the table', () => {
    expect(readFileSync('docs/SETTINGS.md', 'utf8'), 'write it anew: comity check-config --reference').to.equal(
      referencePage(),
    )
  })

  it('XEP-0368 §2: Direct TLS without TLS is noted, unless it is switched off', () => {
    const notes = (policy: string, active: boolean): string[] =>
      settingNotes(
        values({
          sets: [
            ['xmpp.server.tls.policy', policy],
            ['xmpp.server.socket.ssl.active', active],
          ],
        }),
      )
    expect(notes('disabled', true)).to.deep.equal([
      'xmpp.server.socket.ssl.active: no effect, the listener for Direct TLS does not open while xmpp.server.tls.policy is disabled',
    ])
    expect([...notes('disabled', false), ...notes('optional', true), ...notes('required', true)]).to.deep.equal([])
  })
})
