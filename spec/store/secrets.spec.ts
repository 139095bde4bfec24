import { expect } from 'chai'
import { silentLog } from '../../lib/base/log.js'
import { openStore } from '../../lib/store/store.js'

describe('Secrets', () => {
  const open = () => openStore({ url: ':memory:', dataDirectory: '.', log: silentLog })

  it('XEP-0185: are 256 bits, made once', async () => {
    const store = await open()
    const asked = await Promise.all([1, 2, 3].map(() => store.secrets.dialbackSecret()))
    expect(asked[0]).to.match(/^[0-9a-f]{64}$/)
    expect(new Set(asked).size).to.equal(1)
    await store.close()
  })

  it('differ by purpose and by installation', async () => {
    const stores = [await open(), await open()]
    const all = await Promise.all(stores.flatMap(({ secrets }) => [secrets.dialbackSecret(), secrets.fakeSaltSecret()]))
    expect(new Set(all).size).to.equal(4)
    await Promise.all(stores.map(store => store.close()))
  })
})
