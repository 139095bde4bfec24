/** The stream root and its own children (RFC 6120 §4.8.1). */
export const NS_STREAMS = 'http://etherx.jabber.org/streams'
/** Content namespace of a stream between servers (RFC 6120 §4.8.2). */
export const NS_SERVER = 'jabber:server'
/** Content namespace of a stream between client and server (RFC 6120 §4.8.2). */
export const NS_CLIENT = 'jabber:client'
/** Conditions of a stream error (RFC 6120 §4.9.2). */
export const NS_STREAM_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams'
/** Conditions of a stanza error (RFC 6120 §8.3.2). */
export const NS_STANZA_ERRORS = 'urn:ietf:params:xml:ns:xmpp-stanzas'
/** STARTTLS negotiation (RFC 6120 §5.4). */
export const NS_TLS = 'urn:ietf:params:xml:ns:xmpp-tls'
/** SASL negotiation (RFC 6120 §6.4). */
export const NS_SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
/** A component's stream and handshake (XEP-0114 §3). */
export const NS_COMPONENT = 'jabber:component:accept'
/**
 * Namespaces of stanzas and of what belongs to them (RFC 6120 §4.8.3, XEP-0114 §3): which of them is meant depends only on
 * the stream.
 */
export const CONTENT_NAMESPACES: readonly string[] = [NS_SERVER, NS_CLIENT, NS_COMPONENT]
/** Dialback requests and answers (XEP-0220 §2). */
export const NS_DIALBACK = 'jabber:server:dialback'
/** The dialback stream feature (XEP-0220 §2.3). */
export const NS_DIALBACK_FEATURE = 'urn:xmpp:features:dialback'
/** Limits a stream announces (XEP-0478 §2). */
export const NS_STREAM_LIMITS = 'urn:xmpp:stream-limits:0'
/** Ping (XEP-0199 §2). */
export const NS_PING = 'urn:xmpp:ping'
/** Service discovery: identity and features (XEP-0030 §3). */
export const NS_DISCO_INFO = 'http://jabber.org/protocol/disco#info'
/** What the prefix `xml` always stands for (Namespaces in XML 1.0 §3). */
export const NS_XML = 'http://www.w3.org/XML/1998/namespace'
/** What the prefix `xmlns` always stands for (Namespaces in XML 1.0 §3). */
export const NS_XMLNS = 'http://www.w3.org/2000/xmlns/'
