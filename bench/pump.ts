import { Sequence } from './sequence.js'
import type { Path } from './setting.js'

export interface PumpOptions {
  readonly first: number
  readonly count: number
  /** Most messages sent and not yet received. */
  readonly window: number
  /** Messages per write. */
  readonly batch: number
}

const STALLED_MS = 10_000

/** Sends messages along a path until all have come out. Rejects when one is lost, doubled, reordered or comes out elsewhere. */
export async function pump(path: Path, { first, count, window, batch }: PumpOptions): Promise<void> {
  const { entrance, exit, others, batches, isAnswered } = path
  const messages = new Sequence(first, count)
  const responses = new Sequence(first, isAnswered ? count : 0)
  const wires = new Set([entrance, exit, ...others])
  let sent = 0
  const refill = (): void => {
    while (sent < count && sent - messages.received <= window - batch) {
      const many = Math.min(batch, count - sent)
      entrance.write(batches.make(first + sent, many))
      sent += many
    }
  }
  let watch: NodeJS.Timeout | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      let before = -1
      watch = setInterval(() => {
        const now = messages.received + responses.received
        if (now === before) reject(new Error(`${path.direction}: nothing came for ${STALLED_MS} ms`))
        before = now
      }, STALLED_MS)
      const finish = (): void => {
        if (messages.complete && responses.complete) resolve()
      }
      for (const wire of wires) wire.onEnd = reject
      exit.onMessage = number => {
        messages.take(number)
        refill()
        finish()
      }
      entrance.onResponse = number => {
        responses.take(number)
        finish()
      }
      refill()
    })
  } catch (error) {
    throw new Error(`${(error as Error).message}; ${messages.fault ?? 'all messages came'}`, { cause: error })
  } finally {
    clearInterval(watch)
    for (const wire of wires) wire.onEnd = undefined
    exit.onMessage = undefined
    entrance.onResponse = undefined
  }
  const strays = [...wires].reduce((sum, wire) => sum + wire.strays, 0)
  const astray = strays > 0 ? `${strays} came out where none belongs` : undefined
  const fault = messages.fault ?? responses.fault ?? astray
  if (fault !== undefined) throw new Error(`${path.direction}: ${fault}`)
}
