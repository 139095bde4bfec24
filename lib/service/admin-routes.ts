import type { XimssListener } from '../access/ximss/ximss-listener.js'
import { AdminRefusal, type AdminRoutes } from '../admin/admin-socket.js'
import type { Clock } from '../base/clock.js'
import type { Log } from '../base/log.js'
import type { Store } from '../store/store.js'
import type { QueueRow, RouteRow, SessionRow } from './contract.js'
import type { Federation } from './federation.js'
import { permissionRoutes } from './permission-routes.js'
import { StoredPermissions } from './permissions.js'
import type { Prober } from './probe.js'
import { probeRoutes } from './probe-routes.js'
import { propertyRoutes } from './property-routes.js'
import type { ServedDomains } from './served-domains.js'
import type { Settings } from './settings.js'
import { StoredUsers, userRoutes } from './users.js'

export interface AdminRoutesOptions {
  readonly federation: Federation
  readonly ximss: () => XimssListener
  readonly settings: Settings
  readonly store: Store
  readonly settled: () => Promise<void>
  readonly domains: ServedDomains
  readonly prober: Prober
  readonly clock: Clock
  readonly log: Log
}

/** What a running service answers on its admin socket. */
export function adminRoutes({
  federation,
  ximss,
  settings,
  store,
  settled,
  domains,
  prober,
  clock,
  log,
}: AdminRoutesOptions): AdminRoutes {
  const sessions = (): SessionRow[] => [...ximssRows(ximss()), ...streamRows(federation, clock)]
  const endSessions = (account: string): void => {
    const { sessions: live } = ximss()
    for (const row of live.snapshot())
      if (row.account === account) live.close(row.id, 'the account has changed, log in again')
  }
  return {
    'GET /sessions': ({ query }) => {
      const kind = query.get('kind')
      return sessions().filter(row => kind === null || row.kind === kind)
    },
    'DELETE /sessions/:id': ({ params: { id = '' } }) => {
      const closed =
        federation.incoming.close(id) ||
        federation.outgoing.close(id) ||
        ximss().sessions.close(Number(/^(?:XIMSS-)?0*(\d+)$/.exec(id)?.[1]))
      if (!closed) throw new AdminRefusal(404, `there is no session ${id}`)
      log.info('session-closed-by-admin', { session: id })
    },
    'GET /routes': (): RouteRow[] => federation.table.rows().map(row => ({ ...row, since: row.since.toISOString() })),
    'GET /queue': (): QueueRow[] => queueRows(federation),
    ...probeRoutes(prober, domains, clock),
    ...propertyRoutes({ settings, properties: store.properties, log, settled }),
    ...permissionRoutes(
      new StoredPermissions(store.permissions, clock, entries => federation.permissions.replace(entries)),
      log,
    ),
    ...userRoutes(
      new StoredUsers(
        store.accounts,
        () => domains.list,
        account => endSessions(account),
      ),
    ),
  }
}

function streamRows(federation: Federation, clock: Clock): SessionRow[] {
  const since = (ms: number): string => new Date(clock.date().getTime() - ms).toISOString()
  const incoming = federation.incoming.rows().map(
    (row): SessionRow => ({
      id: row.id,
      kind: 's2s-in',
      subject: `${row.remote} → ${row.local}`,
      address: row.address,
      connected: since(row.connectedMs),
      state:
        row.proofs.length > 0
          ? `proven: ${row.proofs.join(', ')}; ${row.tls || 'no TLS'}`
          : `nothing proven; ${row.tls || 'no TLS'}`,
    }),
  )
  const outgoing = federation.outgoing.rows().map((row): SessionRow => {
    const waiting = row.waiting > 0 ? `; ${row.waiting} waiting` : ''
    const failure = row.lastFailure !== '' && row.state !== 'established' ? `; last: ${row.lastFailure}` : ''
    const proof = row.proof === '' ? '' : ` by ${row.proof}; ${row.tls || 'no TLS'}`
    const rest = row.restMs > 0 ? `; next try in ${Math.ceil(row.restMs / 1000)} s` : ''
    return {
      id: row.id,
      kind: 's2s-out',
      subject: `${row.local} → ${row.remote}`,
      address: row.address,
      connected: row.id === '' ? '' : since(row.connectedMs),
      state: `${row.state}${proof}${waiting}${rest}${failure}`,
    }
  })
  return [...incoming, ...outgoing]
}

function queueRows(federation: Federation): QueueRow[] {
  return federation.outgoing
    .rows()
    .filter(({ waiting, restMs }) => waiting > 0 || restMs > 0)
    .map(row => ({
      pair: `${row.local} → ${row.remote}`,
      state: row.state,
      waiting: row.waiting,
      bytes: row.waitingBytes,
      oldestMs: Math.round(row.oldestMs),
      reason:
        row.state === 'established' ? 'the peer reads too slowly' : row.lastFailure || 'the first attempt is under way',
      nextTryMs: Math.round(row.restMs),
      mends: row.state === 'established' ? 'their admin' : row.mends,
    }))
}

function ximssRows(listener: XimssListener): SessionRow[] {
  return listener.snapshot().map(
    (row): SessionRow => ({
      id: `XIMSS-${String(row.id).padStart(5, '0')}`,
      kind: 'ximss',
      subject: row.account,
      address: row.address,
      connected: row.connectedSince.toISOString(),
      state: row.status,
    }),
  )
}
