import { escapeAttribute } from '../../xml/serializer.js'

/** A message to the client: its name, its attributes in order (undefined ones are left out), its content as XML text. */
export interface DataMessage {
  readonly name: string
  readonly attributes: Readonly<Record<string, string | undefined>>
  readonly content?: string
}

/**
 * The text of a message as clients want it: no XML declaration, no white space around it, double quotes. `id` comes first, because
 * there are clients that look for `<response id=`; without `id` it is an asynchronous message.
 */
export function writeMessage({ name, attributes, content = '' }: DataMessage, id?: string): string {
  let tag = `<${name}`
  if (id !== undefined) tag += attributeText('id', id)
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined) tag += attributeText(attribute, value)
  }
  return content === '' ? `${tag}/>` : `${tag}>${content}</${name}>`
}

function attributeText(name: string, value: string): string {
  return ` ${name}="${escapeAttribute(value)}"`
}
