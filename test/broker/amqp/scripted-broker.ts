import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { decodeHeader } from '../../../services/broker/amqp/content-header.ts';
import { decodeClientMethod, type ReceivedClientMethod } from '../../../services/broker/amqp/decode-method.ts';
import { methodFrame } from '../../../services/broker/amqp/encode-method.ts';
import { frameMinSize, frameType } from '../../../services/broker/amqp/frame.ts';
import { FrameParser } from '../../../services/broker/amqp/frame-parser.ts';
import type { Method } from '../../../services/broker/amqp/method-spec.ts';
import { judgeProtocolHeader, protocolHeader } from '../../../services/broker/amqp/protocol-header.ts';

export interface Received {
  readonly channel: number;
  readonly method: ReceivedClientMethod;
  /** Of a publish. */
  readonly properties?: Buffer;
  readonly body?: Buffer;
}

/** What to send in answer: methods on the same channel, or octets as they are. */
export type Answer = (received: Received) => readonly (Method | Buffer)[];

export interface ScriptedBroker extends AsyncDisposable {
  readonly url: string;
  /** All that the client said, in order. */
  readonly received: readonly Received[];
}

/** A server that reads with the codec and answers each method as the script says. It knows nothing else of AMQP. */
export async function startScriptedBroker(answer: Answer): Promise<ScriptedBroker> {
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    const handle = (each: Received): void => {
      received.push(each);
      for (const reply of answer(each)) socket.write(Buffer.isBuffer(reply) ? reply : methodFrame(each.channel, reply));
    };
    const read = reader(handle);
    let held = Buffer.alloc(0);
    let isOpen = false;
    socket.on('data', chunk => {
      if (isOpen) return read(chunk);
      held = Buffer.concat([held, chunk]);
      if (judgeProtocolHeader(held) !== 'accepted') return;
      isOpen = true;
      socket.write(methodFrame(0, start));
      read(held.subarray(protocolHeader.length));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `amqp://user:secret@127.0.0.1:${port}/a%2Fvhost`,
    received,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const start: Method = {
  name: 'connection.start',
  versionMajor: 0,
  versionMinor: 9,
  serverProperties: { product: 'scripted', capabilities: { publisher_confirms: true, 'basic.nack': true } },
  mechanisms: Buffer.from('PLAIN'),
  locales: Buffer.from('en_US'),
};

function reader(handle: (received: Received) => void): (chunk: Buffer) => void {
  const parser = new FrameParser(frameMinSize);
  let publish: { channel: number; method: ReceivedClientMethod; properties: Buffer; left: number } | undefined;
  let bodies: Buffer[] = [];
  const finish = (): void => {
    if (publish === undefined || publish.left > 0) return;
    const { channel, method, properties } = publish;
    publish = undefined;
    handle({ channel, method, properties, body: Buffer.concat(bodies) });
    bodies = [];
  };
  return chunk => {
    parser.push(chunk);
    while (parser.next()) {
      const { type, channel, bytes, start, end } = parser;
      if (type === frameType.method) {
        const method = decodeClientMethod(bytes, start, end);
        if (method.name === 'connection.tune-ok') parser.frameMax = method.frameMax;
        if (method.name === 'basic.publish') publish = { channel, method, properties: Buffer.alloc(0), left: 0 };
        else handle({ channel, method });
      } else if (type === frameType.header && publish !== undefined) {
        const { bodySize, properties } = decodeHeader(bytes, start, end);
        publish = { ...publish, properties, left: bodySize };
        finish();
      } else if (type === frameType.body && publish !== undefined) {
        const { payload } = parser;
        bodies.push(payload);
        publish.left -= payload.length;
        finish();
      }
    }
  };
}
