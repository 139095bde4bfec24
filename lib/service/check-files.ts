import { readFile } from 'node:fs/promises'
import { systemClock } from '../base/clock.js'
import { silentLog } from '../base/log.js'
import { CredentialError, OwnCertificates } from '../negotiation/certificate/own-certificates.js'
import { TrustAnchors } from '../negotiation/certificate/trust.js'
import { CertificateJudge } from '../negotiation/certificate/verdict.js'
import { tlsDirectory } from './config-paths.js'
import type { Settings } from './settings.js'

/** What the files that settings name are like: problems stop a start, notes are worth knowing. Nothing is made or changed. */
export interface FileCheck {
  readonly problems: readonly string[]
  readonly notes: readonly string[]
}

/** Looks at the trusted authorities and at the certificate of every served domain. */
export async function checkFiles(settings: Settings): Promise<FileCheck> {
  const problems: string[] = []
  const notes: string[] = []
  const judge = await checkedJudge(settings, problems)
  for (const domain of settings.get('xmpp.domains')) {
    try {
      const own = await OwnCertificates.load({
        directory: tlsDirectory(settings),
        domains: [domain],
        selfSigned: false,
        clock: systemClock,
        log: silentLog,
        judge,
      })
      notes.push(noteOn(domain, own, settings))
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error
      problems.push(`tls.directory: ${error.message} (in ${tlsDirectory(settings)})`)
    }
  }
  return { problems, notes }
}

function noteOn(domain: string, own: OwnCertificates, settings: Settings): string {
  const facts = own.factsFor(domain)
  if (facts === undefined) {
    return settings.get('tls.selfSigned')
      ? `${domain}: no certificate; a self-signed one will be made, and servers that check will refuse it`
      : `${domain}: no certificate, and tls.selfSigned is false; no TLS can be offered for it`
  }
  if (facts.defects.length === 0)
    return `${domain}: certificate good for ${facts.daysLeft} days, issued by ${facts.issuer}`
  return `${domain}: servers that check will refuse the certificate: ${facts.defects.map(({ text }) => text).join('; ')}`
}

async function checkedJudge(settings: Settings, problems: string[]): Promise<CertificateJudge> {
  const texts: string[] = []
  for (const file of settings.get('tls.trust')) {
    try {
      const text = await readFile(file, 'utf8')
      TrustAnchors.fromPem(text)
      texts.push(text)
    } catch (error) {
      problems.push(`tls.trust: ${file} cannot be used: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return new CertificateJudge({ anchors: TrustAnchors.system(...texts), clock: systemClock })
}
