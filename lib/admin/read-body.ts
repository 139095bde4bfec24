import type { IncomingMessage } from 'node:http'

/** The whole body as text; undefined, with the rest unread, when it is longer than `mostBytes`. Rejects when the connection is cut. */
export async function readBody(message: IncomingMessage, mostBytes: number): Promise<string | undefined> {
  const parts: Buffer[] = []
  let bytes = 0
  return new Promise((resolve, reject) => {
    message.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes <= mostBytes) {
        parts.push(part)
        return
      }
      message.pause()
      resolve(undefined)
    })
    message.once('end', () => resolve(Buffer.concat(parts).toString()))
    message.once('error', reject)
  })
}
