import { RunTable } from './run-table.js'
import { JOINING_TYPES, VIRAMAS } from './tables.generated.js'

const joiningTypes = new RunTable(JOINING_TYPES)
const viramas = new RunTable(VIRAMAS)

const NEEDS_CONTEXT = /[\u00B7\u0375\u05F3\u05F4\u0660-\u0669\u06F0-\u06F9\u30FB]|\u200C|\u200D/u

/**
 * The contextual rules of RFC 5892 appendix A, which PRECIS shares (RFC 8264 §9.6, CONTEXTJ and CONTEXTO): true when every
 * character that is valid only in some surroundings stands in them.
 */
export function contextRulesHold(text: string): boolean {
  if (!NEEDS_CONTEXT.test(text)) return true
  // A.8, A.9: the two sets of Arabic digits never meet.
  if (/[\u0660-\u0669]/u.test(text) && /[\u06F0-\u06F9]/u.test(text)) return false
  // A.7: the Katakana middle dot needs Japanese text somewhere.
  if (text.includes('\u30FB') && !/[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u.test(text)) return false
  const characters = [...text]
  return characters.every((character, index) => {
    const before = characters[index - 1] ?? ''
    const after = characters[index + 1] ?? ''
    switch (character) {
      case '\u200C':
        return isVirama(before) || joins(characters, index)
      case '\u200D':
        return isVirama(before)
      case '\u00B7':
        return before === 'l' && after === 'l'
      case '\u0375':
        return /\p{Script=Greek}/u.test(after)
      case '\u05F3':
      case '\u05F4':
        return /\p{Script=Hebrew}/u.test(before)
      default:
        return true
    }
  })
}

function isVirama(character: string): boolean {
  return character !== '' && viramas.letterOf(character.codePointAt(0) ?? 0) === 'V'
}

/** A.1: (Joining_Type L or D) T* ZWNJ T* (Joining_Type R or D). */
function joins(characters: readonly string[], index: number): boolean {
  return /[LD]/.test(nextJoiningType(characters, index, -1)) && /[RD]/.test(nextJoiningType(characters, index, 1))
}

function nextJoiningType(characters: readonly string[], from: number, step: 1 | -1): string {
  for (let at = from + step; ; at += step) {
    const character = characters[at]
    if (character === undefined) return ''
    const type = joiningTypes.letterOf(character.codePointAt(0) ?? 0)
    if (type !== 'T') return type
  }
}
