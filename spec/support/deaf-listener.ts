import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

/** Listens on every IPv4 address with a short queue and then never runs again, so that the queue stays full. */
const LISTENER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const server = require('node:net').createServer()
  server.listen({ port: 0, host: '0.0.0.0', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port)
    setImmediate(() => Atomics.wait(new Int32Array(workerData), 0, 0))
  })
`
const ENOUGH_TO_FILL_THE_QUEUE = 10

/** A port of loopback where connecting neither succeeds nor fails: nobody takes connections from its full queue. */
export class DeafListener {
  #worker: Worker | undefined
  #queued: Socket[] = []

  async listen(): Promise<number> {
    const worker = new Worker(LISTENER, { eval: true, workerData: new SharedArrayBuffer(4) })
    this.#worker = worker
    const [port] = await once(worker, 'message')
    this.#queued = Array.from({ length: ENOUGH_TO_FILL_THE_QUEUE }, () =>
      connect(port, '127.0.0.1').on('error', () => {}),
    )
    await Promise.race(this.#queued.map(socket => once(socket, 'connect')))
    return port
  }

  async close(): Promise<void> {
    for (const socket of this.#queued) socket.destroy()
    await this.#worker?.terminate()
  }
}
