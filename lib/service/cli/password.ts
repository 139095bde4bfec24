import type { Readable } from 'node:stream'
import { CliFailure, type CliIo } from './io.js'

/** Longest password line that is read. */
const MOST_BYTES = 4_096

const ENTER = /[\r\n]/
const INTERRUPT = '\u0003'
const END_OF_INPUT = '\u0004'
const ERASE = new Set(['\u007f', '\b'])
const ERASE_LINE = '\u0015'

/** A password from the terminal, asked for twice and not shown; from standard input, its first line, when that is no terminal. */
export async function readPassword(io: CliIo): Promise<string> {
  const { input } = io
  if (!input.isTTY || !input.setRawMode) return nonEmpty(await firstLine(input))
  const password = nonEmpty(await fromTerminal(io, 'Password: '))
  if ((await fromTerminal(io, 'Once more: ')) !== password)
    throw new CliFailure('the two passwords differ, nothing was changed')
  return password
}

async function firstLine(input: Readable): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of input) {
    const chunk = Buffer.from(part)
    parts.push(chunk)
    bytes += chunk.length
    if (chunk.includes(0x0a) || bytes > MOST_BYTES) break
  }
  const all = Buffer.concat(parts)
  const end = all.indexOf(0x0a)
  const line = end === -1 ? all : all.subarray(0, end)
  if (line.length > MOST_BYTES) throw new CliFailure(`the password is longer than ${MOST_BYTES} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(line).replace(/\r$/, '')
  } catch {
    throw new CliFailure('the password is not UTF-8')
  }
}

/** Reads keys until Enter. The terminal is in raw mode meanwhile, so that it shows nothing. */
function fromTerminal({ input, errors }: CliIo, prompt: string): Promise<string> {
  errors.write(prompt)
  input.setRawMode?.(true)
  const decoder = new TextDecoder()
  return new Promise<string>((resolve, reject) => {
    let typed: string[] = []
    const finish = (settle: () => void): void => {
      input.off('data', take).off('end', stop)
      input.pause()
      input.setRawMode?.(false)
      errors.write('\n')
      settle()
    }
    const stop = (): void => finish(() => reject(new CliFailure('cancelled, nothing was changed')))
    const take = (chunk: Buffer): void => {
      for (const character of decoder.decode(chunk, { stream: true })) {
        if (ENTER.test(character)) {
          finish(() => resolve(typed.join('')))
          return
        }
        if (character === INTERRUPT || character === END_OF_INPUT) {
          stop()
          return
        }
        if (ERASE.has(character)) typed.pop()
        else if (character === ERASE_LINE) typed = []
        else if (typed.length < MOST_BYTES) typed.push(character)
      }
    }
    input.on('data', take).once('end', stop).resume()
  })
}

function nonEmpty(password: string): string {
  if (password === '') throw new CliFailure('the password is empty, nothing was changed')
  return password
}
