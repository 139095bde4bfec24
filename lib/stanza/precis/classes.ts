import { contextRulesHold } from './context.js'

// RFC 8264 §9 and RFC 5892 §2 sort code points by rules tried in order. Here each class is two patterns over the whole
// text, one for what may stand in it and one for what may not, so that the cost does not depend on the number of rules.
// Unassigned code points, surrogates, private use and controls are in no list of what may stand, hence refused.

const LETTERS_AND_DIGITS = '\\p{Ll}\\p{Lu}\\p{Lo}\\p{Nd}\\p{Lm}\\p{Mn}\\p{Mc}'
const OTHER_LETTERS_AND_DIGITS = '\\p{Lt}\\p{Nl}\\p{No}\\p{Me}'
const SPACES_SYMBOLS_PUNCTUATION = '\\p{Zs}\\p{S}\\p{P}'
/** Exceptions (RFC 5892 §2.6) that are valid, or valid in context, without being letters or digits; and join controls. */
const ADMITTED = '\\u00B7\\u0375\\u05F3\\u05F4\\u06FD\\u06FE\\u0F0B\\u200C\\u200D\\u3007\\u30FB'
/** Exceptions that are disallowed. */
const EXCEPTED = '\\u0640\\u07FA\\u302E\\u302F\\u3031-\\u3035\\u303B'
/** Hangul_Syllable_Type L, V and T: conjoining jamo that make up no modern syllable. */
const OLD_HANGUL_JAMO = '\\u1100-\\u11FF\\uA960-\\uA97C\\uD7B0-\\uD7C6\\uD7CB-\\uD7FB'
/** RFC 5892 §2.4: symbols for combining marks and music. */
const IGNORABLE_BLOCKS = '\\u20D0-\\u20FF\\u{1D100}-\\u{1D24F}'

const NEVER = new RegExp(`(?![\\u200C\\u200D])[${EXCEPTED}${OLD_HANGUL_JAMO}\\p{Default_Ignorable_Code_Point}]`, 'u')
const IDENTIFIER = new RegExp(`^[!-~${ADMITTED}${LETTERS_AND_DIGITS}]+$`, 'u')
const FREEFORM = new RegExp(
  `^[${ADMITTED}${LETTERS_AND_DIGITS}${OTHER_LETTERS_AND_DIGITS}${SPACES_SYMBOLS_PUNCTUATION}]+$`,
  'u',
)
const LABEL = new RegExp(`^[-${ADMITTED}${LETTERS_AND_DIGITS}]+$`, 'u')
/** What case folding or compatibility mapping would change is disallowed in a label (RFC 5892 §2.2), save sharp s and final sigma. */
const UNSTABLE = new RegExp(
  `(?![\\u00DF\\u03C2\\u200C\\u200D])[\\p{Changes_When_NFKC_Casefolded}\\p{White_Space}${IGNORABLE_BLOCKS}]`,
  'u',
)

/** True when `text`, which must be in NFC, is a non-empty string of the IdentifierClass (RFC 8264 §4.2). */
export function isIdentifier(text: string): boolean {
  return IDENTIFIER.test(text) && !NEVER.test(text) && text.normalize('NFKC') === text && contextRulesHold(text)
}

/** True when `text`, which must be in NFC, is a non-empty string of the FreeformClass (RFC 8264 §4.3). */
export function isFreeform(text: string): boolean {
  return FREEFORM.test(text) && !NEVER.test(text) && contextRulesHold(text)
}

/**
 * True when `text`, which must be in NFC, holds only what RFC 5892 admits to a U-label or an NR-LDH label, and begins and
 * ends as RFC 5891 §4.2.3 demands. Length and the Bidi Rule, which need the whole name, are the caller's.
 */
export function isLabel(text: string): boolean {
  if (!LABEL.test(text) || NEVER.test(text) || UNSTABLE.test(text)) return false
  return !/^(?:-|..--|\p{M})|-$/u.test(text) && contextRulesHold(text)
}
