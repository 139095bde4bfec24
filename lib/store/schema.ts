/**
 * The tables as the newest migration leaves them.
 *
 * Only text and integer columns, so that SQLite and PostgreSQL hand back the same values: moments are ISO 8601 in UTC, keys are Base64.
 */
export interface Schema {
  schema_version: SchemaVersionTable
  accounts: AccountsTable
  scram_keys: ScramKeysTable
  properties: PropertiesTable
  secrets: SecretsTable
  permissions: PermissionsTable
}

/** One row, `id` 1. */
export interface SchemaVersionTable {
  id: number
  version: number
  changed_at: string
}

export interface AccountsTable {
  local: string
  domain: string
  created_at: string
  password_changed_at: string
}

/** One row per account and mechanism; goes with its account. */
export interface ScramKeysTable {
  local: string
  domain: string
  mechanism: string
  salt: string
  iterations: number
  stored_key: string
  server_key: string
}

export interface PropertiesTable {
  key: string
  /** JSON text. */
  value: string
  changed_at: string
}

export interface SecretsTable {
  name: string
  value: string
}

/** One row per pattern and direction; what is null the general settings decide. */
export interface PermissionsTable {
  pattern: string
  direction: string
  action: string
  tls: string | null
  proof: string | null
  /** 0 or 1. */
  strict: number | null
  reason: string
  expires_at: string | null
  changed_at: string
}
