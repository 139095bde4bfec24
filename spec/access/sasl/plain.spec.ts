import { expect } from 'chai'
import { MOST_MESSAGE_BYTES } from '../../../lib/access/sasl/bounded-exchange.js'
import type { SaslStep } from '../../../lib/access/sasl/exchange.js'
import { PlainExchange } from '../../../lib/access/sasl/plain.js'
import { silentLog } from '../../../lib/base/log.js'
import { openStore, type Store } from '../../../lib/store/store.js'
import { readNorthName } from './names.js'

describe('PlainExchange', () => {
  let store: Store
  before(async () => {
    store = await openStore({ url: ':memory:', dataDirectory: '.', log: silentLog })
    await store.accounts.add('olga', 'north.example', 'p=n,c\u00a0il')
  })
  after(() => store.close())

  const start = () => new PlainExchange({ accounts: store.accounts, readName: readNorthName, log: silentLog })
  const say = (message: string | Buffer): Promise<SaslStep> => start().respond(Buffer.from(message))
  const success = { kind: 'success', account: { local: 'olga', domain: 'north.example' } }
  const failed = (condition: string) => ({ kind: 'failure', condition })

  it('RFC 4616 §2: accepts name and password, with or without the own authorization identity', async () => {
    expect(await say('\0olga\0p=n,c il')).to.deep.equal(success)
    expect(await say('\0OLGA@north.example\0p=n,c il')).to.deep.equal(success)
    expect(await say('olga@north.example\0olga\0p=n,c il')).to.deep.equal(success)
  })

  it('RFC 4616 §2: prepares the password as it was prepared when stored', async () => {
    expect(await say('\0olga\0p=n,c\u2003i\u00adl')).to.deep.equal(success)
  })

  it('RFC 6120 §6.5.10: a wrong password, an unknown account and a name that can be no account end the same', async () => {
    for (const message of [
      '\0olga\0wrong',
      '\0nobody\0p=n,c il',
      '\0olga@elsewhere.example\0p=n,c il',
      '\0no such name\0p=n,c il',
      '\0__proto__\0p=n,c il',
    ]) {
      expect(await say(message), message).to.deep.equal(failed('not-authorized'))
    }
  })

  it('does the same work for a name that can be no account', async () => {
    const asked: string[] = []
    const accounts = {
      verifyPassword: async (local: string, domain: string) => {
        asked.push(`${local}@${domain}`)
        return true
      },
    }
    const exchange = new PlainExchange({ accounts, readName: readNorthName, log: silentLog })
    expect(await exchange.respond(Buffer.from('\0no such name\0x'))).to.deep.equal(failed('not-authorized'))
    expect(asked).to.deep.equal(['@'])
  })

  it('RFC 6120 §6.5.6: refuses to act for another account, once the password is proven', async () => {
    expect(await say('pavel@north.example\0olga\0p=n,c il')).to.deep.equal(failed('invalid-authzid'))
    expect(await say('no such name\0olga\0p=n,c il')).to.deep.equal(failed('invalid-authzid'))
    expect(await say('pavel@north.example\0olga\0wrong')).to.deep.equal(failed('not-authorized'))
  })

  for (const [title, message] of [
    ['empty', ''],
    ['one part', 'olga'],
    ['two parts', 'olga\0pencil'],
    ['four parts', '\0olga\0pencil\0'],
    ['no name', '\0\0pencil'],
    ['no password', '\0olga\0'],
    ['not UTF-8', Buffer.from('\0olga\0\xff', 'latin1')],
    ['too long', `\0olga\0${'x'.repeat(MOST_MESSAGE_BYTES)}`],
  ] as const) {
    it(`RFC 6120 §6.5.8: malformed message: ${title}`, async () => {
      expect(await say(message)).to.deep.equal(failed('malformed-request'))
    })
  }

  it('answers nothing after the end', async () => {
    const exchange = start()
    await exchange.respond(Buffer.from('\0olga\0wrong'))
    expect(await exchange.respond(Buffer.from('\0olga\0p=n,c il'))).to.deep.equal(failed('malformed-request'))
  })
})
