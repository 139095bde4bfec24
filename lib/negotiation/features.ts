import type { Element } from '../xml/element.js'
import { childNamed, childrenNamed, textOf } from '../xml/element.js'
import { NS_DIALBACK_FEATURE, NS_SASL, NS_STREAM_LIMITS, NS_TLS } from '../xml/namespaces.js'

/** What the receiver of a stream announces that it will take (XEP-0478 §3.1); what it does not name is undefined. */
export interface StreamLimits {
  /** Most bytes of one first-level element. */
  readonly maxBytes?: number
  /** After so many seconds without traffic the stream may be closed. */
  readonly idleSeconds?: number
}

/** The stream features that decide how a pair is proven and what the stream carries, as plain values (RFC 6120 §4.3.2). */
export interface Features {
  readonly starttls?: { readonly required: boolean }
  readonly mechanisms?: readonly string[]
  /** Dialback as a feature (XEP-0220 §2.3.2); `errors`: refusals come as errors and leave the stream alone (§2.4). */
  readonly dialback?: { readonly errors: boolean }
  readonly limits?: StreamLimits
}

const MOST_MECHANISMS = 20
/** No server may refuse stanzas up to this size (RFC 6120 §13.12): an announced limit below it is a mistake. */
const LEAST_MAX_BYTES = 10_000

export function readFeatures(features: Element): Features {
  const starttls = childNamed(features, 'starttls', NS_TLS)
  const mechanisms = childNamed(features, 'mechanisms', NS_SASL)
  const dialback = childNamed(features, 'dialback', NS_DIALBACK_FEATURE)
  const limits = childNamed(features, 'limits', NS_STREAM_LIMITS)
  return {
    ...(starttls && { starttls: { required: childNamed(starttls, 'required', NS_TLS) !== undefined } }),
    ...(mechanisms && {
      mechanisms: childrenNamed(mechanisms, 'mechanism', NS_SASL)
        .slice(0, MOST_MECHANISMS)
        .map(mechanism => textOf(mechanism).trim()),
    }),
    ...(dialback && { dialback: { errors: childNamed(dialback, 'errors', NS_DIALBACK_FEATURE) !== undefined } }),
    ...(limits && { limits: readLimits(limits) }),
  }
}

/** Anything but a positive whole number counts as not said. */
function readLimits(limits: Element): StreamLimits {
  const number = (name: string): number | undefined => {
    const child = childNamed(limits, name, NS_STREAM_LIMITS)
    const digits = child === undefined ? '' : textOf(child).trim()
    return /^\d{1,15}$/.test(digits) && Number(digits) > 0 ? Number(digits) : undefined
  }
  const maxBytes = number('max-bytes')
  const idleSeconds = number('idle-seconds')
  return {
    ...(maxBytes !== undefined && { maxBytes: Math.max(maxBytes, LEAST_MAX_BYTES) }),
    ...(idleSeconds !== undefined && { idleSeconds }),
  }
}

export function writeFeatures({ starttls, mechanisms, dialback, limits }: Features): string {
  const parts: string[] = []
  if (starttls) parts.push(`<starttls xmlns='${NS_TLS}'>${starttls.required ? '<required/>' : ''}</starttls>`)
  if (mechanisms) {
    const names = mechanisms.map(name => `<mechanism>${name}</mechanism>`).join('')
    parts.push(`<mechanisms xmlns='${NS_SASL}'>${names}</mechanisms>`)
  }
  if (dialback) parts.push(`<dialback xmlns='${NS_DIALBACK_FEATURE}'>${dialback.errors ? '<errors/>' : ''}</dialback>`)
  if (limits) {
    const { maxBytes, idleSeconds } = limits
    const bytes = maxBytes === undefined ? '' : `<max-bytes>${maxBytes}</max-bytes>`
    const idle = idleSeconds === undefined ? '' : `<idle-seconds>${idleSeconds}</idle-seconds>`
    parts.push(`<limits xmlns='${NS_STREAM_LIMITS}'>${bytes}${idle}</limits>`)
  }
  return `<stream:features>${parts.join('')}</stream:features>`
}
