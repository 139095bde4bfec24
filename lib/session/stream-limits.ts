import type { StreamLimits } from '../negotiation/features.js'
import type { TokenizerLimits } from '../xml/token.js'
import type { SessionSettings } from './context.js'

const KIB = 1024

/** Bounds on a stream of which nothing is proven: it may say little, and that little counts in all. */
export function limitsBeforeProof({ unauthenticatedBytes }: SessionSettings): TokenizerLimits {
  return {
    streamBytes: unauthenticatedBytes,
    elementBytes: unauthenticatedBytes,
    skippedBytes: unauthenticatedBytes,
    startTagBytes: 4 * KIB,
    attributes: 32,
    declarations: 16,
    depth: 8,
    elements: 64,
    streamElements: 64,
  }
}

/** How much larger than the limit a stanza may be so that it is read over and answered, and the stream kept. */
const SKIPPED_FACTOR = 8

/** Bounds on a stream with a proven pair. */
export function limitsAfterProof({ stanzaBytes }: SessionSettings): TokenizerLimits {
  return {
    streamBytes: Number.POSITIVE_INFINITY,
    elementBytes: stanzaBytes,
    skippedBytes: SKIPPED_FACTOR * stanzaBytes,
    startTagBytes: 32 * KIB,
    attributes: 256,
    declarations: 64,
    depth: 128,
    elements: 16_384,
    streamElements: Number.POSITIVE_INFINITY,
  }
}

/** What we tell a peer of the limits on what it sends; undefined when nothing is told (XEP-0478 §3.1). */
export function announcedLimits({ limitsHidden, stanzaBytes, idleMs }: SessionSettings): StreamLimits | undefined {
  if (limitsHidden) return undefined
  // That it is never closed is said by saying nothing.
  const idleSeconds = Math.floor(idleMs / 1000)
  return { maxBytes: stanzaBytes, ...(Number.isFinite(idleSeconds) && idleSeconds > 0 && { idleSeconds }) }
}

/** How long before a peer's idle time is over we close ourselves, at most; in milliseconds. */
const IDLE_MARGIN_MS = 5000

/** When a stream counts as idle: our own time, or shortly before that of the peer, so that the two closes do not cross. */
export function idleTime(ownMs: number, { idleSeconds }: StreamLimits = {}): number {
  if (idleSeconds === undefined) return ownMs
  const theirsMs = idleSeconds * 1000
  return Math.min(ownMs, theirsMs - Math.min(IDLE_MARGIN_MS, theirsMs / 4))
}
