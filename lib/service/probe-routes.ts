import { randomUUID } from 'node:crypto'
import { AdminRefusal, type AdminRoutes } from '../admin/admin-socket.js'
import type { Clock } from '../base/clock.js'
import type { TraceStep } from '../base/trace.js'
import { DomainPair } from '../stanza/domain-pair.js'
import type { ProbeNews, ProbeReport, ProbeStarted } from './contract.js'
import type { Prober } from './probe.js'
import type { ServedDomains } from './served-domains.js'

/** Probes kept, under way or ended; the oldest that has ended is forgotten first. */
const MOST_PROBES = 20
/** How long a question for news waits for some. */
const NEWS_MS = 5_000

interface Probe {
  readonly steps: TraceStep[]
  report: ProbeReport | undefined
  readonly waiting: Set<() => void>
}

/** `POST /probes`, `GET /probes/ID?after=N`: an answer cannot come in parts, so that whoever watches asks for news again and again. */
export function probeRoutes(prober: Prober, domains: ServedDomains, clock: Clock): AdminRoutes {
  const probes = new Map<string, Probe>()
  return {
    'POST /probes': ({ body }): ProbeStarted => {
      const pair = probePair(wanted(body), domains.list)
      makeRoom(probes)
      const id = randomUUID()
      const probe: Probe = { steps: [], report: undefined, waiting: new Set() }
      probes.set(id, probe)
      const tell = (): void => {
        for (const told of probe.waiting) told()
      }
      void prober
        .run(pair, step => {
          probe.steps.push(step)
          tell()
        })
        .then(report => {
          probe.report = report
          tell()
        })
      return { id }
    },
    'GET /probes/:id': async ({ params: { id = '' }, query }): Promise<ProbeNews> => {
      const probe = probes.get(id)
      if (probe === undefined) throw new AdminRefusal(404, `there is no probe ${id}`)
      const after = Number(query.get('after') ?? 0)
      if (!Number.isSafeInteger(after) || after < 0)
        throw new AdminRefusal(400, 'after: a number of steps was expected')
      if (probe.report === undefined && probe.steps.length <= after) await news(probe, clock)
      if (probe.report === undefined) return { steps: probe.steps.slice(after) }
      const { steps, ...report } = probe.report
      return { steps: steps.slice(after), report }
    },
  }
}

/** The pair to be probed. @throws AdminRefusal when one name cannot be used. */
export function probePair(
  { remote, local }: { readonly remote: string; readonly local?: string | undefined },
  served: readonly string[],
): DomainPair {
  const pair = DomainPair.of(local ?? served[0] ?? '', remote)
  if (pair === undefined) throw new AdminRefusal(400, `${local ?? remote}: not a domain`)
  if (!served.includes(pair.local))
    throw new AdminRefusal(400, `${pair.local} is not served here; choose one of ${served.join(', ')}`)
  return pair
}

function wanted(body: unknown): { remote: string; local?: string } {
  if (typeof body === 'object' && body !== null && 'remote' in body && typeof body.remote === 'string') {
    if (!('local' in body) || body.local === undefined) return { remote: body.remote }
    if (typeof body.local === 'string') return { remote: body.remote, local: body.local }
  }
  throw new AdminRefusal(400, 'remote, and perhaps local, were expected')
}

function makeRoom(probes: Map<string, Probe>): void {
  if (probes.size < MOST_PROBES) return
  for (const [id, { report }] of probes) {
    if (report === undefined) continue
    probes.delete(id)
    return
  }
  throw new AdminRefusal(503, 'too many probes are under way, try again in a minute')
}

function news({ waiting }: Probe, clock: Clock): Promise<void> {
  return new Promise(resolve => {
    const told = (): void => {
      cancel()
      waiting.delete(told)
      resolve()
    }
    const cancel = clock.after(NEWS_MS, told)
    waiting.add(told)
  })
}
