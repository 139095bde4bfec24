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
