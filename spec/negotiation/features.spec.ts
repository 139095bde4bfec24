import { expect } from 'chai'
import { type Features, readFeatures, writeFeatures } from '../../lib/negotiation/features.js'
import { createElement, type Element } from '../../lib/xml/element.js'
import { NS_STREAM_LIMITS, NS_STREAMS } from '../../lib/xml/namespaces.js'

describe('stream features', () => {
  describe('limits', () => {
    function limits(...children: readonly (readonly [name: string, text: string, namespace?: string])[]): Element {
      const inner = children.map(([name, text, xmlns = NS_STREAM_LIMITS]) => createElement(name, { xmlns }, text))
      return createElement(
        'features',
        { xmlns: NS_STREAMS },
        createElement('limits', { xmlns: NS_STREAM_LIMITS }, ...inner),
      )
    }

    const written: readonly (readonly [what: Features['limits'], xml: string])[] = [
      [{ maxBytes: 262_144, idleSeconds: 1800 }, '<max-bytes>262144</max-bytes><idle-seconds>1800</idle-seconds>'],
      [{ maxBytes: 262_144 }, '<max-bytes>262144</max-bytes>'],
    ]
    for (const [what, xml] of written) {
      it(`XEP-0478 §3.1: ${JSON.stringify(what)} is written as one element`, () => {
        expect(writeFeatures({ limits: what! })).to.equal(
          `<stream:features><limits xmlns='urn:xmpp:stream-limits:0'>${xml}</limits></stream:features>`,
        )
      })
    }

    const read: readonly (readonly [name: string, features: Element, seen: Features['limits']])[] = [
      ['both', limits(['max-bytes', '20000'], ['idle-seconds', '600']), { maxBytes: 20_000, idleSeconds: 600 }],
      ['white space around a number', limits(['max-bytes', '\n 20000 ']), { maxBytes: 20_000 }],
      ['the first of two', limits(['max-bytes', '20000'], ['max-bytes', '30000']), { maxBytes: 20_000 }],
      ['an element without anything', limits(), {}],
      ['no limits', createElement('features', { xmlns: NS_STREAMS }), undefined],
      ['zero', limits(['max-bytes', '0'], ['idle-seconds', '0']), {}],
      ['no number', limits(['max-bytes', '10k'], ['idle-seconds', '-5']), {}],
      ['a number beyond measure', limits(['max-bytes', '9'.repeat(16)], ['idle-seconds', '1e9']), {}],
      ['another namespace', limits(['max-bytes', '20000', 'urn:other']), {}],
      ['less than RFC 6120 §13.12 allows', limits(['max-bytes', '9999']), { maxBytes: 10_000 }],
    ]
    for (const [name, features, seen] of read) {
      it(`XEP-0478 §3.1: ${name} is read as ${JSON.stringify(seen)}`, () => {
        expect(readFeatures(features).limits).to.deep.equal(seen)
      })
    }
  })
})
