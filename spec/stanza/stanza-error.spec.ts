import { expect } from 'chai'
import { Jids } from '../../lib/stanza/jid.js'
import { Stanza } from '../../lib/stanza/stanza.js'
import { errorReply, readError, STANZA_ERROR_CONDITIONS, StanzaError } from '../../lib/stanza/stanza-error.js'
import { createElement } from '../../lib/xml/element.js'
import { NS_STANZA_ERRORS } from '../../lib/xml/namespaces.js'

const jids = new Jids()
const [ADA, IVO] = [jids.parse('ada@a.example/x')!, jids.parse('ivo@b.example')!]
const REQUEST = Stanza.build('iq', { from: ADA, to: IVO, id: 'q1', type: 'get' }, [
  createElement('query', { xmlns: 'u' }),
])

describe('stanza errors', () => {
  it('RFC 6120 §8.3.1: the answer swaps the addresses and keeps kind and id', () => {
    const error = new StanzaError('not-allowed', { text: 'a < b', by: IVO })
    expect(errorReply(REQUEST, error).serialize().toString()).to.equal(
      "<iq from='ivo@b.example' to='ada@a.example/x' id='q1' type='error'><error type='cancel' by='ivo@b.example'>" +
        "<not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>" +
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>a &lt; b</text></error></iq>",
    )
  })

  it('RFC 6120 §8.3.1, §8.2.3: an error or a result is never answered', () => {
    const reply = errorReply(REQUEST, new StanzaError('gone'))
    expect(() => errorReply(reply, new StanzaError('gone'))).to.throw(TypeError)
    expect(() => errorReply(Stanza.build('iq', { type: 'result' }), new StanzaError('gone'))).to.throw(TypeError)
  })

  it('RFC 6120 §8.3.3: all 22 conditions are written and read', () => {
    expect(STANZA_ERROR_CONDITIONS).to.have.length(22)
    for (const condition of STANZA_ERROR_CONDITIONS) {
      const read = readError(errorReply(REQUEST, new StanzaError(condition, { text: 'why' })))
      expect(read).to.deep.equal(new StanzaError(condition, { text: 'why' }))
    }
    expect(new StanzaError('remote-server-timeout').type).to.equal('wait')
    expect(new StanzaError('remote-server-timeout', { type: 'cancel' }).type).to.equal('cancel')
  })

  it('RFC 6120 §8.3.3.21: what is missing or unknown reads as undefined-condition', () => {
    const read = (...children: Parameters<typeof Stanza.build>[2][]) =>
      readError(
        Stanza.build(
          'message',
          { type: 'error' },
          children.flatMap(child => child ?? []),
        ),
      )
    expect(read()?.condition).to.equal('undefined-condition')
    const odd = createElement(
      'error',
      { type: 'fatal' },
      createElement('gone', { xmlns: 'u' }),
      createElement('constructor', { xmlns: NS_STANZA_ERRORS }),
    )
    expect(read([odd])).to.deep.equal(new StanzaError('undefined-condition'))
    expect(readError(REQUEST)).to.equal(undefined)
  })
})
