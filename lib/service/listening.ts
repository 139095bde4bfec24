import { AdminProblem } from '../base/admin-problem.js'

/** What cannot be opened is told with the setting that says where. */
export async function listening<T>(key: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number }
    const problems: Record<string, string> = {
      EADDRINUSE: 'the port is in use by another program',
      EADDRNOTAVAIL: 'network.interface names an address that this machine does not have',
      EACCES: 'this user may not open the port',
    }
    const problem = problems[code ?? '']
    if (problem === undefined) throw error
    throw new AdminProblem(`${key}: cannot listen on ${place(address ?? '', port ?? 0)}: ${problem} (${code})`)
  }
}

/** The operating system chooses a free port for 0. */
export function portNumber(port: number | 'any'): number {
  return port === 'any' ? 0 : port
}

/** A place as admins write it. */
export function place(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
