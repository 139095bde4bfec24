import type { Log, LogFields } from '../../base/log.js'

/** Turns the log of one demo service into lines for people, as things happen. */
export function transcriptLog(name: string, print: (line: string) => void, told: LogFields = {}): Log {
  const hear = (event: string, fields: LogFields = {}): void => {
    const line = sentence(event, { ...told, ...fields })
    if (line !== undefined) print(`${name.padEnd(6)} ${line}`)
  }
  return {
    error: hear,
    warn: hear,
    info: hear,
    debug: hear,
    child: fields => transcriptLog(name, print, { ...told, ...fields }),
  }
}

function sentence(event: string, fields: LogFields): string | undefined {
  const { local, remote, proof, tag } = fields
  switch (event) {
    case 's2s-out-step':
      return step(String(fields.step), (fields.facts ?? {}) as LogFields)
    case 's2s-out-established':
      return `proof     ${local} proved itself to ${remote} by ${proofName(proof)} (${fields.tls ?? 'no TLS'}, stream ${tag})`
    case 's2s-in-proven':
      return `proof     accepted ${remote} for ${local}, by ${proofName(proof)} (stream ${tag})`
    case 'route-published':
      return `route     ${local} → ${remote} published in the routing table (stream ${fields.stream})`
    case 's2s-out-failed':
      return `failed    ${local} → ${remote}: ${fields.reason}; to be mended by: ${fields.mends}`
    default:
      return undefined
  }
}

function step(name: string, facts: LogFields): string | undefined {
  switch (name) {
    case 'dns.answer':
      return facts.type === 'SRV' ? `DNS       SRV ${facts.name} is ${srvText(facts)}` : undefined
    case 'tcp.connected':
      return `TCP       connected to ${facts.address} port ${facts.port}`
    case 'tls':
      return `TLS       ${facts.protocol} ${facts.cipher}`
    case 'certificate':
      return facts.verified === true
        ? 'TLS       the certificate verifies for the remote domain'
        : 'TLS       the certificate does not verify'
    default:
      return undefined
  }
}

function srvText(facts: LogFields): string {
  const records = facts.records
  if (!Array.isArray(records)) return String(facts.reason ?? 'empty')
  return records
    .map(({ target, port, priority, weight }) => `${target} port ${port} (priority ${priority}, weight ${weight})`)
    .join(', ')
}

function proofName(proof: unknown): string {
  return proof === 'external' ? 'SASL EXTERNAL' : proof === 'dialback' ? 'Server Dialback' : String(proof)
}
