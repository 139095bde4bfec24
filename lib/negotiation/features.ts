import type { Element } from '../xml/element.js'
import { childNamed, childrenOf, localNameOf, namespaceOf, textOf } from '../xml/element.js'
import { NS_DIALBACK_FEATURE, NS_SASL, NS_TLS } from '../xml/namespaces.js'

/** The stream features that decide how a pair is proven, as plain values (RFC 6120 §4.3.2). */
export interface Features {
  readonly starttls?: { readonly required: boolean }
  readonly mechanisms?: readonly string[]
  /** Dialback as a feature (XEP-0220 §2.3.2); `errors`: refusals come as errors and leave the stream alone (§2.4). */
  readonly dialback?: { readonly errors: boolean }
}

const MOST_MECHANISMS = 20

export function readFeatures(features: Element): Features {
  const starttls = childNamed(features, 'starttls', NS_TLS)
  const mechanisms = childNamed(features, 'mechanisms', NS_SASL)
  const dialback = childNamed(features, 'dialback', NS_DIALBACK_FEATURE)
  return {
    ...(starttls && { starttls: { required: childNamed(starttls, 'required', NS_TLS) !== undefined } }),
    ...(mechanisms && {
      mechanisms: childrenOf(mechanisms)
        .filter(child => localNameOf(child) === 'mechanism' && namespaceOf(child) === NS_SASL)
        .slice(0, MOST_MECHANISMS)
        .map(mechanism => textOf(mechanism).trim()),
    }),
    ...(dialback && { dialback: { errors: childNamed(dialback, 'errors', NS_DIALBACK_FEATURE) !== undefined } }),
  }
}

export function writeFeatures({ starttls, mechanisms, dialback }: Features): string {
  const parts: string[] = []
  if (starttls) parts.push(`<starttls xmlns='${NS_TLS}'>${starttls.required ? '<required/>' : ''}</starttls>`)
  if (mechanisms) {
    const names = mechanisms.map(name => `<mechanism>${name}</mechanism>`).join('')
    parts.push(`<mechanisms xmlns='${NS_SASL}'>${names}</mechanisms>`)
  }
  if (dialback) parts.push(`<dialback xmlns='${NS_DIALBACK_FEATURE}'>${dialback.errors ? '<errors/>' : ''}</dialback>`)
  return `<stream:features>${parts.join('')}</stream:features>`
}
