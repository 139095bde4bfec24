import { type IncomingMessage, request } from 'node:http'
import { type Clock, systemClock } from '../base/clock.js'
import { readBody } from './read-body.js'

/** Nobody answers at the admin socket. The message is for the person who asked. */
export class AdminUnreachable extends Error {
  override readonly name = 'AdminUnreachable'
  /** True when nothing runs there; false when something may, but cannot be reached. */
  readonly isAbsent: boolean

  constructor(path: string, cause: NodeJS.ErrnoException) {
    super(unreachableText(path, cause.code), { cause })
    this.isAbsent = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED'
  }
}

/** The service answered no. The message is its own. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Largest answer that is taken. */
const MOST_BYTES = 64 * 1_048_576
/** Longer than the service gives its handlers, so that its own text arrives. */
const DEADLINE_MS = 35_000

/**
 * Asks the service at `socketPath`; the result is its JSON answer.
 *
 * @throws AdminUnreachable when none runs there, AdminError when it refuses or does not answer within `deadlineMs`.
 */
export function adminRequest(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  { clock = systemClock, deadlineMs = DEADLINE_MS }: { readonly clock?: Clock; readonly deadlineMs?: number } = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const headers = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length }
    const asked = request({ socketPath, method, path, headers, agent: false })
    const cancel = clock.after(deadlineMs, () => {
      asked.destroy(new AdminError(504, `the service at ${socketPath} did not answer within ${deadlineMs / 1000} s`))
    })
    asked.once('error', (error: NodeJS.ErrnoException) => {
      cancel()
      reject(error instanceof AdminError ? error : new AdminUnreachable(socketPath, error))
    })
    asked.once('response', response => {
      readAnswer(response)
        .then(resolve, reject)
        .finally(() => {
          cancel()
          asked.destroy()
        })
    })
    asked.end(text)
  })
}

async function readAnswer(response: IncomingMessage): Promise<unknown> {
  const text = await readBody(response, MOST_BYTES).catch((error: unknown) => {
    throw error instanceof AdminError
      ? error
      : new AdminError(502, 'the service ended the connection before its answer was complete')
  })
  if (text === undefined) throw new AdminError(502, 'the answer of the service is too long')
  const answer = parse(text)
  const status = response.statusCode ?? 500
  if (status < 400) return answer
  const message =
    typeof answer === 'object' && answer !== null && 'error' in answer ? String(answer.error) : `status ${status}`
  throw new AdminError(status, message)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new AdminError(502, 'the answer of the service is not JSON')
  }
}

function unreachableText(path: string, code: string | undefined): string {
  if (code === 'EACCES' || code === 'EPERM') {
    return `the service's admin socket ${path} belongs to another user; run this as the user who runs the service`
  }
  const detail = code === undefined || code === 'ENOENT' || code === 'ECONNREFUSED' ? '' : ` (${code})`
  return (
    `no service runs here: nobody answers at ${path}${detail}. Start one with "comity start", or name the settings of the one that runs ` +
    'with --config FILE or --set data.directory=DIRECTORY.'
  )
}
