const BLOCK = /-----BEGIN (?:X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]*?)-----END (?:X509 )?CERTIFICATE-----/g

/** The base64 bodies of the certificates in a PEM text, in order; anything between them is skipped. */
export function pemBodies(text: string): string[] {
  return Array.from(text.matchAll(BLOCK), match => match[1]!)
}

/** The certificates of a PEM text as DER, in order; empty when there is none. */
export function certificatesOf(pem: string): Buffer[] {
  return pemBodies(pem).map(body => Buffer.from(body, 'base64'))
}

/** One PEM block, lines of 64 characters. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der.buffer, der.byteOffset, der.byteLength)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
