import type { Migration } from '../migrate.js'

/** Permission entries for remote domains. */
export const permissions: Migration = {
  version: 2,
  up: async db => {
    await db.schema
      .createTable('permissions')
      .addColumn('pattern', 'text', column => column.notNull())
      .addColumn('direction', 'text', column => column.notNull())
      .addColumn('action', 'text', column => column.notNull())
      .addColumn('tls', 'text')
      .addColumn('proof', 'text')
      .addColumn('strict', 'integer')
      .addColumn('reason', 'text', column => column.notNull())
      .addColumn('expires_at', 'text')
      .addColumn('changed_at', 'text', column => column.notNull())
      .addPrimaryKeyConstraint('permissions_pk', ['pattern', 'direction'])
      .execute()
  },
}
