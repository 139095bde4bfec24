const SPAN = /^(\d{1,6})(m|h|d|w)$/
const MOMENT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?Z)?$/

const MINUTE_MS = 60_000
const UNITS_MS: Readonly<Record<string, number>> = {
  m: MINUTE_MS,
  h: 60 * MINUTE_MS,
  d: 24 * 60 * MINUTE_MS,
  w: 7 * 24 * 60 * MINUTE_MS,
}

/**
 * When something ends that is to last for a span (`45m`, `12h`, `30d`, `2w`) or until a moment (`2030-12-31` is the beginning of that day
 * in UTC, `2030-12-31T12:00:00Z`). Undefined for other texts and for what is over already.
 */
export function readExpiry(text: string, now: Date): Date | undefined {
  const written = text.trim()
  const [, count, unit = ''] = SPAN.exec(written) ?? []
  if (count !== undefined) {
    const span = Number(count) * (UNITS_MS[unit] ?? 0)
    return span > 0 ? new Date(now.getTime() + span) : undefined
  }
  if (!MOMENT.test(written)) return undefined
  const moment = new Date(written)
  // There is no 30 February, and the next day was not meant.
  const isReal = !Number.isNaN(moment.getTime()) && moment.toISOString().startsWith(written.slice(0, 10))
  return isReal && moment > now ? moment : undefined
}
