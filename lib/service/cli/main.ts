import { Command, CommanderError } from 'commander'
import { AdminError, AdminUnreachable } from '../../admin/admin-client.js'
import { AdminRefusal } from '../../admin/admin-socket.js'
import { printable } from '../../admin/printable.js'
import { AdminProblem } from '../../base/admin-problem.js'
import { CredentialError } from '../../negotiation/certificate/own-certificates.js'
import { StoreError } from '../../store/store-error.js'
import { ConfigInvalid, problemText } from '../config-problems.js'
import type { CreateService, RunDemo } from '../contract.js'
import { addCheckConfig } from './check-config.js'
import { addDemo } from './demo.js'
import { addDomain } from './domain.js'
import { CliFailure, type CliIo } from './io.js'
import { addLive } from './live.js'
import { addProbe } from './probe.js'
import { addProperty } from './property.js'
import { addStart } from './start.js'
import { addUser } from './user.js'

/** The large parts, loaded only by the commands that need them. */
export interface CliParts {
  readonly version: string
  readonly loadService: () => Promise<CreateService>
  readonly loadDemo: () => Promise<RunDemo>
}

const FAILED = 1
const WRONG_USAGE = 2

/** Runs one command; the result is the status to exit with: 0 done, 1 failed, 2 wrong usage. */
export async function main(args: readonly string[], io: CliIo, parts: CliParts): Promise<number> {
  let status = 0
  const program = new Command('comity')
    .description('XMPP server-to-server federation')
    .version(parts.version)
    .exitOverride()
    .configureOutput({ writeOut: text => io.output.write(text), writeErr: text => io.errors.write(text) })
    .configureHelp({ showGlobalOptions: true })
  addStart(program, io, parts.loadService)
  addDemo(program, io, parts.loadDemo)
  addCheckConfig(program, io, code => {
    status = code
  })
  addUser(program, io)
  addDomain(program, io)
  addLive(program, io)
  addProbe(program, io, parts.loadService, code => {
    status = code
  })
  addProperty(program, io)
  try {
    await program.parseAsync(args, { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE
    io.errors.write(failureText(error))
    return FAILED
  }
}

function failureText(error: unknown): string {
  if (error instanceof ConfigInvalid) return error.problems.map(problem => `${problemText(problem)}\n`).join('')
  if (!(error instanceof Error)) return `comity: ${printable(String(error))}\n`
  const isExpected = EXPECTED.some(kind => error instanceof kind) || 'code' in error
  return `comity: ${printable(error.message)}\n${isExpected ? '' : `${error.stack ?? ''}\n`}`
}

/** Failures whose text says all that helps. */
const EXPECTED = [AdminProblem, CredentialError, CliFailure, AdminUnreachable, AdminError, AdminRefusal, StoreError]
