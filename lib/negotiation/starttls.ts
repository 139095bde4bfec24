import { NS_TLS } from '../xml/namespaces.js'

/** The elements of RFC 6120 §5.4. */
export const STARTTLS_REQUEST = `<starttls xmlns='${NS_TLS}'/>`
export const STARTTLS_PROCEED = `<proceed xmlns='${NS_TLS}'/>`
export const STARTTLS_FAILURE = `<failure xmlns='${NS_TLS}'/>`
