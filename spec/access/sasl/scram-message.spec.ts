import { expect } from 'chai'
import fc from 'fast-check'
import { MOST_MESSAGE_BYTES } from '../../../lib/access/sasl/bounded-exchange.js'
import { ScramExchange } from '../../../lib/access/sasl/scram.js'
import { readClientFinal, readClientFirst } from '../../../lib/access/sasl/scram-message.js'
import { silentLog } from '../../../lib/base/log.js'
import { readNorthName } from './names.js'

describe('SCRAM messages', () => {
  const exchange = () =>
    new ScramExchange({
      hash: 'SCRAM-SHA-1',
      accounts: { credentials: async () => undefined },
      readName: readNorthName,
      fakeSaltSecret: 'of this spec',
      log: silentLog,
      makeNonce: () => 'N',
    })
  const malformed = { kind: 'failure', condition: 'malformed-request' }
  const proof = Buffer.alloc(20).toString('base64')

  describe('RFC 5802 §7: client-first-message', () => {
    it('is read into its parts', () => {
      expect(readClientFirst(Buffer.from('p=tls-exporter,a=x=2Cy,n=ol=3Dga,r=+nonce,z=1,y=a=b'))).to.deep.equal({
        gs2Header: 'p=tls-exporter,a=x=2Cy,',
        bare: 'n=ol=3Dga,r=+nonce,z=1,y=a=b',
        flag: { kind: 'p', type: 'tls-exporter' },
        authzid: 'x,y',
        username: 'ol=ga',
        nonce: '+nonce',
      })
    })

    it('may hold any character of Unicode in a name', () => {
      expect(readClientFirst(Buffer.from('n,,n=Ольга😀\uFEFF,r=x'))?.username).to.equal('Ольга😀\uFEFF')
    })

    const bad: [string, string | Buffer][] = [
      ['empty', ''],
      ['no header', 'n=olga,r=x'],
      ['unknown flag', 'q,,n=olga,r=x'],
      ['flag in upper case', 'N,,n=olga,r=x'],
      ['n with a value', 'n=1,,n=olga,r=x'],
      ['p without a type', 'p=,,n=olga,r=x'],
      ['p with a type outside the syntax', 'p=tls_x,,n=olga,r=x'],
      ['authzid without a=', 'n,olga,n=olga,r=x'],
      ['empty authzid', 'n,a=,n=olga,r=x'],
      ['bad escape in the authzid', 'n,a=x=41,n=olga,r=x'],
      ['header alone', 'n,,'],
      ['no name', 'n,,r=x'],
      ['empty name', 'n,,n=,r=x'],
      ['bad escape in the name', 'n,,n=ol=ga,r=x'],
      ['escape in lower case', 'n,,n=ol=2cga,r=x'],
      ['name ends in an equals sign', 'n,,n=olga=,r=x'],
      ['NUL in the name', 'n,,n=ol\0ga,r=x'],
      ['no nonce', 'n,,n=olga'],
      ['empty nonce', 'n,,n=olga,r='],
      ['space in the nonce', 'n,,n=olga,r=a b'],
      ['nonce outside ASCII', 'n,,n=olga,r=é'],
      ['nonce too long', `n,,n=olga,r=${'x'.repeat(513)}`],
      ['mandatory extension', 'n,,m=1,n=olga,r=x'],
      ['mandatory extension at the end', 'n,,n=olga,r=x,m=1'],
      ['extension without a value', 'n,,n=olga,r=x,z='],
      ['comma at the end', 'n,,n=olga,r=x,'],
      ['not UTF-8', Buffer.from([0x6e, 0x2c, 0x2c, 0x6e, 0x3d, 0xc3, 0x28, 0x2c, 0x72, 0x3d, 0x78])],
    ]
    for (const [title, message] of bad) {
      it(`is refused: ${title}`, async () => {
        expect(await exchange().respond(Buffer.from(message))).to.deep.equal(malformed)
      })
    }

    it('may have a nonce of 512 characters', () => {
      expect(readClientFirst(Buffer.from(`n,,n=olga,r=${'x'.repeat(512)}`))?.nonce).to.have.length(512)
    })

    it('may be 8192 octets long and no longer', async () => {
      const message = (octets: number) => Buffer.from('n,,n=olga,r=x,z='.padEnd(octets, 'z'))
      expect((await exchange().respond(message(MOST_MESSAGE_BYTES))).kind).to.equal('challenge')
      expect(await exchange().respond(message(MOST_MESSAGE_BYTES + 1))).to.deep.equal(malformed)
    })
  })

  describe('RFC 5802 §7: client-final-message', () => {
    it('is read into its parts', () => {
      expect(readClientFinal(Buffer.from(`c=biws,r=xN,z=1,p=${proof}`))).to.deep.equal({
        channelBinding: Buffer.from('n,,'),
        nonce: 'xN',
        proof: Buffer.alloc(20),
        withoutProof: 'c=biws,r=xN,z=1',
      })
    })

    const bad: [string, string | Buffer][] = [
      ['empty', ''],
      ['proof alone', `p=${proof}`],
      ['no channel binding', `r=xN,p=${proof}`],
      ['no nonce', `c=biws,p=${proof}`],
      ['no proof', 'c=biws,r=xN'],
      ['empty proof', 'c=biws,r=xN,p='],
      ['proof too short', `c=biws,r=xN,p=${Buffer.alloc(19).toString('base64')}`],
      ['proof too long', `c=biws,r=xN,p=${Buffer.alloc(32).toString('base64')}`],
      ['proof without padding', `c=biws,r=xN,p=${proof.replace('=', '')}`],
      ['proof with a space', `c=biws,r=xN,p= ${proof}`],
      ['proof in the URL alphabet', `c=biws,r=xN,p=${Buffer.alloc(20, 0xff).toString('base64').replaceAll('/', '_')}`],
      ['Base64 with bits left over', `c=biws,r=xN,p=${proof.slice(0, -2)}B=`],
      ['something after the proof', `c=biws,r=xN,p=${proof},z=1`],
      ['channel binding not Base64', `c=n,r=xN,p=${proof}`],
      ['mandatory extension', `c=biws,r=xN,m=1,p=${proof}`],
      ['order changed', `r=xN,c=biws,p=${proof}`],
      ['not UTF-8', Buffer.from(`c=biws,r=xN,z=\xff,p=${proof}`, 'latin1')],
      ['too long', `c=biws,r=xN,z=${'z'.repeat(MOST_MESSAGE_BYTES)},p=${proof}`],
    ]
    for (const [title, message] of bad) {
      it(`is refused: ${title}`, async () => {
        const running = exchange()
        expect((await running.respond(Buffer.from('n,,n=olga,r=x'))).kind).to.equal('challenge')
        expect(await running.respond(Buffer.from(message))).to.deep.equal(malformed)
      })
    }
  })

  it('any octets get an answer, and never a success', async () => {
    const text = fc
      .string({ unit: fc.constantFrom(...'nyp=,acrmv2CD3\0é'), maxLength: 40 })
      .map(part => Buffer.from(part))
    const octets = fc.uint8Array({ maxLength: 60 }).map(part => Buffer.from(part))
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, octets), fc.oneof(text, octets), async (first, second) => {
        const running = exchange()
        await running.respond(first)
        expect((await running.respond(second)).kind).to.not.equal('success')
      }),
    )
  })
})
