import { expect } from 'chai'
import { writeMessage } from '../../../../lib/access/ximss/data-message.js'
import { readIq, writeIqRead } from '../../../../lib/access/ximss/translation/iq.js'
import { jids, requestOf, stanzaOf } from './request-of.js'

const sent = (text: string): string => readIq(requestOf(text), jids).serialize().toString()
const shown = (text: string): string => writeMessage(writeIqRead(stanzaOf(text)))

describe('XIMSS IQ', () => {
  const table: [string, string][] = [
    [
      '<iqSend id="q1" type="get" peer="ivo@south.example" iqid="v7"><vCard xmlns="vcard-temp"/></iqSend>',
      `<iq to='ivo@south.example' id='v7' type='get'><vCard xmlns='vcard-temp'/></iq>`,
    ],
    [
      '<iqSend xmlns:v="vcard-temp" type="set" peer="ivo@south.example" iqid="v7"> <v:vCard v:a="1"><FN>I</FN></v:vCard> </iqSend>',
      `<iq to='ivo@south.example' id='v7' type='set'><v:vCard xmlns:v='vcard-temp' v:a='1'><FN xmlns=''>I</FN></v:vCard></iq>`,
    ],
    [
      '<iqSend type="result" peer="ivo@south.example/h" iqid="v7"/>',
      `<iq to='ivo@south.example/h' id='v7' type='result'/>`,
    ],
    ['<iqSend type="get" iqid="v7"><q xmlns="urn:q"/></iqSend>', `<iq id='v7' type='get'><q xmlns='urn:q'/></iq>`],
    [
      '<iqSend xmlns:s="urn:ietf:params:xml:ns:xmpp-stanzas" type="error" peer="a@b.example" iqid="v7"><q xmlns="urn:q"/>' +
        '<error type="modify"><s:bad-request/><more/></error></iqSend>',
      `<iq to='a@b.example' id='v7' type='error'><q xmlns='urn:q'/><error type='modify'>` +
        `<s:bad-request xmlns:s='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
    ],
  ]
  for (const [request, stanza] of table) it(`${request} is ${stanza}`, () => expect(sent(request)).to.equal(stanza))

  it('RFC 6120 §8.1.3: a request without iqid gets an id', () => {
    const request = '<iqSend type="get" peer="a@b.example"><q xmlns="urn:q"/></iqSend>'
    expect(sent(request)).to.match(/^<iq to='a@b.example' id='[0-9a-f]{16}' type='get'>/)
    expect(sent(request)).not.to.equal(sent(request))
  })

  const refused: [string, string][] = [
    ['<iqSend peer="a@b.example" iqid="1"><q xmlns="urn:q"/></iqSend>', 'type'],
    ['<iqSend type="put" peer="a@b.example" iqid="1"><q xmlns="urn:q"/></iqSend>', 'type'],
    ['<iqSend type="get" peer="a@@b" iqid="1"><q xmlns="urn:q"/></iqSend>', 'peer'],
    ['<iqSend type="get" peer="" iqid="1"><q xmlns="urn:q"/></iqSend>', 'peer'],
    ['<iqSend type="get" peer="a@b.example" iqid="1"/>', 'payload'],
    ['<iqSend type="get" peer="a@b.example" iqid="1"><q/></iqSend>', 'payload'],
    ['<iqSend type="get" peer="a@b.example" iqid="1"><error xmlns="jabber:client"/></iqSend>', 'payload'],
    ['<iqSend type="get" peer="a@b.example" iqid="1"><q xmlns="urn:q"/><q xmlns="urn:q"/></iqSend>', 'payload'],
    ['<iqSend type="result" peer="a@b.example" iqid="1"><q/></iqSend>', 'payload'],
    ['<iqSend type="result" peer="a@b.example"/>', 'iqid'],
    ['<iqSend type="error" peer="a@b.example" iqid="1"/>', 'error'],
  ]
  for (const [request, name] of refused) {
    it(`${request} fails with 501 naming ${name}`, () => {
      expect(() => sent(request))
        .to.throw(`missing or illegal parameter: ${name}`)
        .with.property('number', 501)
    })
  }

  it('iqRead names the full address, which an answer must be sent to', () => {
    expect(
      shown(
        `<iq from='ivo@south.example/home' id='v7' type='result'><vCard xmlns='vcard-temp'><FN>Ivo</FN></vCard></iq>`,
      ),
    ).to.equal(
      '<iqRead peer="ivo@south.example/home" clientID="home" type="result" iqid="v7"><vCard xmlns="vcard-temp"><FN>Ivo</FN></vCard></iqRead>',
    )
  })

  it('RFC 6120 §8.3: an error is told in words and as it came', () => {
    const condition = `<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`
    expect(
      shown(`<iq from='south.example' id='v7' type='error'><error type='cancel'>${condition}</error></iq>`),
    ).to.equal(
      '<iqRead peer="south.example" type="error" iqid="v7" errorText="service unavailable" errorCondition="service-unavailable">' +
        '<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iqRead>',
    )
  })
})
