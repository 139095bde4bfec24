import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { saslprep } from '@mongodb-js/saslprep'

/** The mechanisms that keys are kept for (RFC 5802, RFC 7677). */
export type ScramMechanism = 'SCRAM-SHA-256' | 'SCRAM-SHA-1'

/** Strongest first. */
export const SCRAM_MECHANISMS: readonly ScramMechanism[] = ['SCRAM-SHA-256', 'SCRAM-SHA-1']

/** What is kept in place of a password for one mechanism (RFC 5802 §3): it proves a login, and cannot be used to log in. */
export interface ScramKeys {
  readonly salt: Buffer
  readonly iterations: number
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** The keys of one account. */
export type ScramCredentials = Readonly<Partial<Record<ScramMechanism, ScramKeys>>>

/** The hash function of each mechanism. */
export const SCRAM_HASH: Readonly<Record<ScramMechanism, 'sha256' | 'sha1'>> = {
  'SCRAM-SHA-256': 'sha256',
  'SCRAM-SHA-1': 'sha1',
}

/** Octets that the hash function of each mechanism yields. */
export const SCRAM_HASH_BYTES: Readonly<Record<ScramMechanism, number>> = { 'SCRAM-SHA-256': 32, 'SCRAM-SHA-1': 20 }

/** Iterations for new keys: RFC 7677 §4 and RFC 5802 §5.1 ask for at least 4096. Accounts that do not exist claim the same. */
export const SCRAM_ITERATIONS: Readonly<Record<ScramMechanism, number>> = {
  'SCRAM-SHA-256': 10_000,
  'SCRAM-SHA-1': 4096,
}

/** Octets of a salt. */
export const SALT_BYTES = 16

/** Longest password in octets of UTF-8; hashing a longer one would only cost time. */
const MOST_PASSWORD_BYTES = 1024

const pbkdf2Async = promisify(pbkdf2)

/**
 * The password as "stored string" of SASLprep (RFC 4013, RFC 5802 §2.2); `undefined` when it is empty, longer than 1024 octets, or
 * holds characters that the profile forbids (controls, characters unassigned in Unicode 3.2, mixed directions).
 */
export function preparePassword(password: string): string | undefined {
  if (Buffer.byteLength(password) > MOST_PASSWORD_BYTES) return undefined
  try {
    return saslprep(password) || undefined
  } catch {
    return undefined
  }
}

/** The keys for a prepared password (RFC 5802 §3), computed off the main thread: some milliseconds. */
export async function deriveScramKeys(
  mechanism: ScramMechanism,
  preparedPassword: string,
  salt: Buffer = randomBytes(SALT_BYTES),
  iterations: number = SCRAM_ITERATIONS[mechanism],
): Promise<ScramKeys> {
  const hash = SCRAM_HASH[mechanism]
  const salted = await pbkdf2Async(preparedPassword, salt, iterations, SCRAM_HASH_BYTES[mechanism], hash)
  const clientKey = createHmac(hash, salted).update('Client Key').digest()
  return {
    salt,
    iterations,
    storedKey: createHash(hash).update(clientKey).digest(),
    serverKey: createHmac(hash, salted).update('Server Key').digest(),
  }
}
