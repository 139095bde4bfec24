import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** What a dialback key is bound to: all three, so that no key is good anywhere else (XEP-0185). Names in canonical form. */
export interface KeyScope {
  /** The domain that the initiating entity wants to talk to. */
  readonly receiving: string
  /** The domain that is to be proven. */
  readonly originating: string
  /** The id that the receiving entity put on its stream header. */
  readonly streamId: string
}

/** The key that proves `originating` on one stream (XEP-0185 §3). The hashed secret enters as its hexadecimal text. */
export function dialbackKey(secret: string, { receiving, originating, streamId }: KeyScope): string {
  const inner = createHash('sha256').update(secret).digest('hex')
  return createHmac('sha256', inner).update(`${receiving} ${originating} ${streamId}`).digest('hex')
}

/** Whether `key` is the key for the scope under one of the secrets; takes the same time whatever the difference. */
export function isDialbackKey(key: string, secrets: readonly string[], scope: KeyScope): boolean {
  const given = digest(key)
  let matches = false
  for (const secret of secrets) {
    // Every secret is tried, so that the time does not tell which one matched.
    if (timingSafeEqual(given, digest(dialbackKey(secret, scope)))) matches = true
  }
  return matches
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
