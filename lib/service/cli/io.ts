import type { Readable } from 'node:stream'

/** Standard input, perhaps a terminal. */
export type PasswordInput = Readable & { readonly isTTY?: boolean | undefined; setRawMode?: (raw: boolean) => unknown }

/** Where text goes. */
export interface TextOutput {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
}

/** What a command has to do with the outside. */
export interface CliIo {
  readonly input: PasswordInput
  readonly output: TextOutput
  readonly errors: TextOutput
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A command could not do what it was asked for; the text is for the person who asked. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure'
}
