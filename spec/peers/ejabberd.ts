import { access, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Direction, Peer, type PeerAuth, type PeerCommand } from './peer.js'

const resolver = fileURLToPath(new URL('net.erl', import.meta.url))

/**
 * ejabberd 23.01 in the foreground, started by `erl` itself: ejabberdctl insists on a system user and on files in /etc.
 *
 * - Names: the file in ERL_INETRC names our server with its port; `lookup` leaves only that way, and a cache of no
 *   entries keeps no answer. That serves SRV; for the addresses see net.erl.
 * - After a failure it bounces for a random time before it tries again: `s2s_max_retry_delay` keeps that below a second.
 * - Proof: SASL EXTERNAL is offered to everybody, and refused after it is tried when the certificate does not chain to
 *   `s2s_cafile`; there is no switch. With `external` mod_s2s_dialback is not loaded, so nothing else is left.
 * - The node has no name, hence no port mapper, no cookie and no clash with another node of this machine.
 * - Accounts are made by expressions that the emulator evaluates when ejabberd is up.
 */
export class Ejabberd extends Peer {
  override readonly program = 'ejabberd'
  /** What it writes to its terminal: the log file lags behind by seconds. */
  protected override readonly logFile = 'output.log'

  protected override async prepare(directory: string): Promise<PeerCommand> {
    await rm(join(directory, 'ready'), { force: true })
    await writeFile(join(directory, 'own.pem'), `${this.options.certificate}\n${this.options.key}`, { mode: 0o600 })
    await writeFile(join(directory, 'trust.pem'), this.options.trust)
    await writeFile(
      join(directory, 'inetrc'),
      `{resolv_conf, ""}.\n{hosts_file, ""}.\n{lookup, [dns]}.\n{nameserver, {127,0,0,1}, ${this.options.dnsPort}}.\n{cache_size, 0}.\n`,
    )
    await writeFile(join(directory, 'ejabberd.yml'), this.#configuration(directory))
    const register = Object.entries(this.options.users).map(
      ([user, password]) => `ejabberd_auth:try_register(${binary(user)}, ${binary(this.domain)}, ${binary(password)})`,
    )
    return {
      file: 'erl',
      args: [
        ...['-noinput', '+sbwt', 'none', '+sbwtdcpu', 'none', '+sbwtdio', 'none'],
        ...['-mnesia', 'dir', `"${join(directory, 'data')}"`],
        ...['-pa', directory],
        ...[
          '-eval',
          `{ok, net} = compile:file("${resolver}", [{outdir, "${directory}"}]), {module, net} = code:load_file(net).`,
        ],
        ...['-s', 'ejabberd'],
        ...['-eval', [...register, `file:write_file("${join(directory, 'ready')}", "")`].join(', ').concat('.')],
      ],
      env: {
        HOME: directory,
        ERL_LIBS: await libraries(),
        ERL_INETRC: join(directory, 'inetrc'),
        ERL_CRASH_DUMP: join(directory, 'crash.dump'),
        EJABBERD_CONFIG_PATH: join(directory, 'ejabberd.yml'),
        EJABBERD_LOG_PATH: join(directory, 'ejabberd.log'),
      },
    }
  }

  /** Its ports answer a moment before the accounts are there. */
  protected override async ready(): Promise<void> {
    const file = join(this.directory, 'ready')
    for (let tries = 0; tries < 100; tries++) {
      const there = await access(file).then(
        () => true,
        () => false,
      )
      if (there) return
      await delay(50)
    }
    throw new Error(`ejabberd made no accounts\n${await this.log()}`)
  }

  protected override findProofs(log: string, direction: Direction, remote: string): PeerAuth[] {
    const pair = direction === 'in' ? `${remote} -> ${this.domain}` : `${this.domain} -> ${remote}`
    const proofs: PeerAuth[] = []
    for (const line of log.split('\n')) {
      if (!line.includes(`${direction}bound s2s`) || !line.includes(` authentication ${pair} `)) continue
      if (line.includes(`Accepted ${direction}bound s2s EXTERNAL`)) proofs.push('external')
      if (line.includes(`Accepted ${direction}bound s2s dialback`)) proofs.push('dialback')
    }
    return proofs
  }

  #configuration(directory: string): string {
    const directTls = this.options.directTlsPort
    const modules = ['mod_roster', 'mod_disco', 'mod_ping', ...(this.options.modules ?? [])]
    if (this.options.auth === 'dialback') modules.push('mod_s2s_dialback')
    const listener = (port: number, module: string, more = ''): string =>
      `  - port: ${port}\n    ip: "${this.address}"\n    module: ${module}\n${more}`
    return `
loglevel: debug
log_rotate_count: 0
hosts: ["${this.domain}"]
certfiles: ["${join(directory, 'own.pem')}"]
s2s_cafile: "${join(directory, 'trust.pem')}"
s2s_use_starttls: required
s2s_timeout: 15
s2s_max_retry_delay: 1
outgoing_s2s_families: [ipv4]
auth_password_format: scram
listen:
${listener(this.c2sPort, 'ejabberd_c2s')}${listener(this.s2sPort, 'ejabberd_s2s_in')}${directTls === undefined ? '' : listener(directTls, 'ejabberd_s2s_in', '    tls: true\n')}
modules:
${modules.map(name => `  ${name}: {}\n`).join('')}`
  }
}

/** Where Debian keeps ejabberd and the Erlang libraries it uses, which depends on the machine's architecture. */
async function libraries(): Promise<string> {
  for (const directory of await readdir('/usr/lib')) {
    const path = join('/usr/lib', directory)
    const names = await readdir(path).catch(() => [])
    if (names.some(name => name.startsWith('ejabberd-'))) return path
  }
  throw new Error('ejabberd is not installed: run spec/peers/install.sh')
}

/** A string as an Erlang binary. */
function binary(text: string): string {
  return `<<${JSON.stringify(text)}/utf8>>`
}
