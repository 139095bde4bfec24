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
