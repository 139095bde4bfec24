import { ALPN_XMPP_SERVER } from '../negotiation/direct-tls.js'
import { prepareDomain } from '../stanza/domain.js'
import type { StartTlsOptions } from '../stream/transport.js'
import type { Credentials, SessionContext } from './context.js'

/**
 * How the receiving entity begins on its Direct TLS port (XEP-0368 §2): the certificate is that of the served domain that was asked for,
 * else of the first that has one. Undefined when none has: then there is no TLS to speak.
 */
export function directTlsOptions(context: SessionContext): StartTlsOptions | undefined {
  const first = firstCredentials(context)
  if (first === undefined) return undefined
  return {
    role: 'server',
    context: first.context,
    byName: name => credentialsByName(context, name)?.context,
    alpn: ALPN_XMPP_SERVER,
  }
}

/** The served domain that a name in the handshake stands for; undefined when it is none of ours. */
export function domainOfServerName(context: SessionContext, name: string): string | undefined {
  const domain = prepareDomain(name)
  return domain !== undefined && context.domainState(domain) === 'served' ? domain : undefined
}

function credentialsByName(context: SessionContext, name: string): Credentials | undefined {
  const domain = domainOfServerName(context, name)
  return domain === undefined ? undefined : context.credentials(domain)
}

function firstCredentials(context: SessionContext): Credentials | undefined {
  for (const domain of context.servedDomains()) {
    const credentials = context.credentials(domain)
    if (credentials !== undefined) return credentials
  }
  return undefined
}
