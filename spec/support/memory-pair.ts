import { Duplex } from 'node:stream'

/**
 * Two ends of a connection without ports. Like a socket, and unlike `stream.duplexPair`, it hands bytes over in a later turn: the TLS
 * client of Node misses its own handshake when that is over within one call.
 */
export function memoryPair(): [Duplex, Duplex] {
  const near = new End()
  const far = new End()
  near.other = far
  far.other = near
  return [near, far]
}

class End extends Duplex {
  other: End | undefined
  #goOn: (() => void) | undefined

  override _read(): void {
    const goOn = this.#goOn
    this.#goOn = undefined
    goOn?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    setImmediate(() => {
      const { other } = this
      if (other === undefined || other.destroyed)
        return done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      if (other.push(chunk)) done()
      else other.#goOn = done
    })
  }

  override _final(done: () => void): void {
    setImmediate(() => {
      if (this.other !== undefined && !this.other.destroyed) this.other.push(null)
      done()
    })
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { other } = this
    setImmediate(() => {
      // The far end of a cut socket sees its end, or a reset when it was still to be read from.
      if (other !== undefined && !other.destroyed && !other.readableEnded) other.push(null)
    })
    done(error)
  }
}
