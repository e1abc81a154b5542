import { AmqpError } from './error.ts';

/** Tables and arrays in one another, the outermost counted. RabbitMQ knows no bound. */
export const maxDepth = 32;

const unknown = 0xff;
const counted = 0xfe;

/** How many octets follow each type letter; `counted`: as many as the 32-bit number there says. */
const extents = new Uint8Array(256).fill(unknown);
const known = { t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, l: 8, L: 8, f: 4, d: 8, T: 8, D: 5, V: 0 };
for (const [letter, octets] of Object.entries(known)) extents[letter.charCodeAt(0)] = octets;
for (const letter of 'SxFA') extents[letter.charCodeAt(0)] = counted;

const tableLetter = 0x46;
const arrayLetter = 0x41;

/**
 * Where the field ends whose name begins at `at`. Checks its value and all that is in it, makes nothing.
 * @param end where the table's fields end
 * @throws AmqpError 502 on what `decodeTable` would refuse
 */
export function fieldEnd(bytes: Buffer, at: number, end: number, depth = 1): number {
  return valueEnd(bytes, at + 1 + (bytes[at] as number), end, depth);
}

/** Refuses what `decodeTable` would refuse, without decoding. @throws AmqpError 502 */
export function checkTable(bytes: Buffer, start: number, end: number, depth = 1): void {
  checkDepth(depth);
  for (let at = start; at < end; ) at = fieldEnd(bytes, at, end, depth);
}

function checkArray(bytes: Buffer, start: number, end: number, depth: number): void {
  checkDepth(depth);
  for (let at = start; at < end; ) at = valueEnd(bytes, at, end, depth);
}

/** @param at of the type letter; may lie behind the end */
function valueEnd(bytes: Buffer, at: number, end: number, depth: number): number {
  if (at >= end) throw new AmqpError(502, 'a field without a value');
  const letter = bytes[at] as number;
  const extent = extents[letter] as number;
  if (extent < counted) {
    const valueEnds = at + 1 + extent;
    if (valueEnds > end) throw overrun();
    return valueEnds;
  }
  if (extent === unknown) throw new AmqpError(502, `a field of unknown type ${letter}`);
  const start = at + 5;
  if (start > end) throw overrun();
  const valueEnds = start + bytes.readUInt32BE(at + 1);
  if (valueEnds > end) throw overrun();
  if (letter === tableLetter) checkTable(bytes, start, valueEnds, depth + 1);
  else if (letter === arrayLetter) checkArray(bytes, start, valueEnds, depth + 1);
  return valueEnds;
}

function overrun(): AmqpError {
  return new AmqpError(502, 'a field longer than its table');
}

export function checkDepth(depth: number): void {
  if (depth > maxDepth) throw new AmqpError(502, `a field table nested deeper than ${maxDepth}`);
}
