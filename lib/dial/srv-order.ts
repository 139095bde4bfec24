/** Anything that is chosen by the numbers of an SRV record. */
export interface Weighted {
  readonly priority: number
  readonly weight: number
}

/**
 * Groups by priority, lowest first; within a group drawn by weight (RFC 2782, "Weight"): those of weight 0 stand first in
 * the running sum, so that they have a very small chance. `random` gives numbers from 0 up to, not including, 1.
 */
export function inSrvOrder<T extends Weighted>(records: readonly T[], random: () => number): readonly (readonly T[])[] {
  const priorities = [...new Set(records.map(record => record.priority))].sort((a, b) => a - b)
  return priorities.map(priority => {
    const left = records
      .filter(record => record.priority === priority)
      .sort((a, b) => Math.sign(a.weight) - Math.sign(b.weight))
    const drawn: T[] = []
    while (left.length > 0) drawn.push(...left.splice(draw(left, random), 1))
    return drawn
  })
}

function draw(records: readonly Weighted[], random: () => number): number {
  const total = records.reduce((sum, record) => sum + record.weight, 0)
  let left = Math.floor(random() * (total + 1))
  return records.findIndex(({ weight }) => {
    const isChosen = left <= weight
    left -= weight
    return isChosen
  })
}
