/**
 * What a client of AMQP 0-9-1 sends first (§4.2.2), and what it is answered with, before the connection is closed, if it
 * sent anything else.
 */
export const protocolHeader = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');

/** The header of 0-9, which RabbitMQ takes for 0-9-1's. */
const olderHeader = Buffer.from('AMQP\x01\x01\x00\x09', 'latin1');

export type HeaderVerdict = 'accepted' | 'incomplete' | 'refused';

/**
 * Judges the first octets of a connection; frames begin at octet 8 of what is accepted. Something else is refused at its
 * first wrong octet, where RabbitMQ waits for eight.
 */
export function judgeProtocolHeader(received: Uint8Array): HeaderVerdict {
  const given = received.subarray(0, protocolHeader.length);
  const isBegun = [protocolHeader, olderHeader].some(header => header.subarray(0, given.length).equals(given));
  if (!isBegun) return 'refused';
  return given.length === protocolHeader.length ? 'accepted' : 'incomplete';
}
