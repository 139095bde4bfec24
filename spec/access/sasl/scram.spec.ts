import { expect } from 'chai'
import type { SaslExchange, SaslStep } from '../../../lib/access/sasl/exchange.js'
import { ScramExchange, type ScramOptions } from '../../../lib/access/sasl/scram.js'
import { silentLog } from '../../../lib/base/log.js'
import { deriveScramKeys, type ScramCredentials, type ScramMechanism } from '../../../lib/store/scram-keys.js'
import { openStore, type Store } from '../../../lib/store/store.js'
import { readNorthName } from './names.js'
import { answerChallenge } from './scram-client.js'

const say = (exchange: SaslExchange, text: string): Promise<SaslStep> => exchange.respond(Buffer.from(text))

function challengeOf(step: SaslStep): string {
  if (step.kind !== 'challenge') throw new Error(`expected a challenge, got ${JSON.stringify(step)}`)
  return step.data.toString()
}

describe('ScramExchange', () => {
  let store: Store
  before(async () => {
    store = await openStore({ url: ':memory:', dataDirectory: '.', log: silentLog })
    await store.accounts.add('olga', 'north.example', 'pencil')
    await store.accounts.add('a=b,c', 'north.example', 'pencil')
    await store.accounts.add('__proto__', 'north.example', 'pencil')
  })
  after(() => store.close())

  const start = (change: Partial<ScramOptions> = {}): ScramExchange =>
    new ScramExchange({
      hash: 'SCRAM-SHA-256',
      accounts: store.accounts,
      readName: readNorthName,
      fakeSaltSecret: 'of this spec',
      log: silentLog,
      ...change,
    })

  /** A whole exchange by a client that does everything right. */
  async function logIn(
    exchange: ScramExchange,
    name: string,
    password: string,
    gs2Header = 'n,,',
    hash: 'sha1' | 'sha256' = 'sha256',
    bindingData?: Buffer,
  ): Promise<{ end: SaslStep; serverFinal: string }> {
    const bare = `n=${name},r=clientNonce`
    const serverFirst = challengeOf(await say(exchange, gs2Header + bare))
    const { clientFinal, serverFinal } = answerChallenge(hash, password, gs2Header, bare, serverFirst, bindingData)
    return { end: await say(exchange, clientFinal), serverFinal }
  }

  describe('published vectors', () => {
    const vectors = [
      {
        title: 'RFC 5802 §5: SCRAM-SHA-1',
        hash: 'SCRAM-SHA-1',
        salt: 'QSXCR+Q6sek8bf92',
        serverNonce: '3rfcNHYJY1ZVvWVs7j',
        clientFirst: 'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
        serverFirst: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
        clientFinal: 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
        serverFinal: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
      },
      {
        title: 'RFC 7677 §3: SCRAM-SHA-256',
        hash: 'SCRAM-SHA-256',
        salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
        serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
        clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
        serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
        clientFinal:
          'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
        serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
      },
    ] as const
    for (const { title, hash, salt, serverNonce, clientFirst, serverFirst, clientFinal, serverFinal } of vectors) {
      it(title, async () => {
        const credentials: ScramCredentials = {
          [hash]: await deriveScramKeys(hash, 'pencil', Buffer.from(salt, 'base64'), 4096),
        }
        const accounts = { credentials: async () => credentials }
        const exchange = start({ hash, accounts, makeNonce: () => serverNonce })
        expect(challengeOf(await say(exchange, clientFirst))).to.equal(serverFirst)
        expect(await say(exchange, clientFinal)).to.deep.equal({
          kind: 'success',
          account: { local: 'user', domain: 'north.example' },
          data: Buffer.from(serverFinal),
        })
      })
    }
  })

  for (const [hash, nodeHash] of [
    ['SCRAM-SHA-256', 'sha256'],
    ['SCRAM-SHA-1', 'sha1'],
  ] as const) {
    it(`RFC 5802 §3: ${hash} accepts the stored account and proves itself to the client`, async () => {
      const { end, serverFinal } = await logIn(start({ hash }), 'olga', 'pencil', 'n,,', nodeHash)
      const account = { local: 'olga', domain: 'north.example' }
      expect(end).to.deep.equal({ kind: 'success', account, data: Buffer.from(serverFinal) })
    })

    it(`RFC 5802 §3: ${hash} refuses a wrong password`, async () => {
      const { end } = await logIn(start({ hash }), 'olga', 'Pencil', 'n,,', nodeHash)
      expect(end).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
    })
  }

  it('RFC 5802 §5.1: =2C and =3D in a name stand for comma and equals sign', async () => {
    const { end } = await logIn(start(), 'a=3Db=2Cc', 'pencil')
    expect(end).to.deep.include({ kind: 'success', account: { local: 'a=b,c', domain: 'north.example' } })
  })

  it('takes a name that is also a property of every object as a name', async () => {
    expect((await logIn(start(), '__proto__', 'pencil')).end.kind).to.equal('success')
    expect((await logIn(start(), 'constructor', 'pencil')).end.kind).to.equal('failure')
  })

  describe('RFC 5802 §9: an account that does not exist', () => {
    const saltOf = async (name: string, hash: ScramMechanism = 'SCRAM-SHA-256', secret = 'of this spec') => {
      const step = await say(start({ hash, fakeSaltSecret: secret }), `n,,n=${name},r=x`)
      return /,s=([^,]*),/.exec(challengeOf(step))?.[1]
    }

    it('gets a challenge of the same shape and the same end', async () => {
      for (const hash of ['SCRAM-SHA-256', 'SCRAM-SHA-1'] as const) {
        const [known, unknown, elsewhere] = await Promise.all(
          ['olga', 'nobody', 'olga@elsewhere.example'].map(async name =>
            challengeOf(await say(start({ hash, makeNonce: () => 'N' }), `n,,n=${name},r=x`)),
          ),
        )
        const shape = /^r=xN,s=[A-Za-z0-9+/]{22}==,i=(\d+)$/
        for (const challenge of [unknown!, elsewhere!]) {
          expect(challenge).to.match(shape)
          expect(shape.exec(challenge)?.[1]).to.equal(shape.exec(known!)?.[1])
        }
      }
      for (const name of ['nobody', 'olga@elsewhere.example', 'no such name']) {
        const { end } = await logIn(start(), name, 'pencil')
        expect(end).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
      }
    })

    it('has the same salt each time, like a real one', async () => {
      for (const name of ['olga', 'nobody', 'no such name']) {
        expect(await saltOf(name), name).to.equal(await saltOf(name))
      }
    })

    it('has one salt under all spellings of its name, like a real one', async () => {
      expect(await saltOf('olga')).to.equal(await saltOf('OLGA@north.example'))
      expect(await saltOf('nobody')).to.equal(await saltOf('NOBODY@north.example'))
    })

    it('has a salt of its own per name, mechanism and installation', async () => {
      const salts = await Promise.all([
        saltOf('nobody'),
        saltOf('nobody2'),
        saltOf('nobody', 'SCRAM-SHA-1'),
        saltOf('nobody', 'SCRAM-SHA-256', 'of another'),
      ])
      expect(new Set(salts).size).to.equal(4)
    })

    it('costs the same look-up', async () => {
      const asked: string[] = []
      const accounts = {
        credentials: (local: string, domain: string) => {
          asked.push(`${local}@${domain}`)
          return store.accounts.credentials(local, domain)
        },
      }
      for (const name of ['olga', 'nobody', 'no such name']) await say(start({ accounts }), `n,,n=${name},r=x`)
      expect(asked).to.deep.equal(['olga@north.example', 'nobody@north.example', '@'])
    })
  })

  describe('RFC 5802 §5.1: replay', () => {
    it('refuses an old answer in a new exchange', async () => {
      const bare = 'n=olga,r=same'
      const first = start()
      const { clientFinal } = answerChallenge(
        'sha256',
        'pencil',
        'n,,',
        bare,
        challengeOf(await say(first, `n,,${bare}`)),
      )
      expect((await say(first, clientFinal)).kind).to.equal('success')
      const second = start()
      await say(second, `n,,${bare}`)
      expect(await say(second, clientFinal)).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
    })

    it('refuses another nonce than its own, even under a right proof', async () => {
      const bare = 'n=olga,r=x'
      const exchange = start({ makeNonce: () => 'server' })
      const serverFirst = challengeOf(await say(exchange, `n,,${bare}`))
      const { clientFinal } = answerChallenge('sha256', 'pencil', 'n,,', bare, serverFirst, Buffer.alloc(0), 'xservex')
      expect(clientFinal).to.contain(',r=xservex,')
      expect(await say(exchange, clientFinal)).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
    })

    it('answers nothing after the end', async () => {
      const exchange = start()
      const bare = 'n=olga,r=x'
      const { clientFinal } = answerChallenge(
        'sha256',
        'pencil',
        'n,,',
        bare,
        challengeOf(await say(exchange, `n,,${bare}`)),
      )
      expect((await say(exchange, clientFinal)).kind).to.equal('success')
      expect(await say(exchange, clientFinal)).to.deep.equal({ kind: 'failure', condition: 'malformed-request' })
    })

    it('allows one guess per challenge', async () => {
      const exchange = start()
      const bare = 'n=olga,r=x'
      const serverFirst = challengeOf(await say(exchange, `n,,${bare}`))
      await say(exchange, answerChallenge('sha256', 'wrong', 'n,,', bare, serverFirst).clientFinal)
      const { clientFinal } = answerChallenge('sha256', 'pencil', 'n,,', bare, serverFirst)
      expect((await say(exchange, clientFinal)).kind).to.equal('failure')
    })

    it('makes a new nonce for each exchange', async () => {
      const nonces = await Promise.all([1, 2, 3].map(async () => challengeOf(await say(start(), 'n,,n=olga,r=x'))))
      expect(new Set(nonces).size).to.equal(3)
    })

    it('refuses a message that does not wait for the challenge', async () => {
      const exchange = start()
      const both = await Promise.all([say(exchange, 'n,,n=olga,r=x'), say(exchange, 'n,,n=olga,r=x')])
      expect(both.map(step => step.kind)).to.deep.equal(['challenge', 'failure'])
    })
  })

  describe('RFC 5802 §6: channel binding', () => {
    const channelBinding = { type: 'tls-exporter', data: Buffer.alloc(32, 7) }

    it('accepts n, and y where -PLUS is not offered', async () => {
      for (const gs2Header of ['n,,', 'y,,']) {
        expect((await logIn(start(), 'olga', 'pencil', gs2Header)).end.kind, gs2Header).to.equal('success')
      }
    })

    it('refuses p without a channel binding, and under the name without -PLUS', async () => {
      for (const change of [{}, { channelBinding }]) {
        const step = await say(start(change), 'p=tls-exporter,,n=olga,r=x')
        expect(step).to.deep.equal({ kind: 'failure', condition: 'malformed-request' })
      }
    })

    it('takes y as a downgrade where -PLUS is offered, and still accepts n', async () => {
      const step = await say(start({ channelBinding }), 'y,,n=olga,r=x')
      expect(step).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
      expect((await logIn(start({ channelBinding }), 'olga', 'pencil')).end.kind).to.equal('success')
    })

    it('accepts -PLUS with the data of the connection and refuses other data', async () => {
      const header = 'p=tls-exporter,,'
      const plus = { isPlus: true, channelBinding }
      expect(start(plus).mechanism).to.equal('SCRAM-SHA-256-PLUS')
      const right = await logIn(start(plus), 'olga', 'pencil', header, 'sha256', channelBinding.data)
      expect(right.end.kind).to.equal('success')
      const wrong = await logIn(start(plus), 'olga', 'pencil', header, 'sha256', Buffer.alloc(32, 8))
      expect(wrong.end).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
    })

    it('refuses -PLUS without p, with another type, and where nothing is to be bound', async () => {
      const cases: [Partial<ScramOptions>, string][] = [
        [{ isPlus: true, channelBinding }, 'n,,'],
        [{ isPlus: true, channelBinding }, 'y,,'],
        [{ isPlus: true, channelBinding }, 'p=tls-unique,,'],
        [{ isPlus: true }, 'p=tls-exporter,,'],
      ]
      for (const [change, header] of cases) {
        const step = await say(start(change), `${header}n=olga,r=x`)
        expect(step, header).to.deep.equal({ kind: 'failure', condition: 'malformed-request' })
      }
    })

    it('refuses a second message that repeats another header than the first', async () => {
      const bare = 'n=olga,r=x'
      const exchange = start()
      const serverFirst = challengeOf(await say(exchange, `y,,${bare}`))
      const { clientFinal } = answerChallenge('sha256', 'pencil', 'n,,', bare, serverFirst)
      expect(await say(exchange, clientFinal)).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
    })
  })

  describe('RFC 6120 §6.3.8: authorization identity', () => {
    it('may be the account itself, in any spelling', async () => {
      for (const header of ['n,a=olga,', 'n,a=OLGA@north.example,']) {
        expect((await logIn(start(), 'olga', 'pencil', header)).end.kind, header).to.equal('success')
      }
    })

    it('may not be another one', async () => {
      for (const header of ['n,a=pavel@north.example,', 'n,a=olga@elsewhere.example,']) {
        const { end } = await logIn(start(), 'olga', 'pencil', header)
        expect(end, header).to.deep.equal({ kind: 'failure', condition: 'invalid-authzid' })
      }
    })

    it('tells nothing to those who do not know the password', async () => {
      const { end } = await logIn(start(), 'olga', 'wrong', 'n,a=pavel@north.example,')
      expect(end).to.deep.equal({ kind: 'failure', condition: 'not-authorized' })
    })
  })

  it('RFC 6120 §6.5.11: a store that fails is a temporary failure, and is logged', async () => {
    const events: string[] = []
    const log = { ...silentLog, error: (event: string) => void events.push(event) }
    const accounts = { credentials: () => Promise.reject(new Error('disk')) }
    const step = await say(start({ accounts, log }), 'n,,n=olga,r=x')
    expect(step).to.deep.equal({ kind: 'failure', condition: 'temporary-auth-failure' })
    expect(events).to.deep.equal(['sasl-failed'])
  })
})
