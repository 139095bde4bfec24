import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { AdminError, AdminUnreachable, adminRequest } from '../../admin/admin-client.js'
import { AdminRefusal } from '../../admin/admin-socket.js'
import { silentLog } from '../../base/log.js'
import type { TraceStep } from '../../base/trace.js'
import { prepareDomain } from '../../stanza/domain.js'
import { SIDES } from '../../stream/end-reason.js'
import { adminSocketPath } from '../config-paths.js'
import type { CreateService, ProbeNews, ProbeReport, ProbeRequest, ProbeStarted } from '../contract.js'
import type { Settings } from '../settings.js'
import { type DataFlags, loadSettings, show, withData } from './cli.js'
import type { CliIo } from './io.js'
import { outcomeText, stepText } from './probe-text.js'

interface ProbeFlags extends DataFlags {
  readonly from?: string
}

const started: z.ZodType<ProbeStarted> = z.object({ id: z.string() })

const news: z.ZodType<ProbeNews> = z.object({
  steps: z.array(z.object({ atMs: z.number(), step: z.string(), facts: z.record(z.string(), z.unknown()) })),
  report: z
    .object({
      local: z.string(),
      remote: z.string(),
      outcome: z.enum(['works', 'failed']),
      failed: z.string(),
      reason: z.string(),
      words: z.string(),
      mends: z.enum(SIDES),
      hint: z.string(),
      proof: z.enum(['', 'external', 'certificate', 'dialback']),
      pingMs: z.number().optional(),
    })
    .optional(),
})

/** `comity probe DOMAIN`: has the running service try, or tries itself when none runs. */
export function addProbe(
  program: Command,
  io: CliIo,
  loadService: () => Promise<CreateService>,
  exit: (code: number) => void,
): void {
  const probe = withData(program.command('probe'))
    .description('try whether a remote domain can be reached, step by step, and say whose side must mend what fails')
    .argument('<domain>', 'as in addresses, such as example.org', readDomain)
    .option('--from <local>', 'the served domain that asks (default: the first)', readDomain)
    .addHelpText('after', '\nEnds with 0 when federation works, 1 when it does not, 2 after wrong usage.')
    .action(async (remote: string, { from, ...flags }: ProbeFlags) => {
      const settings = loadSettings(io, flags)
      const onStep = (step: TraceStep): void => {
        if (!flags.json) io.output.write(stepText(step))
      }
      const request = { remote, local: from, onStep }
      try {
        const id = await start(settings, request)
        const report =
          id === undefined ? await tryHere(settings, request, await loadService()) : await watch(settings, id, onStep)
        show(io, flags, report, () => outcomeText(report))
        exit(report.outcome === 'works' ? 0 : 1)
      } catch (error) {
        const isWrong = (error instanceof AdminRefusal || error instanceof AdminError) && error.status === 400
        if (isWrong) probe.error(`error: ${error.message}`)
        throw error
      }
    })
}

/** Has the running service begin; undefined when none runs. */
async function start(settings: Settings, { remote, local }: ProbeRequest): Promise<string | undefined> {
  try {
    return started.parse(await adminRequest(adminSocketPath(settings), 'POST', '/probes', { remote, local })).id
  } catch (error) {
    if (error instanceof AdminUnreachable && error.isAbsent) return undefined
    throw error
  }
}

async function watch(settings: Settings, id: string, onStep: (step: TraceStep) => void): Promise<ProbeReport> {
  const path = adminSocketPath(settings)
  const steps: TraceStep[] = []
  for (;;) {
    const { steps: more, report } = news.parse(await adminRequest(path, 'GET', `/probes/${id}?after=${steps.length}`))
    for (const step of more) onStep(step)
    steps.push(...more)
    if (report !== undefined) return { ...report, steps }
  }
}

/** A service that listens to nobody: only what needs no call from the other side can be tried. */
async function tryHere(settings: Settings, request: ProbeRequest, createService: CreateService): Promise<ProbeReport> {
  const service = await createService({ settings, log: silentLog })
  try {
    return await service.probe(request)
  } finally {
    await service.stop()
  }
}

function readDomain(text: string): string {
  const domain = prepareDomain(text)
  if (domain === undefined) throw new InvalidArgumentError('Expected a domain.')
  return domain
}
