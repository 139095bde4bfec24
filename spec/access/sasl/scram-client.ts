import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'

/** Client side of SCRAM for the specs, written from RFC 5802 §3 without the code it checks. */
export function answerChallenge(
  hash: 'sha1' | 'sha256',
  password: string,
  gs2Header: string,
  clientFirstBare: string,
  serverFirst: string,
  bindingData: Buffer = Buffer.alloc(0),
  nonce?: string,
): { clientFinal: string; serverFinal: string } {
  const fields = new Map(serverFirst.split(',').map(part => [part.slice(0, 1), part.slice(2)]))
  const salt = Buffer.from(fields.get('s') ?? '', 'base64')
  const octets = hash === 'sha1' ? 20 : 32
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest()
  const salted = pbkdf2Sync(password, salt, Number(fields.get('i')), octets, hash)
  const clientKey = hmac(salted, 'Client Key')
  const binding = Buffer.concat([Buffer.from(gs2Header), bindingData]).toString('base64')
  const withoutProof = `c=${binding},r=${nonce ?? fields.get('r')}`
  const authMessage = [clientFirstBare, serverFirst, withoutProof].join(',')
  const signature = hmac(createHash(hash).update(clientKey).digest(), authMessage)
  const proof = Buffer.from(clientKey.map((octet, index) => octet ^ signature[index]!))
  return {
    clientFinal: `${withoutProof},p=${proof.toString('base64')}`,
    serverFinal: `v=${hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')}`,
  }
}
