import { isRightToLeft, obeysBidiRule } from './bidi.js'
import { isFreeform, isIdentifier } from './classes.js'
import { mapWidth, toLower } from './mapping.js'

/** RFC 8264 §7: rules are applied until nothing changes; what has not settled after this many rounds is refused. */
const MOST_ROUNDS = 4

/**
 * Enforces the UsernameCaseMapped profile (RFC 8265 §3.3): width mapping, lower case, NFC, Bidi Rule, IdentifierClass.
 * `undefined` when the text does not conform. Bounding the length is the caller's.
 */
export function enforceUsername(text: string): string | undefined {
  const username = settle(text, round => toLower(mapWidth(round)).normalize('NFC'))
  if (username === undefined || !isIdentifier(username)) return undefined
  return isRightToLeft(username) && !obeysBidiRule(username) ? undefined : username
}

/**
 * Enforces the OpaqueString profile (RFC 8265 §4.2): other spaces become U+0020, NFC, FreeformClass; case is kept.
 * `undefined` when the text does not conform. Bounding the length is the caller's.
 */
export function enforceOpaque(text: string): string | undefined {
  const opaque = settle(text, round => round.replace(/\p{Zs}/gu, ' ').normalize('NFC'))
  return opaque !== undefined && isFreeform(opaque) ? opaque : undefined
}

function settle(text: string, rules: (round: string) => string): string | undefined {
  let settled = text
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const next = rules(settled)
    if (next === settled) return settled
    settled = next
  }
  return undefined
}
