import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Direction, Peer, type PeerAuth, type PeerCommand } from './peer.js'

/**
 * Prosody 0.12 in the foreground.
 *
 * - Names: lua-unbound (package `lua-unbound`). It forwards to our server as `address@port`; the library refuses to ask
 *   a loopback address unless `do-not-query-localhost` is off, and would keep answers unless the cache is told not to.
 *   Its legacy resolver reads /etc/resolv.conf and knows no other port than 53, so it is of no use here.
 * - Proof: SASL EXTERNAL is offered to and asked of whoever has a certificate that chains to `trust`; there is no switch.
 *   With `external` mod_dialback is not loaded and `s2s_secure_auth` asks for a valid certificate.
 * - Accounts are files: the plain store reads them without any help from prosodyctl, which takes a second per user.
 * - It refuses to run as root unless told that it may.
 */
export class Prosody extends Peer {
  override readonly program = 'prosody'
  protected override readonly logFile = 'prosody.log'

  protected override async prepare(directory: string): Promise<PeerCommand> {
    const data = join(directory, 'data')
    const accounts = join(data, fileName(this.domain), 'accounts')
    await mkdir(accounts, { recursive: true })
    for (const [user, password] of Object.entries(this.options.users)) {
      await writeFile(join(accounts, `${fileName(user)}.dat`), `return { ["password"] = ${lua(password)} };\n`)
    }
    await writeFile(join(directory, 'own.crt'), this.options.certificate)
    await writeFile(join(directory, 'own.key'), this.options.key, { mode: 0o600 })
    await writeFile(join(directory, 'trust.pem'), this.options.trust)
    const configuration = join(directory, 'prosody.cfg.lua')
    await writeFile(configuration, this.#configuration(directory, data))
    return { file: 'prosody', args: ['-F', '--config', configuration], env: { HOME: directory } }
  }

  protected override findProofs(log: string, direction: Direction, remote: string): PeerAuth[] {
    const external =
      direction === 'in' ? `Accepting SASL EXTERNAL identity from ${remote}` : `SASL EXTERNAL with ${remote} succeeded`
    const pair = direction === 'in' ? `${remote}->${this.domain}` : `${this.domain}->${remote}`
    const proofs: PeerAuth[] = []
    let proof: PeerAuth = 'dialback'
    for (const line of log.split('\n')) {
      if (line.endsWith(external)) proof = 'external'
      if (!line.includes(`connection ${pair} is now authenticated`)) continue
      proofs.push(proof)
      proof = 'dialback'
    }
    return proofs
  }

  #configuration(directory: string, data: string): string {
    const external = this.options.auth === 'external'
    const modules = [
      'roster',
      'saslauth',
      'tls',
      'disco',
      'ping',
      'presence',
      'message',
      'iq',
      ...(this.options.modules ?? []),
    ]
    if (!external) modules.push('dialback')
    const directTls = this.options.directTlsPort
    return `
run_as_root = true
pidfile = ${lua(join(directory, 'prosody.pid'))}
data_path = ${lua(data)}
log = { debug = ${lua(join(directory, this.logFile))} }
interfaces = { ${lua(this.address)} }
use_ipv6 = false
c2s_ports = { ${this.c2sPort} }
c2s_direct_tls_ports = {}
s2s_ports = { ${this.s2sPort} }
s2s_direct_tls_ports = { ${directTls ?? ''} }
modules_enabled = { ${modules.map(lua).join(', ')} }
authentication = "internal_plain"
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
s2s_require_encryption = true
s2s_secure_auth = ${external}
s2s_timeout = 15
certificates = ${lua(directory)}
ssl = {
  certificate = ${lua(join(directory, 'own.crt'))};
  key = ${lua(join(directory, 'own.key'))};
  cafile = ${lua(join(directory, 'trust.pem'))};
  capath = false;
}
unbound = {
  resolvconf = false;
  hoststxt = false;
  forward = "127.0.0.1@${this.options.dnsPort}";
  options = {
    ["do-not-query-localhost:"] = "no";
    ["cache-max-ttl:"] = "0";
    ["cache-max-negative-ttl:"] = "0";
    ["module-config:"] = "iterator";
  };
}
VirtualHost ${lua(this.domain)}
`
  }
}

/** A string as Lua source; the texts here hold no line ends. */
function lua(text: string): string {
  return JSON.stringify(text)
}

/** Prosody's file store keeps letters and digits and writes every other byte as %xx. */
function fileName(text: string): string {
  let name = ''
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte)
    name += /[0-9A-Za-z]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`
  }
  return name
}
