import { expect } from 'chai'
import type { CertificateNames } from '../../../lib/negotiation/certificate/issue.js'
import { matchingName } from '../../../lib/negotiation/certificate/names.js'
import { parseCertificate } from '../../../lib/negotiation/certificate/parse.js'
import { TestAuthority } from '../../support/authority.js'

const authority = new TestAuthority()

function match(
  names: CertificateNames | undefined,
  domain: string,
  extraNames: readonly string[] = [],
): string | undefined {
  const { der } = authority.make({
    subject: 'peer.example',
    ...(names ? { names } : {}),
    issuer: authority.intermediate,
  })
  return matchingName(parseCertificate(der).facts, domain, extraNames)
}

const LONG = 'xn--bcher-kva.example'

const MATCHING: readonly (readonly [title: string, names: CertificateNames, domain: string])[] = [
  ['a dNSName equal to the domain', { dns: ['peer.example'] }, 'peer.example'],
  ['a dNSName in other case', { dns: ['PEER.Example'] }, 'peer.example'],
  ['a reference with a dot at the end', { dns: ['peer.example'] }, 'peer.example.'],
  ['a reference in capitals', { dns: ['peer.example'] }, 'Peer.EXAMPLE'],
  ['a wildcard for one label', { dns: ['*.example'] }, 'peer.example'],
  ['a wildcard for a whole A-label', { dns: ['*.example'] }, LONG],
  ['an A-label for its U-label', { dns: [LONG] }, 'bücher.example'],
  ['a SRVName of servers', { srv: ['_xmpp-server.peer.example'] }, 'peer.example'],
  ['a SRVName in other case', { srv: ['_XMPP-Server.Peer.example'] }, 'peer.example'],
  ['a SRVName with a wildcard', { srv: ['_xmpp-server.*.example'] }, 'peer.example'],
  ['an XmppAddr of a bare domain', { xmpp: ['peer.example'] }, 'peer.example'],
  ['an XmppAddr in U-labels', { xmpp: ['Bücher.example'] }, 'bücher.example'],
  ['one good name among others', { dns: ['a.example', 'peer.example'], email: ['x@b.example'] }, 'peer.example'],
  ['a single label', { dns: ['localhost'] }, 'localhost'],
]

const OTHERS: readonly (readonly [title: string, names: CertificateNames | undefined, domain: string])[] = [
  ['a wildcard for two labels', { dns: ['*.example'] }, 'a.b.example'],
  ['a wildcard for no label', { dns: ['*.example'] }, 'example'],
  ['a wildcard for a part of a label', { dns: ['p*.example'] }, 'peer.example'],
  ['a wildcard before a name', { dns: ['*peer.example'] }, 'peer.example'],
  ['two wildcards', { dns: ['*.*.example'] }, 'a.peer.example'],
  ['a wildcard that is not the first label', { dns: ['peer.*.example'] }, 'peer.a.example'],
  ['a bare wildcard', { dns: ['*'] }, 'localhost'],
  ['a wildcard and a dot', { dns: ['*.'] }, 'localhost'],
  ['a wildcard within an A-label', { dns: ['xn--*.example'] }, LONG],
  ['a wildcard XmppAddr', { xmpp: ['*.example'] }, 'peer.example'],
  ['a SRVName of clients', { srv: ['_xmpp-client.peer.example'] }, 'peer.example'],
  ['a SRVName of another service', { srv: ['_imap.peer.example'] }, 'peer.example'],
  ['a SRVName without service', { srv: ['peer.example'] }, 'peer.example'],
  ['an XmppAddr with a local part', { xmpp: ['user@peer.example'] }, 'peer.example'],
  ['an XmppAddr with a resource', { xmpp: ['peer.example/r'] }, 'peer.example'],
  ['a common name alone', undefined, 'peer.example'],
  ['a URI', { uri: ['xmpp:peer.example', 'peer.example'] }, 'peer.example'],
  ['an e-mail address', { email: ['user@peer.example', 'peer.example'] }, 'peer.example'],
  ['an IP address', { ip: [Buffer.from([192, 0, 2, 1])] }, '192.0.2.1'],
  ['an address as dNSName', { dns: ['192.0.2.1'] }, '192.0.2.1'],
  ['a sub-domain', { dns: ['a.peer.example'] }, 'peer.example'],
  ['a parent domain', { dns: ['example'] }, 'peer.example'],
  ['a dNSName with spaces', { dns: [' peer.example'] }, 'peer.example'],
  ['no domain at all', { dns: ['peer.example', ''] }, ''],
]

describe('certificate names', () => {
  for (const [title, names, domain] of MATCHING) {
    it(`RFC 9525 §6.3: ${title} stands for ${domain}`, () => expect(match(names, domain)).to.be.a('string'))
  }
  for (const [title, names, domain] of OTHERS) {
    it(`RFC 9525 §6.3: ${title} does not stand for ${domain || 'nothing'}`, () =>
      expect(match(names, domain)).to.equal(undefined))
  }

  it('RFC 6120 §13.7.1.2: the host of a SRV answer counts only when it was made a reference name', () => {
    expect(match({ dns: ['host.example'] }, 'peer.example')).to.equal(undefined)
    expect(match({ dns: ['host.example'] }, 'peer.example', ['host.example'])).to.equal('host.example')
    expect(match({ xmpp: ['host.example'] }, 'peer.example', ['host.example'])).to.equal(undefined)
  })
})
