import { messageOf } from '../../lib/failure.ts';
import { decodeClientMethod, type ReceivedClientMethod } from '../amqp/decode-method.ts';
import { methodFrame } from '../amqp/encode-method.ts';
import { AmqpError } from '../amqp/error.ts';
import type { FieldTable } from '../amqp/field-value.ts';
import { frameMinSize, heartbeatFrame } from '../amqp/frame.ts';
import { FrameParser } from '../amqp/frame-parser.ts';
import { type Method, specOf } from '../amqp/method-spec.ts';
import { judgeProtocolHeader, protocolHeader } from '../amqp/protocol-header.ts';
import type { Broker } from '../core/broker.ts';
import type { Rights } from '../core/permissions.ts';
import { Channel, type ChannelHost } from './channel.ts';
import type { DirectReplies } from './direct-replies.ts';

/** What a connection needs of the server it is on. */
export interface ConnectionHost {
  readonly broker: Broker;
  readonly replies: DirectReplies;
  readonly version: string;
  /** @returns the account's rights, or undefined for a wrong name or password */
  login(user: string, password: string): Promise<Rights | undefined>;
  randomName(): string;
  /** Frames wait to be sent: `flush` is called this turn. */
  dirty(connection: Connection): void;
  /** Why publishers are blocked, or undefined. */
  readonly alarm: string | undefined;
  now(): number;
}

/** The other end: a socket, as far as a connection knows. */
export interface Wire {
  readonly remote: string;
  write(buffers: readonly Buffer[]): void;
  /** Bytes that the system has not taken yet. */
  readonly waitingBytes: number;
  pause(): void;
  resume(): void;
  /** Sends what is left, then closes. */
  end(): void;
  destroy(): void;
}

type Mode =
  /** Waits for the protocol header. */
  | 'greeting'
  | 'start-ok'
  /** The password is being checked. */
  | 'checking'
  | 'tune-ok'
  | 'open'
  | 'running'
  /** We said why it must end, and wait for close-ok. */
  | 'closing'
  | 'closed';

const channelMax = 2047;
const frameMax = 131_072;
const heartbeatSeconds = 60;
/** Above it nothing more is delivered until the socket has drained. */
const congestionBytes = 1024 * 1024;
const handshakeMs = 10_000;
const closeOkMs = 5_000;

/** One client's connection (AMQP 0-9-1 §2.2): handshake, frames to channels, heartbeats, errors. */
export class Connection implements ChannelHost {
  readonly openedAt: number;
  readonly remote: string;
  readonly #host: ConnectionHost;
  readonly #wire: Wire;
  readonly #parser = new FrameParser(frameMinSize);
  readonly #channels = new Map<number, Channel>();
  /** Channels that we closed, until the client says close-ok. */
  readonly #closing = new Set<number>();
  #mode: Mode = 'greeting';
  #header = Buffer.alloc(0);
  #rights: Rights | undefined;
  #frameMax = frameMax;
  #channelMax = channelMax;
  #heartbeatMs = heartbeatSeconds * 1000;
  #clientProperties: FieldTable = {};
  #out: Buffer[] = [];
  #outBytes = 0;
  #heardAt: number;
  #saidAt: number;
  #deadline: number;
  #isPublisher = false;
  #isBlocked = false;
  #wasCongested = false;
  received = 0;

  constructor(host: ConnectionHost, wire: Wire) {
    this.#host = host;
    this.#wire = wire;
    this.remote = wire.remote;
    this.openedAt = host.now();
    this.#heardAt = this.openedAt;
    this.#saidAt = this.openedAt;
    this.#deadline = this.openedAt + handshakeMs;
  }

  get broker(): Broker {
    return this.#host.broker;
  }

  get replies(): DirectReplies {
    return this.#host.replies;
  }

  get rights(): Rights {
    if (!this.#rights) throw new AmqpError(503, 'not logged in');
    return this.#rights;
  }

  get user(): string {
    return this.#rights?.user ?? '';
  }

  get frameMax(): number {
    return this.#frameMax;
  }

  get owner(): object {
    return this;
  }

  get isCongested(): boolean {
    const isCongested = this.#outBytes + this.#wire.waitingBytes > congestionBytes;
    if (isCongested) this.#wasCongested = true;
    return isCongested;
  }

  get isClosed(): boolean {
    return this.#mode === 'closed';
  }

  get isRunning(): boolean {
    return this.#mode === 'running';
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** What the client calls itself. */
  get name(): string {
    const { connection_name: name, product } = this.#clientProperties;
    return typeof name === 'string' ? name : typeof product === 'string' ? product : '';
  }

  randomName(): string {
    return this.#host.randomName();
  }

  out(): Buffer[] {
    if (this.#out.length === 0) this.#host.dirty(this);
    return this.#out;
  }

  pushed(bytes: number): void {
    this.#outBytes += bytes;
  }

  /** At the end of a turn: all frames in one vectored write. */
  flush(): void {
    if (this.#out.length === 0 || this.#mode === 'closed') return;
    const out = this.#out;
    this.#out = [];
    this.#outBytes = 0;
    this.#saidAt = this.#host.now();
    this.#wire.write(out);
  }

  /** The socket has taken all. */
  drained(): void {
    if (!this.#wasCongested || this.#mode !== 'running') return;
    this.#wasCongested = false;
    for (const channel of this.#channels.values()) channel.pump();
  }

  #send(method: Method, channel = 0): void {
    this.out().push(methodFrame(channel, method));
  }

  receive(chunk: Buffer): void {
    this.#heardAt = this.#host.now();
    this.received += chunk.length;
    if (this.#mode === 'closed') return;
    if (this.#mode === 'greeting') {
      this.#header = Buffer.concat([this.#header, chunk]);
      const verdict = judgeProtocolHeader(this.#header);
      if (verdict === 'incomplete') return;
      if (verdict === 'refused') {
        this.out().push(protocolHeader);
        this.#end();
        return;
      }
      chunk = this.#header.subarray(protocolHeader.length);
      this.#header = Buffer.alloc(0);
      this.#mode = 'start-ok';
      this.#send({
        name: 'connection.start',
        versionMajor: 0,
        versionMinor: 9,
        serverProperties: serverProperties(this.#host.version),
        mechanisms: Buffer.from('PLAIN'),
        locales: Buffer.from('en_US'),
      });
    }
    this.#parser.push(chunk);
    this.#read();
  }

  #read(): void {
    for (;;) {
      let channel = 0;
      try {
        // While a password is being checked nothing else is read.
        if (this.#mode === 'checking' || this.#mode === 'closed' || !this.#parser.next()) break;
        channel = this.#parser.channel;
        this.#frame(channel);
      } catch (error) {
        this.#fail(error, channel);
        if (this.#mode === 'closed') return;
        // What cannot be cut into frames any more is not read any more.
        if (this.#parser.frameMax === 0) return;
      }
    }
    for (const channel of this.#channels.values()) channel.flush();
    this.#host.broker.flush();
  }

  #frame(number: number): void {
    const { type, bytes, start, end } = this.#parser;
    if (type === 8) return;
    if (this.#mode === 'closing') {
      if (type === 1 && number === 0 && isMethod(bytes, start, 10, 51)) this.#end();
      return;
    }
    if (number === 0) {
      if (type !== 1) throw new AmqpError(501, 'content on channel 0');
      return this.#connectionMethod(decodeClientMethod(bytes, start, end));
    }
    if (this.#mode !== 'running') throw new AmqpError(504, 'channel frame before the connection is open');
    const channel = this.#channels.get(number);
    if (!channel) return this.#unopened(number, type, bytes, start, end);
    if (type === 2) return channel.header(bytes, start, end);
    if (type === 3) return channel.body(bytes, start, end);
    const method = decodeClientMethod(bytes, start, end);
    switch (method.name) {
      case 'channel.open':
        throw new AmqpError(504, "second 'channel.open' seen", specOf('channel.open'));
      case 'channel.close':
        this.#channels.delete(number);
        channel.close();
        return this.#send({ name: 'channel.close-ok' }, number);
      case 'channel.close-ok':
        return;
      default:
        if (method.name.startsWith('connection.'))
          throw new AmqpError(503, `${method.name} on channel ${number}`, specOf(method.name));
        channel.method(method);
    }
  }

  #unopened(number: number, type: number, bytes: Buffer, start: number, end: number): void {
    if (this.#closing.has(number)) {
      // Whatever was on its way before the client saw our close.
      if (type === 1 && isMethod(bytes, start, 20, 41)) this.#closing.delete(number);
      else if (type === 1 && isMethod(bytes, start, 20, 40)) {
        this.#closing.delete(number);
        this.#send({ name: 'channel.close-ok' }, number);
      }
      return;
    }
    const method = type === 1 ? decodeClientMethod(bytes, start, end) : undefined;
    if (method?.name !== 'channel.open') {
      throw new AmqpError(504, "expected 'channel.open'", method ? specOf(method.name) : undefined);
    }
    if (number > this.#channelMax)
      throw new AmqpError(
        530,
        `number of channels opened (${number}) has reached the negotiated channel_max (${this.#channelMax})`,
      );
    this.#channels.set(number, new Channel(number, this));
    this.#send({ name: 'channel.open-ok' }, number);
  }

  #connectionMethod(method: ReceivedClientMethod): void {
    switch (method.name) {
      case 'connection.start-ok':
        this.#expect('start-ok', method.name);
        return void this.#login(method);
      case 'connection.tune-ok': {
        this.#expect('tune-ok', method.name);
        const size = method.frameMax === 0 ? frameMax : method.frameMax;
        if (size < frameMinSize || size > frameMax) {
          throw new AmqpError(
            530,
            `frame_max=${method.frameMax} ${size < frameMinSize ? `< ${frameMinSize} min size` : `> ${frameMax} max size`}`,
            specOf(method.name),
          );
        }
        if (method.channelMax > channelMax)
          throw new AmqpError(530, `channel_max=${method.channelMax} > ${channelMax}`, specOf(method.name));
        this.#frameMax = size;
        this.#parser.frameMax = size;
        this.#channelMax = method.channelMax === 0 ? channelMax : method.channelMax;
        this.#heartbeatMs = method.heartbeat * 1000;
        this.#mode = 'open';
        return;
      }
      case 'connection.open':
        this.#expect('open', method.name);
        if (method.virtualHost !== '/')
          throw new AmqpError(530, `vhost ${method.virtualHost} not found`, specOf(method.name));
        this.#mode = 'running';
        this.#send({ name: 'connection.open-ok' });
        return;
      case 'connection.close':
        this.#send({ name: 'connection.close-ok' });
        this.#end();
        return;
      case 'connection.close-ok':
        return;
      case 'connection.update-secret':
        this.#send({ name: 'connection.update-secret-ok' });
        return;
      default:
        throw new AmqpError(503, `unexpected method in connection state ${this.#mode}`, specOf(method.name));
    }
  }

  #expect(mode: Mode, name: Method['name']): void {
    if (this.#mode !== mode)
      throw new AmqpError(503, `unexpected method in connection state ${this.#mode}`, specOf(name));
  }

  async #login({
    mechanism,
    response,
    clientProperties,
  }: Extract<ReceivedClientMethod, { name: 'connection.start-ok' }>): Promise<void> {
    this.#clientProperties = clientProperties;
    this.#mode = 'checking';
    // NUL, name, NUL, password (RFC 4616); an authorisation id in front is not looked at, as by RabbitMQ.
    const [, user = '', password = ''] = response.toString('utf8').split('\0');
    const rights = mechanism === 'PLAIN' ? await this.#host.login(user, password) : undefined;
    if (this.#mode !== 'checking') return;
    if (!rights) {
      const { capabilities } = clientProperties;
      const wantsClose =
        typeof capabilities === 'object' &&
        capabilities !== null &&
        (capabilities as FieldTable).authentication_failure_close === true;
      if (wantsClose) {
        this.#send({
          name: 'connection.close',
          replyCode: 403,
          replyText: `ACCESS_REFUSED - Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`,
          classId: 0,
          methodId: 0,
        });
      }
      this.#end();
      return;
    }
    this.#rights = rights;
    this.#mode = 'tune-ok';
    this.#send({ name: 'connection.tune', channelMax, frameMax, heartbeat: heartbeatSeconds });
    this.#read();
  }

  #fail(error: unknown, channel: number): void {
    if (!(error instanceof AmqpError)) {
      // A bug of ours: it costs this client its connection and nobody else anything.
      this.#fail(new AmqpError(541, messageOf(error), undefined, { cause: error }), 0);
      return;
    }
    const { code: replyCode, text: replyText, classId, methodId } = error;
    const open = this.#channels.get(channel);
    if (error.scope === 'channel' && open) {
      this.#channels.delete(channel);
      // What it confirmed before the error it confirms.
      open.flush();
      open.close();
      this.#closing.add(channel);
      this.#send({ name: 'channel.close', replyCode, replyText, classId, methodId }, channel);
      return;
    }
    if (this.#mode === 'closing') return;
    this.#leave();
    if (this.#mode === 'start-ok' || this.#mode === 'tune-ok') {
      // Before the client is known it learns nothing.
      this.#end();
      return;
    }
    this.#mode = 'closing';
    this.#deadline = this.#host.now() + closeOkMs;
    this.#send({ name: 'connection.close', replyCode, replyText, classId, methodId });
  }

  /** From outside: an operator, a revoked account, the server's end. */
  close(replyText: string): void {
    if (this.#mode !== 'running') {
      this.#end();
      return;
    }
    this.#leave();
    this.#mode = 'closing';
    this.#deadline = this.#host.now() + closeOkMs;
    this.#send({
      name: 'connection.close',
      replyCode: 320,
      replyText: `CONNECTION_FORCED - ${replyText}`,
      classId: 0,
      methodId: 0,
    });
  }

  /** The account's rights were changed; the next operation is judged by the new ones. */
  setRights(rights: Rights): void {
    if (this.#rights) this.#rights = rights;
  }

  /** Gives back what it holds. */
  #leave(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
    this.#host.broker.connectionClosed(this);
    this.#host.broker.flush();
  }

  #end(): void {
    if (this.#mode === 'closed') return;
    this.flush();
    this.lost();
    this.#wire.end();
  }

  /** The socket has gone. */
  lost(): void {
    if (this.#mode === 'closed') return;
    this.#mode = 'closed';
    this.#out = [];
    this.#leave();
  }

  /** It publishes: an alarm concerns it. */
  published(): void {
    if (this.#isPublisher) return;
    this.#isPublisher = true;
    if (this.#host.alarm !== undefined) this.alarmChanged();
  }

  alarmChanged(): void {
    if (!this.#isPublisher || this.#mode !== 'running') return;
    const { alarm } = this.#host;
    if (alarm !== undefined && !this.#isBlocked) {
      this.#isBlocked = true;
      this.#send({ name: 'connection.blocked', reason: alarm });
      this.#wire.pause();
    } else if (alarm === undefined && this.#isBlocked) {
      this.#isBlocked = false;
      this.#heardAt = this.#host.now();
      this.#send({ name: 'connection.unblocked' });
      this.#wire.resume();
    }
  }

  /** Called several times a second: heartbeats both ways, and the ends of patience. */
  tick(now: number): void {
    if (this.#mode === 'closed') return;
    if (this.#mode !== 'running') {
      if (now > this.#deadline) {
        this.lost();
        this.#wire.destroy();
      }
      return;
    }
    if (this.#heartbeatMs === 0) return;
    if (now - this.#saidAt >= this.#heartbeatMs / 2) this.out().push(heartbeatFrame);
    // Two missed (§4.2.7); while we do not read it, it cannot be heard.
    if (!this.#isBlocked && now - this.#heardAt > this.#heartbeatMs * 2) {
      this.lost();
      this.#wire.destroy();
    }
  }
}

function isMethod(bytes: Buffer, start: number, classId: number, methodId: number): boolean {
  return bytes.readUInt16BE(start) === classId && bytes.readUInt16BE(start + 2) === methodId;
}

function serverProperties(version: string): FieldTable {
  return {
    product: 'Warren',
    version,
    platform: 'Node.js',
    cluster_name: 'warren',
    information: 'The embedded broker of Warren, for one machine; production runs on RabbitMQ',
    capabilities: {
      publisher_confirms: true,
      exchange_exchange_bindings: false,
      'basic.nack': true,
      consumer_cancel_notify: true,
      'connection.blocked': true,
      consumer_priorities: false,
      authentication_failure_close: true,
      per_consumer_qos: true,
      direct_reply_to: true,
    },
  };
}
