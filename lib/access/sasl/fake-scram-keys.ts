import { createHmac } from 'node:crypto'
import type { AccountName } from '../../store/accounts.js'
import {
  SALT_BYTES,
  SCRAM_HASH_BYTES,
  SCRAM_ITERATIONS,
  type ScramKeys,
  type ScramMechanism,
} from '../../store/scram-keys.js'

/**
 * Keys for an account that does not exist: the same salt each time it is asked for, as a real account has, and another one for each
 * name, so that the challenge does not tell whether the account exists (RFC 5802 §9). No password fits them.
 *
 * @param name the account meant, or the text given when it can mean none.
 */
export function fakeScramKeys(mechanism: ScramMechanism, secret: string, name: AccountName | string): ScramKeys {
  const parts = typeof name === 'string' ? [name] : [name.local, name.domain]
  const derive = (purpose: string): Buffer =>
    createHmac('sha256', secret)
      .update(JSON.stringify([purpose, mechanism, ...parts]))
      .digest()
  const octets = SCRAM_HASH_BYTES[mechanism]
  return {
    salt: derive('salt').subarray(0, SALT_BYTES),
    iterations: SCRAM_ITERATIONS[mechanism],
    storedKey: derive('stored key').subarray(0, octets),
    serverKey: derive('server key').subarray(0, octets),
  }
}
