import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeFrame, encodeMethod, type Fields, type FieldValue, frameType } from './codec.ts';
import { type Frame, FrameSplitter, type Message, readMessage } from './incoming.ts';
import { type MethodName, methodNumbered } from './methods.ts';
import { encodeHeader, encodeProperties, type Properties } from './properties.ts';

export type MethodFrame = Extract<Frame, { kind: 'method' }>;

/** How a server says no. `method` is the one that the close blames, `none` for 0, 0. */
export interface Refusal {
  readonly scope: 'channel' | 'connection';
  readonly code: number;
  readonly text: string;
  readonly method: string;
}

export interface Outgoing {
  readonly exchange?: string;
  readonly routingKey?: string;
  readonly mandatory?: boolean;
  readonly immediate?: boolean;
  readonly properties?: Properties | Buffer;
  readonly body?: string | Buffer;
}

/** What is not there within this time is not coming. Milliseconds. */
export const patienceMs = 15_000;

/**
 * One TCP connection to the broker that does exactly what a test says, also what no client library would. It reads all
 * the time; a test takes the frames out in order, or in order per channel.
 */
export class Peer {
  readonly socket: Socket;
  /** Payload of the largest body frame that may be sent, once tuned. */
  maxBody = 131_072 - 8;
  readonly #splitter = new FrameSplitter();
  readonly #frames: Frame[] = [];
  readonly #waiting = new Set<() => void>();
  #end: Error | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    const end = (why: Error): void => {
      this.#end ??= why;
      this.#wake();
    };
    socket.on('data', bytes => {
      try {
        this.#frames.push(...this.#splitter.push(bytes));
      } catch (error) {
        end(error as Error);
      }
      this.#wake();
    });
    // A reset, which is how RabbitMQ hangs up on a client it does not trust, is an end like another.
    socket.on('error', cause => end(new Error('the server closed the socket', { cause })));
    socket.on('close', () => end(new Error('the server closed the socket')));
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** The first frame not yet taken that fits. Rejects when the socket has closed without one, or after `withinMs`. */
  take(fits: (frame: Frame) => boolean, withinMs = patienceMs): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const done = (act: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        act();
      };
      const look = (): void => {
        const index = this.#frames.findIndex(fits);
        const frame = this.#frames[index];
        if (frame) {
          this.#frames.splice(index, 1);
          done(() => resolve(frame));
        } else if (this.#end || this.#frames.some(isConnectionClose)) {
          const why = this.#end?.message ?? 'the server closed the connection';
          done(() => reject(new Error(`${why}; not taken: ${this.#describe()}`, { cause: this.#end?.cause })));
        }
      };
      const timer = setTimeout(
        () => done(() => reject(new Error(`nothing within ${withinMs} ms; not taken: ${this.#describe()}`))),
        withinMs,
      );
      this.#waiting.add(look);
      look();
    });
  }

  #describe(): string {
    return this.#frames.map(describeFrame).join(', ') || 'nothing';
  }

  /** The next frame, heartbeats left out, of one channel if given. */
  next(channel?: number): Promise<Frame> {
    return this.take(frame => frame.kind !== 'heartbeat' && (channel === undefined || frame.channel === channel));
  }

  /** The next frame of that channel, which must be this method. @returns its arguments */
  async expect(channel: number, name: MethodName): Promise<MethodFrame['fields']> {
    const frame = await this.next(channel);
    if (frame.kind === 'method' && frame.name === name) return frame.fields;
    throw new Error(`expected ${name}, got ${describeFrame(frame)}`);
  }

  /** The next frames of that channel, which must be a message. */
  async message(channel: number): Promise<Message> {
    return this.messageFrom(await this.next(channel));
  }

  /** The message that this frame, just taken, begins. */
  async messageFrom(frame: Frame): Promise<Message> {
    if (frame.kind === 'method' && ['basic.deliver', 'basic.get-ok', 'basic.return'].includes(frame.name))
      return readMessage(frame, () => this.next(frame.channel));
    throw new Error(`expected a message, got ${describeFrame(frame)}`);
  }

  /** Resolves when the server has closed the socket; whatever it said before stays to be taken. */
  closed(withinMs = patienceMs): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.socket.closed) return resolve();
      const timer = setTimeout(() => reject(new Error(`the socket was still open after ${withinMs} ms`)), withinMs);
      this.socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  sendBytes(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  sendFrame(type: number, channel: number, payload: Buffer): void {
    this.sendBytes(encodeFrame(type, channel, payload));
  }

  send(channel: number, name: MethodName, fields?: Fields): void {
    this.sendFrame(frameType.method, channel, encodeMethod(name, fields));
  }

  publish(channel: number, message: Outgoing): void {
    const { exchange = '', routingKey = '', mandatory = false, immediate = false, properties = {} } = message;
    const body = Buffer.from(message.body ?? '');
    const encoded = Buffer.isBuffer(properties) ? properties : encodeProperties(properties);
    this.send(channel, 'basic.publish', { exchange, routingKey, mandatory, immediate });
    this.sendFrame(frameType.header, channel, encodeHeader(body.length, encoded));
    for (let at = 0; at < body.length; at += this.maxBody)
      this.sendFrame(frameType.body, channel, body.subarray(at, at + this.maxBody));
  }

  /** Sends a method and takes its `-ok`. @throws when anything else comes */
  call(channel: number, name: MethodName, fields?: Fields): Promise<Readonly<Record<string, FieldValue>>> {
    this.send(channel, name, fields);
    return this.expect(channel, `${name}-ok` as MethodName);
  }

  async openChannel(channel: number): Promise<void> {
    await this.call(channel, 'channel.open');
  }

  /** Sends a method and takes the close it is answered with. @throws when the server accepts it */
  refused(channel: number, name: MethodName, fields?: Fields): Promise<Refusal> {
    this.send(channel, name, fields);
    return this.refusal(channel);
  }

  /** The close that comes next, of that channel or of the connection, answered with its close-ok. */
  async refusal(channel = 0): Promise<Refusal> {
    const frame = await this.take(({ kind, channel: on }) => kind !== 'heartbeat' && (on === 0 || on === channel));
    if (frame.kind !== 'method' || (frame.name !== 'channel.close' && frame.name !== 'connection.close'))
      throw new Error(`expected a close, got ${describeFrame(frame)}`);
    this.send(frame.channel, `${frame.name}-ok`);
    return refusalOf(frame);
  }

  /** How a server ends a connection that it may end without a word: the close it sent, if any; then the socket's. */
  async ending(): Promise<Refusal | 'dropped'> {
    const refusal = await this.refusal().catch((error: Error) => {
      if (error.message === 'the server closed the socket; not taken: nothing') return 'dropped' as const;
      throw error;
    });
    await this.closed();
    return refusal;
  }

  /** Drops the connection without a word. */
  cut(): void {
    this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.cut();
  }
}

/** @param frame a close, of a channel or of the connection */
export function refusalOf({ name, fields: { code, text, classId, methodId } }: MethodFrame): Refusal {
  return {
    scope: name === 'channel.close' ? 'channel' : 'connection',
    code: Number(code),
    text: String(text),
    method: methodNumbered(Number(classId), Number(methodId))?.name ?? 'none',
  };
}

function isConnectionClose(frame: Frame): boolean {
  return frame.kind === 'method' && frame.name === 'connection.close';
}

function describeFrame(frame: Frame): string {
  if (frame.kind !== 'method') return `${frame.kind} on ${frame.channel}`;
  return `${frame.name} on ${frame.channel} ${JSON.stringify(frame.fields)}`;
}

/** A TCP connection, nothing said yet. */
export async function dial(url: string): Promise<Peer> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port || 5672), noDelay: true });
  const peer = new Peer(socket);
  await once(socket, 'connect', { signal: AbortSignal.timeout(patienceMs) });
  return peer;
}
