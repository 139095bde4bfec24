import { expect } from 'chai'
import { federationRules } from '../../lib/policy/federation-policy.js'

describe('federation policy', () => {
  for (const tlsPolicy of ['disabled', 'optional', 'required'] as const) {
    for (const strictValidation of [true, false]) {
      for (const dialbackEnabled of [true, false]) {
        it(`tls ${tlsPolicy}, strict ${strictValidation}, dialback ${dialbackEnabled}: each setting rules its own part`, () => {
          const settings = Object.freeze({ tlsPolicy, strictValidation, dialbackEnabled })
          expect(federationRules(settings)).to.deep.equal({
            tls: tlsPolicy,
            strict: strictValidation,
            external: true,
            dialback: dialbackEnabled,
          })
        })
      }
    }
  }
})
