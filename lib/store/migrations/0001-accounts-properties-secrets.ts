import type { Migration } from '../migrate.js'

/** Accounts with their SCRAM keys, stored properties, secrets of the installation. */
export const accountsPropertiesSecrets: Migration = {
  version: 1,
  up: async db => {
    await db.schema
      .createTable('accounts')
      .addColumn('domain', 'text', column => column.notNull())
      .addColumn('local', 'text', column => column.notNull())
      .addColumn('created_at', 'text', column => column.notNull())
      .addColumn('password_changed_at', 'text', column => column.notNull())
      .addPrimaryKeyConstraint('accounts_pk', ['domain', 'local'])
      .execute()
    await db.schema
      .createTable('scram_keys')
      .addColumn('domain', 'text', column => column.notNull())
      .addColumn('local', 'text', column => column.notNull())
      .addColumn('mechanism', 'text', column => column.notNull())
      .addColumn('salt', 'text', column => column.notNull())
      .addColumn('iterations', 'integer', column => column.notNull())
      .addColumn('stored_key', 'text', column => column.notNull())
      .addColumn('server_key', 'text', column => column.notNull())
      .addPrimaryKeyConstraint('scram_keys_pk', ['domain', 'local', 'mechanism'])
      .addForeignKeyConstraint('scram_keys_account', ['domain', 'local'], 'accounts', ['domain', 'local'], constraint =>
        constraint.onDelete('cascade'),
      )
      .execute()
    await db.schema
      .createTable('properties')
      .addColumn('key', 'text', column => column.primaryKey().notNull())
      .addColumn('value', 'text', column => column.notNull())
      .addColumn('changed_at', 'text', column => column.notNull())
      .execute()
    await db.schema
      .createTable('secrets')
      .addColumn('name', 'text', column => column.primaryKey().notNull())
      .addColumn('value', 'text', column => column.notNull())
      .execute()
  },
}
