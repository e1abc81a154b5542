import type { Socket } from 'node:net';

const requestHead = /^[A-Z-]+ \S+ HTTP\/1\.1\r\n/;
const unasked = /^HTTP\/1\.[01] 100[ \r]/;
/** Octets of such a response at most; a longer one goes on as it is, and breaks. */
const limit = 4 * 1024;
const empty: Buffer = Buffer.alloc(0);

/**
 * Takes `100 Continue` out of what a connection to an upstream brings before a response. "A client MUST be able to parse one or more 1xx
 * responses received prior to a final response, even if the client does not expect one" (RFC 9110 §15.2), and undici breaks off at this one.
 * Nothing is looked at but the first octets after each request's head: in a body the same octets stay.
 */
export function dropContinue(socket: Socket): void {
  const write = socket.write.bind(socket);
  const read = socket.read.bind(socket);
  let isBeginning = false;
  let held = empty;

  const watchedWrite = (octets: string | Uint8Array, ...rest: [BufferEncoding?]): boolean => {
    // undici writes heads as strings, and of what else it writes so nothing looks like one.
    if (typeof octets === 'string' && requestHead.test(octets)) isBeginning = true;
    return write(octets, ...rest);
  };
  const filteredRead = (size?: number): Buffer | null => {
    const octets: Buffer | null = read(size);
    if (!isBeginning || octets === null) return octets;
    held = held.length > 0 ? Buffer.concat([held, octets]) : octets;
    while (held.length > 0) {
      const text = held.toString('latin1', 0, limit);
      if (unasked.test(text)) {
        const end = text.indexOf('\r\n\r\n');
        if (end >= 0) held = held.subarray(end + 4);
        else if (held.length < limit) return null;
        else break;
      } else if (isPrefix(text)) return null;
      else break;
    }
    if (held.length === 0) return null;
    const rest = held;
    held = empty;
    isBeginning = false;
    return rest;
  };
  Object.assign(socket, { write: watchedWrite, read: filteredRead });
}

/** May become one with what is to come. */
function isPrefix(text: string): boolean {
  return 'HTTP/1.1 100 '.startsWith(text) || 'HTTP/1.0 100 '.startsWith(text);
}
