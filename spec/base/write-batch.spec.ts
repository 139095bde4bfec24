import { expect } from 'chai'
import { WriteBatch } from '../../lib/base/write-batch.js'

describe('write batch', () => {
  it('joins text in order and says when it was empty', () => {
    const batch = new WriteBatch()
    expect(batch.take()).to.equal(undefined)
    expect([batch.add('a'), batch.add('ü'), batch.add('c')]).to.deep.equal([true, false, false])
    expect(batch.bytes).to.equal(3)
    expect(batch.take()).to.equal('aüc')
    expect([batch.bytes, batch.take()]).to.deep.equal([0, undefined])
  })

  it('joins text and bytes as bytes', () => {
    const batch = new WriteBatch()
    batch.add('ü')
    batch.add(Buffer.from([0]))
    expect(batch.take()).to.deep.equal(Buffer.from([0xc3, 0xbc, 0]))
  })

  it('hands a single part on as it is', () => {
    const batch = new WriteBatch()
    const part = Buffer.from('x')
    batch.add(part)
    expect(batch.take()).to.equal(part)
  })

  it('forgets what it held', () => {
    const batch = new WriteBatch()
    batch.add(Buffer.from('x'))
    batch.clear()
    expect([batch.bytes, batch.take()]).to.deep.equal([0, undefined])
  })
})
