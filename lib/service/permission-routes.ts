import { z } from 'zod'
import { AdminRefusal, type AdminRoutes } from '../admin/admin-socket.js'
import type { Log } from '../base/log.js'
import { PERMISSION_DIRECTIONS } from '../policy/permission.js'
import type { PermissionDirectory } from './permissions.js'

const direction = z.enum(PERMISSION_DIRECTIONS)

const common = {
  direction: direction.optional(),
  reason: z.string().optional(),
  expires: z.string().optional(),
}

const change = z.strictObject({
  pattern: z.string(),
  action: z.enum(['allow', 'block']),
  tls: z.enum(['disabled', 'optional', 'required']).optional(),
  proof: z.enum(['external', 'dialback', 'any']).optional(),
  strict: z.boolean().optional(),
  ...common,
})

const list = z.strictObject({ text: z.string(), ...common })

/** The route whose body may be long. */
export const IMPORT_ROUTE = 'POST /domains/import'

/** `GET /domains`, `POST /domains`, `POST /domains/import`, `DELETE /domains/PATTERN`: what `comity domain` asks a running service for. */
export function permissionRoutes(permissions: PermissionDirectory, log: Log): AdminRoutes {
  return {
    'GET /domains': () => permissions.list(),
    'POST /domains': async ({ body }) => {
      const row = await permissions.set(read(change, body))
      log.info('permission-set', { ...row })
      return row
    },
    [IMPORT_ROUTE]: async ({ body }) => {
      const imported = await permissions.import(read(list, body))
      log.info('permissions-imported', { ...imported })
      return imported
    },
    'DELETE /domains/:pattern': async ({ params: { pattern = '' }, query }) => {
      const one = query.get('direction')
      await permissions.remove(pattern, one === null ? undefined : read(direction, one))
      log.info('permission-removed', { pattern, direction: one ?? 'all' })
    },
  }
}

function read<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new AdminRefusal(400, `${issue?.path.join('.') || 'the request'}: ${issue?.message ?? 'not understood'}`)
}
