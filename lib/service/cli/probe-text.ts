import { z } from 'zod'
import { printable } from '../../admin/printable.js'
import type { TraceStep } from '../../base/trace.js'
import type { ProbeReport } from '../contract.js'

const defects = z.array(z.object({ text: z.string() }))
const certificate = z.object({
  subject: z.string(),
  issuer: z.string(),
  notBefore: z.string(),
  notAfter: z.string(),
  dnsNames: z.array(z.string()),
  srvNames: z.array(z.string()),
  xmppAddrs: z.array(z.string()),
})
const record = z.looseObject({
  address: z.string().optional(),
  priority: z.number().optional(),
  weight: z.number().optional(),
  port: z.number().optional(),
  target: z.string().optional(),
  usage: z.number().optional(),
  selector: z.number().optional(),
  matchingType: z.number().optional(),
})

/** What is read of the facts of a step; every one is absent where the step does not have it, or has something else. */
const factsOfSteps = z.looseObject({
  local: z.string().optional().catch(undefined),
  remote: z.string().optional().catch(undefined),
  name: z.string().optional().catch(undefined),
  type: z.string().optional().catch(undefined),
  kind: z.string().optional().catch(undefined),
  reason: z.string().optional().catch(undefined),
  records: z.array(record).optional().catch(undefined),
  groups: z
    .array(z.array(z.object({ host: z.string(), port: z.number(), transport: z.string() })))
    .optional()
    .catch(undefined),
  dnssec: z.string().optional().catch(undefined),
  ttlSeconds: z.number().nullish().catch(undefined),
  host: z.string().optional().catch(undefined),
  address: z.string().optional().catch(undefined),
  port: z.number().optional().catch(undefined),
  proxy: z.string().optional().catch(undefined),
  transport: z.string().optional().catch(undefined),
  source: z.string().optional().catch(undefined),
  text: z.string().optional().catch(undefined),
  detail: z.string().optional().catch(undefined),
  protocol: z.string().optional().catch(undefined),
  cipher: z.string().optional().catch(undefined),
  alpn: z.string().optional().catch(undefined),
  servername: z.string().optional().catch(undefined),
  listed: z.boolean().optional().catch(undefined),
  applies: z.boolean().optional().catch(undefined),
  record: z.string().optional().catch(undefined),
  verified: z.boolean().optional().catch(undefined),
  method: z.string().optional().catch(undefined),
  matchedName: z.string().optional().catch(undefined),
  defects: defects.optional().catch(undefined),
  chain: z.array(certificate).optional().catch(undefined),
  tls: z.string().optional().catch(undefined),
  strict: z.boolean().optional().catch(undefined),
  external: z.boolean().optional().catch(undefined),
  dialback: z.unknown().optional(),
  starttls: z.object({ required: z.boolean() }).optional().catch(undefined),
  mechanisms: z.array(z.string()).optional().catch(undefined),
  limits: z.object({ maxBytes: z.number().optional(), idleSeconds: z.number().optional() }).optional().catch(undefined),
  accepted: z.boolean().optional().catch(undefined),
  refused: z.string().optional().catch(undefined),
  result: z.string().optional().catch(undefined),
  proof: z.string().optional().catch(undefined),
  asked: z.boolean().optional().catch(undefined),
  answer: z.string().optional().catch(undefined),
  condition: z.string().optional().catch(undefined),
  ms: z.number().optional().catch(undefined),
  skipped: z.string().optional().catch(undefined),
})

type Facts = z.infer<typeof factsOfSteps>

type Words = (facts: Facts) => readonly [label: string, ...lines: string[]] | undefined

/** How each step is told; steps without words of their own are told as data, those with none are left out. */
const WORDS: Readonly<Record<string, Words>> = {
  pair: ({ local, remote }) => ['from', `${local} to ${remote}`],
  rules: ({ tls, strict, external, dialback }) => [
    'rules',
    `TLS ${tls}, certificates ${strict ? 'must verify' : 'may be bad where dialback proves the domain'}, proofs: ${
      [external && 'EXTERNAL', dialback === true && 'dialback'].filter(Boolean).join(', ') || 'none'
    }`,
  ],
  'dns.override': ({ host, port }) => ['DNS', `dns.override leads to ${host} port ${port}`],
  'dns.answer': facts => ['DNS', `${facts.type ?? 'A, AAAA'} ${facts.name}: ${answerOf(facts)}`],
  'dns.unusable': ({ name }) => ['DNS', `${name}: records that lead nowhere are left out`],
  candidates: ({ groups = [] }) => {
    const places = groups
      .flat()
      .map(({ host, port, transport }) => `${host} ${port}${transport === 'tls' ? ' (TLS)' : ''}`)
    return places.length > 1 ? ['order', places.join(', ')] : undefined
  },
  'dial.group': () => undefined,
  'dial.won': () => undefined,
  proxy: ({ proxy }) => ['proxy', `through ${proxy}`],
  'tcp.start': ({ host, address, port, source, transport, proxy }) => [
    'TCP',
    [
      `trying ${address} port ${port}`,
      host !== address && `(${host})`,
      transport === 'tls' && 'for TLS at once',
      source !== undefined && `from ${source}`,
      proxy !== undefined && `through ${proxy}`,
    ]
      .filter(Boolean)
      .join(' '),
  ],
  'tcp.connected': ({ address, port }) => ['TCP', `connected to ${address} port ${port}`],
  'dial.failed': ({ address, port, kind, detail, text = '' }) => {
    const place = address === undefined ? 'failed' : `${address} port ${port}`
    if (kind === 'open') return ['failed', `${place}: ${text}`]
    return ['failed', detail === 'forbidden-target' ? text : `${place}: ${detail} (${text})`]
  },
  header: () => ['stream', 'the peer answers with a stream header'],
  features: facts => ['offers', featuresOf(facts)],
  tls: ({ protocol, cipher, alpn, servername }) => [
    'TLS',
    `${protocol}, ${cipher}, ALPN ${alpn ?? 'none'}, asked for ${servername}`,
  ],
  certificate: facts => ['cert', ...certificateLines(facts)],
  'certificate.pkix': () => undefined,
  'certificate.dane': ({ name, applies, verified, record: tlsa }) => [
    'DANE',
    applies ? `${name}: ${verified ? `fits ${tlsa ?? ''}` : 'does not fit'}` : `${name}: no record that can be used`,
  ],
  'certificate.posh': ({ listed, text }) => ['POSH', listed ? 'lists the certificate' : `does not vouch: ${text}`],
  external: ({ accepted, refused }) => ['proof', accepted ? 'SASL EXTERNAL accepted' : `SASL EXTERNAL: ${refused}`],
  dialback: ({ result }) => ['proof', result === undefined ? 'dialback: key sent' : `dialback: ${result}`],
  proven: ({ proof }) => ['proof', `our domain is proven by ${proofText(proof)}`],
  ping: ({ asked, skipped, ms, answer, condition }) => [
    'ping',
    skipped ?? (asked ? 'sent; the answer comes on their own stream to us' : pingAnswer(ms, answer, condition)),
  ],
}

/** One step, in one or more lines. */
export function stepText({ atMs, step, facts }: TraceStep): string {
  const words = WORDS[step]
  const told = words === undefined ? ([step, JSON.stringify(facts)] as const) : words(factsOfSteps.parse(facts))
  if (told === undefined) return ''
  const [label, ...lines] = told
  return lines
    .map(
      (line, at) =>
        `${at === 0 ? `${String(atMs).padStart(6)} ms` : ' '.repeat(9)}  ${(at === 0 ? label : '').padEnd(6)}  ${printable(line)}\n`,
    )
    .join('')
}

/** What came of it, and what to do. */
export function outcomeText({ outcome, failed, words, reason, mends, hint, proof, pingMs }: ProbeReport): string {
  const lines = hint === '' ? [] : [`hint: ${hint}`]
  if (outcome === 'works')
    lines.push(`works: proven by ${proofText(proof)}${pingMs === undefined ? '' : `, ping ${pingMs} ms`}`)
  else lines.push(`failed: ${failed}: ${words} (${reason}); to be mended by: ${mends}`)
  return lines.map(line => `${printable(line)}\n`).join('')
}

function answerOf({ kind, reason, records = [], dnssec, ttlSeconds }: Facts): string {
  const state = dnssec === undefined ? '' : ` (DNSSEC ${dnssec}${ttlSeconds == null ? '' : `, for ${ttlSeconds} s`})`
  if (kind !== 'records') return `${kind === 'none' ? 'none' : 'failed'}: ${reason}${state}`
  return `${records.map(recordText).join(', ')}${state}`
}

function recordText({
  address,
  priority,
  weight,
  port,
  target,
  usage,
  selector,
  matchingType,
}: z.infer<typeof record>): string {
  if (address !== undefined) return address
  if (target !== undefined) return `${priority} ${weight} ${port} ${target}`
  return `${usage} ${selector} ${matchingType}`
}

function featuresOf({ starttls, mechanisms, dialback, limits }: Facts): string {
  const parts = [
    starttls && `STARTTLS${starttls.required ? ' (required)' : ''}`,
    mechanisms && `SASL ${mechanisms.join(' ')}`,
    typeof dialback === 'object' && 'dialback',
    limits?.maxBytes !== undefined && `stanzas up to ${limits.maxBytes} bytes`,
    limits?.idleSeconds !== undefined && `closes when idle for ${limits.idleSeconds} s`,
  ]
  return parts.filter(part => typeof part === 'string').join(', ') || 'nothing'
}

function certificateLines({ chain = [], verified, method, matchedName, defects: found = [] }: Facts): string[] {
  const shown = chain.map(({ subject, issuer, notBefore, notAfter, dnsNames, srvNames, xmppAddrs }, at) => {
    const names = [...new Set([...dnsNames, ...srvNames, ...xmppAddrs])].join(', ')
    return `${at + 1}: ${subject}, issued by ${issuer}, ${notBefore.slice(0, 10)} to ${notAfter.slice(0, 10)}${names === '' ? '' : `; names: ${names}`}`
  })
  const verdict = verified
    ? `verified by ${(method ?? '').toUpperCase()}${matchedName === undefined ? '' : `, as ${matchedName}`}`
    : 'not verified:'
  return [...shown, verdict, ...(verified ? [] : found.map(({ text }) => `- ${text}`))]
}

function pingAnswer(ms: number | undefined, answer: string | undefined, condition: string | undefined): string {
  return `${answer === 'error' ? `answered with ${condition ?? 'an error'}` : 'answered'} after ${ms} ms`
}

function proofText(proof: string | undefined): string {
  return proof === 'external' ? 'SASL EXTERNAL' : String(proof)
}
