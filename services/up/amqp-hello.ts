import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Failure, messageOf } from '../lib/failure.ts';

/** Methods of class `connection` (AMQP 0-9-1, section 1.4.2). */
const connection = 10;
const method = { start: 10, startOk: 11, tune: 30, tuneOk: 31, open: 40, openOk: 41, close: 50, closeOk: 51 } as const;
const frameEnd = 0xce;

/**
 * Asks whoever listens at the URL whether it is an AMQP broker that has booted and takes this account: header, login,
 * open, close. By hand and not through the bus, because here "no" is an answer that is waited for.
 * @returns the broker's product and version from its handshake
 * @throws Failure BROKER_REFUSED (it answers, and does not take the account or the virtual host), BROKER_UNREACHABLE
 * (nobody listens, no answer within `timeoutMs`, or no AMQP)
 */
export async function askBroker(url: string, timeoutMs = 2_000): Promise<{ product: string; version: string }> {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const secure = protocol === 'amqps:';
  const where = { host: hostname, port: Number(port || (secure ? 5671 : 5672)) };
  const socket = secure ? connectTls({ ...where, servername: hostname }) : connectTcp(where);
  // Whatever happens to the socket after we are done with it is of no interest.
  socket.on('error', () => {});
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    await once(socket, secure ? 'secureConnect' : 'connect', { signal: deadline });
    const read = frameReader(socket, deadline);
    socket.write(Buffer.from('AMQP\x00\x00\x09\x01', 'latin1'));
    const properties = serverProperties((await expectMethod(read, method.start)).subarray(2));
    const response = `\0${decodeURIComponent(username)}\0${decodeURIComponent(password)}`;
    // Without this capability a refused login is answered by silence and a cut after seconds.
    const capabilities = table([shortString('authentication_failure_close'), Buffer.from('t\x01', 'latin1')]);
    const client = table([shortString('capabilities'), Buffer.from('F'), capabilities]);
    send(socket, method.startOk, [client, shortString('PLAIN'), longString(response), shortString('en_US')]);
    // Channel max, frame max, heartbeat: its own limits; no heartbeats, we are gone in a moment.
    const limits = (await expectMethod(read, method.tune)).subarray(0, 6);
    send(socket, method.tuneOk, [limits, Buffer.alloc(2)]);
    const vhost = pathname.length > 1 ? decodeURIComponent(pathname.slice(1)) : '/';
    send(socket, method.open, [shortString(vhost), shortString(''), Buffer.alloc(1)]);
    await expectMethod(read, method.openOk);
    send(socket, method.close, [Buffer.from([0, 200]), shortString('bye'), Buffer.alloc(4)]);
    await expectMethod(read, method.closeOk);
    return properties;
  } catch (error) {
    if (error instanceof Failure) throw error;
    const what = deadline.aborted ? `no answer within ${timeoutMs} ms` : messageOf(error);
    throw new Failure('BROKER_UNREACHABLE', `no AMQP broker at ${where.host}:${where.port}: ${what}`, { cause: error });
  } finally {
    socket.destroy();
  }
}

type ReadFrame = () => Promise<Buffer>;

/** Frames of any type, one after the other; what each returns is its payload. */
function frameReader(socket: Socket, signal: AbortSignal): ReadFrame {
  let held = Buffer.alloc(0);
  const chunks = socket.iterator({ destroyOnReturn: false });
  const stop = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  stop.catch(() => {});
  const need = async (bytes: number): Promise<void> => {
    while (held.length < bytes) {
      const next: IteratorResult<Buffer> = await Promise.race([chunks.next(), stop]);
      if (next.done) throw new Error('it closed the connection');
      held = Buffer.concat([held, next.value]);
    }
  };
  return async () => {
    await need(7);
    // A broker of another protocol version answers with its own header and closes.
    if (held.toString('latin1', 0, 4) === 'AMQP') throw new Error('it speaks another version of AMQP');
    const size = held.readUInt32BE(3);
    if (size > 1 << 20) throw new Error('what answers is no AMQP broker');
    await need(8 + size);
    const payload = held.subarray(7, 7 + size);
    if (held[7 + size] !== frameEnd) throw new Error('what answers is no AMQP broker');
    held = held.subarray(8 + size);
    return payload;
  };
}

async function expectMethod(read: ReadFrame, id: number): Promise<Buffer> {
  const payload = await read();
  const got = payload.readUInt16BE(2);
  const body = payload.subarray(4);
  if (payload.readUInt16BE(0) === connection && got === id) return body;
  if (got === method.close) {
    const text = body.toString('utf8', 3, 3 + body.readUInt8(2));
    throw new Failure('BROKER_REFUSED', `the broker refuses this account: ${text}`);
  }
  throw new Error(`unexpected method ${payload.readUInt16BE(0)}.${got}`);
}

function send(socket: Socket, id: number, fields: readonly Buffer[]): void {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(connection, 0);
  head.writeUInt16BE(id, 2);
  const payload = Buffer.concat([head, ...fields]);
  const frame = Buffer.alloc(7);
  frame.writeUInt8(1, 0);
  frame.writeUInt32BE(payload.length, 3);
  socket.write(Buffer.concat([frame, payload, Buffer.from([frameEnd])]));
}

function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function longString(text: string): Buffer {
  return table([Buffer.from(text)]);
}

/** A table and a long string look the same from outside: a 32-bit length and that many bytes. */
function table(parts: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(parts);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Of the server-properties table only the strings at its top level. */
function serverProperties(bytes: Buffer): { product: string; version: string } {
  const found = new Map<string, string>();
  const end = 4 + bytes.readUInt32BE(0);
  for (let at = 4; at < end; ) {
    const nameEnd = at + 1 + bytes.readUInt8(at);
    const name = bytes.toString('utf8', at + 1, nameEnd);
    const kind = String.fromCharCode(bytes.readUInt8(nameEnd));
    at = nameEnd + 1;
    if (kind === 'S' || kind === 'F') {
      const valueEnd = at + 4 + bytes.readUInt32BE(at);
      if (kind === 'S') found.set(name, bytes.toString('utf8', at + 4, valueEnd));
      at = valueEnd;
    } else if (kind === 't') at += 1;
    else break;
  }
  return { product: found.get('product') ?? 'an AMQP broker', version: found.get('version') ?? 'of unknown version' };
}
