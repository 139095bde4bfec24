/** The units a duration may be written in. */
export type DurationUnit = 'ms' | 's' | 'm' | 'h'

const MILLISECONDS: Readonly<Record<DurationUnit, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

const WORDS: Readonly<Record<DurationUnit, string>> = { ms: 'milliseconds', s: 'seconds', m: 'minutes', h: 'hours' }

const WRITTEN = /^(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h)?$/

/** The unit as a word, for people. */
export function unitName(unit: DurationUnit): string {
  return WORDS[unit]
}

/** Milliseconds of a number that counts `unit`, or of a text such as `250ms`, `30s`, `5m`, `2h`; undefined when it is neither. */
export function parseDuration(written: number | string, unit: DurationUnit): number | undefined {
  if (typeof written === 'number') return toMilliseconds(written, unit)
  const match = WRITTEN.exec(written.trim())
  if (!match) return undefined
  return toMilliseconds(Number(match[1]), (match[2] as DurationUnit | undefined) ?? unit)
}

/** The shortest text with a unit that `parseDuration` reads back as the same number of milliseconds. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  for (const unit of ['h', 'm', 's'] as const)
    if (ms % MILLISECONDS[unit] === 0) return `${ms / MILLISECONDS[unit]}${unit}`
  return `${ms}ms`
}

function toMilliseconds(count: number, unit: DurationUnit): number | undefined {
  const ms = Math.round(count * MILLISECONDS[unit])
  return Number.isSafeInteger(ms) && ms >= 0 ? ms : undefined
}
