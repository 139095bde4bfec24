import type { Migration } from '../migrate.js'
import { accountsPropertiesSecrets } from './0001-accounts-properties-secrets.js'
import { permissions } from './0002-permissions.js'

/** Every step of the schema, in order. */
export const MIGRATIONS: readonly Migration[] = [accountsPropertiesSecrets, permissions]
