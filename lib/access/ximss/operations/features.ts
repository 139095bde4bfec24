import { escapeText } from '../../../xml/serializer.js'
import { servedDomain } from '../account-name.js'
import type { Client, Operations } from '../operation.js'
import { notSupported, outOfSequence } from '../ximss-error.js'

/** What a client can ask before it logs in. */
export const featureOperations: Operations = {
  listFeatures: {
    when: 'before-login',
    run(client, request) {
      // A domain named in a request is meant by it and the following ones, when it exists.
      client.targetDomain = servedDomain(request.attribute('domain') ?? '', client.services) ?? client.targetDomain
      const starttls = mayStartTls(client) ? '<starttls/>' : ''
      const methods = client.mechanisms.offered.map(name => `<sasl>${escapeText(name)}</sasl>`)
      client.send({
        name: 'features',
        attributes: { domain: client.targetDomain },
        content: starttls + methods.join(''),
      })
      return undefined
    },
  },

  starttls: {
    when: 'before-login',
    run(client) {
      if (client.isSecure) throw outOfSequence()
      if (!mayStartTls(client)) throw notSupported()
      client.startTlsAfterResponse()
      return undefined
    },
  },
}

function mayStartTls({ isSecure, services, targetDomain }: Client): boolean {
  return !isSecure && services.contextFor(targetDomain) !== undefined
}
