import { expect } from 'chai'
import { DomainPair } from '../../lib/stanza/domain-pair.js'

describe('domain pair', () => {
  it('RFC 7622 §3.2: every spelling of two names gives one pair', () => {
    const keys = new Set<string | undefined>()
    for (const local of ['example.com', 'EXAMPLE.com', 'example.com.', 'example\u3002com', '\uFF45xample.com']) {
      for (const remote of [
        'b\u00FCcher.example',
        'BU\u0308CHER.example',
        'xn--bcher-kva.example',
        'Xn--Bcher-KVA.example.',
      ]) {
        keys.add(DomainPair.of(local, remote)?.key)
      }
    }
    expect([...keys]).to.deep.equal([new DomainPair('example.com', 'b\u00FCcher.example').key])
  })

  it('different pairs have different keys', () => {
    const names = ['a', 'b', 'a.b', 'b.a', 'stra\u00DFe.de', 'strasse.de', 'constructor']
    const keys = names.flatMap(local => names.map(remote => new DomainPair(local, remote).key))
    expect(new Set(keys).size).to.equal(names.length ** 2)
  })

  it('RFC 7622 §3.2: there is no pair with a name that is none', () => {
    expect(DomainPair.of('example.com', 'a..b')).to.equal(undefined)
    expect(DomainPair.of('__proto__', 'example.com')).to.equal(undefined)
    expect(DomainPair.of('example.com', 'example.org:5269')).to.equal(undefined)
  })

  it('reads as an arrow from ours to theirs', () => {
    expect(String(DomainPair.of('Montague.example', 'capulet.example'))).to.equal('montague.example → capulet.example')
  })
})
