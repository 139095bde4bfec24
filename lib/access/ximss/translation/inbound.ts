import type { Stanza } from '../../../stanza/stanza.js'
import type { DataMessage } from '../data-message.js'
import { writeIqRead } from './iq.js'
import { writeReadIm } from './message.js'
import { writePresence } from './presence.js'

/** A stanza as the asynchronous message that shows it; undefined when it says nothing to a client. */
export function toDataMessage(stanza: Stanza, isNewForm: boolean): DataMessage | undefined {
  switch (stanza.kind) {
    case 'message':
      return writeReadIm(stanza, isNewForm)
    case 'presence':
      return writePresence(stanza)
    case 'iq':
      return writeIqRead(stanza)
  }
}
