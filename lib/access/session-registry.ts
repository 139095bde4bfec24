/** What an admin sees of one live session. */
export interface SessionRow {
  readonly id: number
  /** Address of the client's end of the connection. */
  readonly address: string
  /** Bare JID, empty before login. */
  readonly account: string
  readonly connectedSince: Date
  /** The operation that runs, or the state of the session while none does. */
  readonly status: string
  readonly runningSince: Date | undefined
}

/** A session as its registry knows it. */
export interface RegisteredSession {
  row(): SessionRow
  /** Ends the session; `text` is told to the client. May be called twice. */
  close(text: string): void
}

/** The live sessions of one access protocol, numbered from 1, for admins to see and to end. At most `most` at a time. */
export class SessionRegistry {
  /** Most sessions at a time; lowering it ends nobody. */
  most: number
  readonly #sessions = new Map<number, RegisteredSession>()
  #lastId = 0
  #whenEmpty: (() => void)[] = []

  constructor(most: number) {
    this.most = most
  }

  get size(): number {
    return this.#sessions.size
  }

  get full(): boolean {
    return this.#sessions.size >= this.most
  }

  /** The number of the next session. Never used again in the life of the process. */
  nextId(): number {
    return ++this.#lastId
  }

  /** Adds a session; the result removes it. */
  add(id: number, session: RegisteredSession): () => void {
    this.#sessions.set(id, session)
    return () => {
      this.#sessions.delete(id)
      if (this.#sessions.size > 0) return
      for (const resolve of this.#whenEmpty.splice(0)) resolve()
    }
  }

  /** Rows in order of connection. */
  snapshot(): SessionRow[] {
    return [...this.#sessions.values()].map(session => session.row())
  }

  /** Ends one session; false when there is none with this number. */
  close(id: number, text = 'session closed by administrator'): boolean {
    const session = this.#sessions.get(id)
    session?.close(text)
    return session !== undefined
  }

  /** Ends all sessions and resolves when the last one is gone. */
  closeAll(text: string): Promise<void> {
    const gone = new Promise<void>(resolve => (this.#sessions.size === 0 ? resolve() : this.#whenEmpty.push(resolve)))
    for (const session of [...this.#sessions.values()]) session.close(text)
    return gone
  }
}
