import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import * as tls from 'node:tls'

/** Goes the way of a peer as far as STARTTLS and returns the SHA-256 fingerprint of the certificate that is shown. */
export async function wireFingerprint(port: number, domain: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    socket.write(
      `<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' to='${domain}' version='1.0'>`,
    )
    await until(socket, '</stream:features>')
    socket.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await until(socket, '<proceed')
    const secure = tls.connect({ socket, servername: domain, rejectUnauthorized: false })
    await once(secure, 'secureConnect')
    const { fingerprint256 } = secure.getPeerCertificate()
    secure.destroy()
    return fingerprint256
  } finally {
    socket.destroy()
  }
}

async function until(socket: Socket, words: string): Promise<void> {
  let read = ''
  while (!read.includes(words)) read += String((await once(socket, 'data'))[0])
}
