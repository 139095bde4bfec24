import type { Identity } from '../spec/peers/surroundings.js'
import type { LocalUser } from './users.js'

/** What a server under test is started with. */
export interface ServerRequest {
  readonly domain: string
  readonly user: string
  readonly password: string
  readonly identity: Identity
  /** The name server on 127.0.0.1 that it asks. */
  readonly dnsPort: number
  /** Whether it gets a processor of its own. */
  readonly pin: boolean
}

/** A server that runs as a process of its own. */
export interface ServerUnderTest {
  readonly name: string
  readonly pid: number
  readonly domain: string
  readonly host: string
  readonly s2sPort: number
  logIn(): Promise<LocalUser>
  stop(): Promise<void>
}
