import { expect } from 'chai'
import { ServedDomains } from '../../lib/service/served-domains.js'

describe('served domains', () => {
  it('RFC 6120 §4.9.3.5, §4.9.3.6: a domain served earlier is gone, one never served is foreign', () => {
    const domains = new ServedDomains(['north.example', 'west.example'])
    expect(domains.state('west.example')).to.equal('served')
    expect(domains.state('south.example')).to.equal('foreign')
    domains.replace(['north.example', 'east.example'])
    expect(
      ['north.example', 'east.example', 'west.example', 'south.example'].map(name => domains.state(name)),
    ).to.deep.equal(['served', 'served', 'gone', 'foreign'])
    expect(domains.list).to.deep.equal(['north.example', 'east.example'])
    expect([domains.serves('west.example'), domains.serves('east.example')]).to.deep.equal([false, true])
  })

  it('a domain that comes back is served again', () => {
    const domains = new ServedDomains(['west.example'])
    domains.replace(['north.example'])
    domains.replace(['north.example', 'west.example'])
    expect(domains.state('west.example')).to.equal('served')
    domains.replace(['west.example'])
    expect([domains.state('west.example'), domains.state('north.example')]).to.deep.equal(['served', 'gone'])
  })

  it('a domain says nothing about those above or below it', () => {
    const domains = new ServedDomains(['north.example'])
    expect([domains.serves('chat.north.example'), domains.serves('example')]).to.deep.equal([false, false])
  })
})
