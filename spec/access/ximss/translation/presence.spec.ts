import { expect } from 'chai'
import { writeMessage } from '../../../../lib/access/ximss/data-message.js'
import { readPresence, writePresence } from '../../../../lib/access/ximss/translation/presence.js'
import { jids, requestOf, stanzaOf } from './request-of.js'

const sent = (text: string): string => readPresence(requestOf(text), jids).serialize().toString()
const shown = (text: string): string | undefined => {
  const message = writePresence(stanzaOf(text))
  return message === undefined ? undefined : writeMessage(message)
}
const state = (word: string, more = ''): string =>
  `<presenceSet id="1"><presence>${word}</presence>${more}</presenceSet>`

describe('XIMSS presence', () => {
  describe('presenceSet', () => {
    const shows: [string, string][] = [
      ['online', ''],
      ['away', 'away'],
      ['be-back', 'away'],
      ['out-lunch', 'xa'],
      ['busy', 'dnd'],
      ['in-meeting', 'dnd'],
      ['on-phone', 'dnd'],
    ]
    for (const [word, show] of shows) {
      it(`${word} shows as ${show || 'nothing'}`, () => {
        const expected = show === '' ? '<presence/>' : `<presence><show>${show}</show></presence>`
        expect(sent(state(word))).to.equal(expected)
      })
    }

    for (const word of ['offline', 'invisible']) {
      it(`${word} is unavailable`, () => {
        expect(sent(state(word, '<status>bye</status>'))).to.equal(
          `<presence type='unavailable'><status>bye</status></presence>`,
        )
      })
    }

    const table: [string, string][] = [
      ['<presenceSet/>', '<presence/>'],
      ['<presenceSet type="available"/>', '<presence/>'],
      ['<presenceSet type="unavailable"/>', `<presence type='unavailable'/>`],
      [state('online', '<status/>'), '<presence><status/></presence>'],
      [state('fishing'), '<presence><status>fishing</status></presence>'],
      [state('constructor', '<status/>'), '<presence><status>constructor</status></presence>'],
      [state('fishing', '<status>till noon</status>'), '<presence><status>till noon</status></presence>'],
      [state('away', '<show>xa</show>'), '<presence><show>xa</show></presence>'],
      [state('online', '<show>chat</show>'), '<presence><show>chat</show></presence>'],
      [state('away', '<show>rubbish</show>'), '<presence><show>away</show></presence>'],
      [state('online', '<priority> -5 </priority>'), '<presence><priority>-5</priority></presence>'],
      [
        state('busy', '<status>s</status><priority>1</priority><x xmlns="vcard-temp:x:update"><photo>h</photo></x>'),
        `<presence><show>dnd</show><status>s</status><priority>1</priority><x xmlns='vcard-temp:x:update'><photo>h</photo></x></presence>`,
      ],
      [
        '<presenceSet peer="ivo@south.example/home"><presence>away</presence></presenceSet>',
        `<presence to='ivo@south.example/home'><show>away</show></presence>`,
      ],
      [
        '<presenceSet peer="ivo@south.example" type="unavailable"/>',
        `<presence to='ivo@south.example' type='unavailable'/>`,
      ],
      [
        '<presenceSet peer="ivo@south.example/home" type="subscribe"><status>me</status></presenceSet>',
        `<presence to='ivo@south.example' type='subscribe'><status>me</status></presence>`,
      ],
      [
        '<presenceSet peer="ivo@south.example/home" type="probe"/>',
        `<presence to='ivo@south.example/home' type='probe'/>`,
      ],
    ]
    for (const [request, stanza] of table) it(`${request} is ${stanza}`, () => expect(sent(request)).to.equal(stanza))

    const refused: [string, string][] = [
      ['<presenceSet type="subscribe"/>', 'peer'],
      ['<presenceSet type="subscribed" peer="a@b@c"/>', 'peer'],
      ['<presenceSet type="error" peer="a@b.example"/>', 'type'],
      ['<presenceSet type="invisible"/>', 'type'],
      [state('online', '<priority>128</priority>'), 'priority'],
      [state('online', '<priority>high</priority>'), 'priority'],
    ]
    for (const [request, name] of refused) {
      it(`${request} fails with 501 naming ${name}`, () => {
        expect(() => sent(request))
          .to.throw(`missing or illegal parameter: ${name}`)
          .with.property('number', 501)
      })
    }
  })

  describe('presence', () => {
    const table: [string, string | undefined][] = [
      [
        `<presence from='ivo@south.example/home'/>`,
        '<presence peer="ivo@south.example" clientID="home"><presence>online</presence></presence>',
      ],
      [
        `<presence from='ivo@south.example'><show>chat</show><priority>5</priority></presence>`,
        '<presence peer="ivo@south.example"><presence>online</presence><show>chat</show></presence>',
      ],
      [
        `<presence from='ivo@south.example'><show>away</show><status>tea</status></presence>`,
        '<presence peer="ivo@south.example"><presence>away</presence><show>away</show><status>tea</status></presence>',
      ],
      [
        `<presence from='ivo@south.example'><show>xa</show></presence>`,
        '<presence peer="ivo@south.example"><presence>away</presence><show>xa</show></presence>',
      ],
      [
        `<presence from='ivo@south.example'><show>dnd</show></presence>`,
        '<presence peer="ivo@south.example"><presence>busy</presence><show>dnd</show></presence>',
      ],
      [
        `<presence from='ivo@south.example'><show>toString</show></presence>`,
        '<presence peer="ivo@south.example"><presence>online</presence></presence>',
      ],
      [
        `<presence from='ivo@south.example' type='unavailable'><show>away</show></presence>`,
        '<presence peer="ivo@south.example" type="unavailable"/>',
      ],
      [
        `<presence from='ivo@south.example'><x xmlns='vcard-temp:x:update'><photo>h</photo></x></presence>`,
        '<presence peer="ivo@south.example"><presence>online</presence><x xmlns="vcard-temp:x:update"><photo>h</photo></x></presence>',
      ],
      [
        `<presence from='ivo@south.example' type='subscribe'><status>me</status></presence>`,
        '<presence peer="ivo@south.example" type="subscribe"><status>me</status></presence>',
      ],
      [
        `<presence from='ivo@south.example' type='unsubscribed'/>`,
        '<presence peer="ivo@south.example" type="unsubscribed"/>',
      ],
      [`<presence from='ivo@south.example' type='probe'/>`, undefined],
      [
        `<presence from='south.example' type='error'><error type='cancel'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`,
        '<presence peer="south.example" type="error" errorText="remote server timeout" errorCondition="remote-server-timeout"/>',
      ],
    ]
    for (const [stanza, message] of table) it(`${stanza} is ${message}`, () => expect(shown(stanza)).to.equal(message))
  })
})
