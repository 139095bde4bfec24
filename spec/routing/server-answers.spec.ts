import { expect } from 'chai'
import { answerForServer } from '../../lib/routing/server-answers.js'
import { attributeOf, childrenOf, createElement, localNameOf } from '../../lib/xml/element.js'
import { NS_DISCO_INFO, NS_PING } from '../../lib/xml/namespaces.js'
import { stanza } from './fixture.js'

const SERVER = 'north.example'
const ping = createElement('ping', { xmlns: NS_PING })
const query = createElement('query', { xmlns: NS_DISCO_INFO })

describe('answers of the server', () => {
  it('XEP-0199 §4.2: a ping of the server, or of an account, is answered with an empty result', () => {
    for (const to of [SERVER, 'olga@north.example']) {
      const answer = answerForServer(stanza('iq', to, 'get', [ping]))
      expect([answer?.kind, answer?.type, answer?.id]).to.deep.equal(['iq', 'result', 'id1'])
      expect([String(answer?.from), String(answer?.to)]).to.deep.equal([to, 'ivo@south.example/home'])
      expect(answer?.inner).to.have.length(0)
    }
  })

  it('XEP-0030 §3.1: the server says what it is and what it knows: itself first, each feature once', () => {
    const answer = answerForServer(stanza('iq', SERVER, 'get', [query]))
    const told = answer?.childNamed('query', NS_DISCO_INFO)
    const children = told === undefined ? [] : childrenOf(told)
    expect(children.map(localNameOf)).to.deep.equal(['identity', 'feature', 'feature'])
    expect(children.slice(0, 1).map(one => [attributeOf(one, 'category'), attributeOf(one, 'type')])).to.deep.equal([
      ['server', 'im'],
    ])
    const features = children.slice(1).map(one => attributeOf(one, 'var'))
    expect(features).to.have.members([NS_DISCO_INFO, NS_PING])
    expect(new Set(features).size).to.equal(features.length)
  })

  it('XEP-0030 §8: an account tells strangers nothing of itself', () => {
    expect(answerForServer(stanza('iq', 'olga@north.example', 'get', [query]))).to.equal(undefined)
  })

  it('a request that is no question, that is unknown, or in another namespace is not answered here', () => {
    for (const given of [
      stanza('iq', SERVER, 'set', [ping]),
      stanza('iq', SERVER, 'result', [ping]),
      stanza('iq', SERVER, 'error', [ping]),
      stanza('message', SERVER, 'get', [ping]),
      stanza('presence', SERVER, 'get', [ping]),
      stanza('iq', SERVER, 'get', [createElement('ping', { xmlns: 'urn:example:ping' })]),
      stanza('iq', SERVER, 'get', [createElement('query', { xmlns: 'jabber:iq:version' })]),
      stanza('iq', SERVER, 'get', []),
    ]) {
      expect(answerForServer(given), String(given.serialize())).to.equal(undefined)
    }
  })
})
