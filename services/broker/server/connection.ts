import { messageOf } from '../../lib/failure.ts';
import { decodeMethod, type ReceivedMethod } from '../amqp/decode-method.ts';
import { methodFrame } from '../amqp/encode-method.ts';
import { AmqpError } from '../amqp/error.ts';
import { frameMinSize, frameType, heartbeatFrame } from '../amqp/frame.ts';
import { FrameParser } from '../amqp/frame-parser.ts';
import { type Method, specOf } from '../amqp/method-spec.ts';
import { judgeProtocolHeader, protocolHeader } from '../amqp/protocol-header.ts';
import type { Broker } from '../core/broker.ts';
import type { Rights } from '../core/permissions.ts';
import { Channels, type ChannelsHost } from './channels.ts';
import type { ConnectionHost, Login } from './connection-host.ts';
import type { DirectReplies } from './direct-replies.ts';
import { type Client, checkTuned, clientOf, credentialsOf, offered, refusedLogin, startMethod } from './handshake.ts';
import { Heartbeat } from './heartbeat.ts';
import { Intake } from './intake.ts';
import { Outbox } from './outbox.ts';
import { isMethod } from './peek.ts';
import type { Wire } from './wire.ts';

type Mode =
  /** Waits for the protocol header. */
  | 'greeting'
  | 'start-ok'
  /** The password is being checked; meanwhile nothing is read. */
  | 'checking'
  | 'tune-ok'
  | 'open'
  | 'running'
  /** We said why it must end, and wait for close-ok. */
  | 'closing'
  | 'closed';

/** Milliseconds until a client must be running, and for its close-ok. */
const handshakeMs = 10_000;
const closeOkMs = 3_000;
/** Bytes that a stranger may say. */
const handshakeBytes = 65_536;

const nobody: Client = { name: '', hearsRefusedLogin: false, hearsCancel: false, hearsBlocked: false };

/** One client's connection (§2.2): handshake, frames to channels, errors to closes, heartbeats. */
export class Connection implements ChannelsHost {
  /** Milliseconds since the epoch. */
  readonly openedAt: number;
  readonly remote: string;
  readonly outbox: Outbox;
  readonly #host: ConnectionHost;
  readonly #wire: Wire;
  readonly #parser = new FrameParser(frameMinSize);
  readonly #channels = new Channels(this);
  readonly #intake: Intake;
  readonly #heartbeat: Heartbeat;
  #mode: Mode = 'greeting';
  #header = Buffer.alloc(0);
  #login: Login | undefined;
  #client = nobody;
  #frameMax: number = offered.frameMax;
  /** Of the handshake, or for close-ok. */
  #deadline: number;
  #isPublisher = false;
  /** Bytes. */
  received = 0;

  constructor(host: ConnectionHost, wire: Wire) {
    this.#host = host;
    this.#wire = wire;
    this.#intake = new Intake(wire);
    this.remote = wire.remote;
    this.outbox = new Outbox(wire, () => host.dirty(this));
    this.openedAt = host.broker.now();
    this.#heartbeat = new Heartbeat(host.now());
    this.#deadline = host.now() + handshakeMs;
  }

  get broker(): Broker {
    return this.#host.broker;
  }

  get replies(): DirectReplies {
    return this.#host.replies;
  }

  /** @throws AmqpError 403 when it lost them since it logged in */
  get rights(): Rights {
    const rights = this.#login?.rights;
    if (!rights) throw new AmqpError(403, `access to vhost '/' refused for user '${this.user}'`);
    return rights;
  }

  get user(): string {
    return this.#login?.user ?? '';
  }

  get frameMax(): number {
    return this.#frameMax;
  }

  get owner(): object {
    return this;
  }

  get hearsCancel(): boolean {
    return this.#client.hearsCancel;
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

  /** Of publishes that are not all there yet. */
  get unfinishedBytes(): number {
    return this.#channels.unfinishedBytes;
  }

  get isBlocked(): boolean {
    return this.#intake.isBlocked;
  }

  /** What the client calls itself. */
  get name(): string {
    return this.#client.name;
  }

  randomName(): string {
    return this.#host.randomName();
  }

  /** @throws AmqpError 530 */
  admitChannel(): void {
    this.#host.admit(this.user, 'channel');
  }

  #send(method: Method): void {
    this.outbox.push(methodFrame(0, method));
  }

  /** At the end of a turn: all frames in one vectored write. */
  flush(): void {
    if (this.#mode === 'closed') return this.outbox.clear();
    if (this.outbox.flush()) this.#heartbeat.said(this.#host.now());
    if (!this.#intake.judge(this.outbox)) return;
    this.#host.warn(`${this.remote} does not read what it is sent: disconnected`);
    this.#cut();
  }

  /** The socket has taken all. */
  drained(): void {
    if (this.#mode === 'closed') return;
    this.#intake.start('choked');
    if (!this.outbox.drained() || this.#mode !== 'running') return;
    this.#channels.pump();
    // What expired meanwhile may have gone to a stream.
    this.#host.broker.flush();
  }

  // --- bytes to frames

  receive(chunk: Buffer): void {
    if (this.#mode === 'closed') return;
    this.#heartbeat.heard(this.#host.now());
    this.received += chunk.length;
    if (this.#login === undefined && this.received > handshakeBytes) return this.#cut();
    const frames = this.#mode === 'greeting' ? this.#greet(chunk) : chunk;
    if (!frames) return;
    this.#parser.push(frames);
    this.#read();
  }

  /** @returns what came after the protocol header, once that is there */
  #greet(chunk: Buffer): Buffer | undefined {
    this.#header = Buffer.concat([this.#header, chunk]);
    const verdict = judgeProtocolHeader(this.#header);
    if (verdict === 'incomplete') return undefined;
    if (verdict === 'refused') {
      this.outbox.push(protocolHeader);
      this.#end();
      return undefined;
    }
    const rest = this.#header.subarray(protocolHeader.length);
    this.#header = Buffer.alloc(0);
    this.#mode = 'start-ok';
    this.#send(startMethod(this.#host.version));
    return rest;
  }

  #read(): void {
    for (;;) {
      let channel = 0;
      try {
        if (this.#mode === 'checking' || this.isClosed || !this.#parser.next()) break;
        channel = this.#parser.channel;
        this.#frame(channel);
      } catch (error) {
        this.#fail(error, channel);
      }
    }
    this.#channels.flush();
    this.#host.broker.flush();
  }

  /** @throws AmqpError */
  #frame(number: number): void {
    const { type, bytes, start, end } = this.#parser;
    if (type === frameType.heartbeat) return;
    if (this.#mode === 'closing') return this.#lastFrame(number, type, bytes, start);
    if (number === 0) return this.#connectionMethod(decodeMethod(bytes, start, end));
    if (this.#mode !== 'running') throw new AmqpError(504, `unexpected frame in connection state ${this.#mode}`);
    this.#channels.frame(this.#parser);
  }

  /** Only the end of the connection is heard any more. */
  #lastFrame(number: number, type: number, bytes: Buffer, start: number): void {
    if (number !== 0 || type !== frameType.method) return;
    if (isMethod('connection.close', bytes, start)) this.#send({ name: 'connection.close-ok' });
    else if (!isMethod('connection.close-ok', bytes, start)) return;
    this.#end();
  }

  // --- the connection's own methods

  /** @throws AmqpError 504, 530 */
  #connectionMethod(method: ReceivedMethod): void {
    switch (`${this.#mode} ${method.name}`) {
      case 'start-ok connection.start-ok':
      case 'tune-ok connection.tune-ok':
      case 'open connection.open':
        return this.#handshake(method);
    }
    if (method.name === 'connection.close') {
      this.#leave();
      this.#send({ name: 'connection.close-ok' });
      return this.#end();
    }
    if (method.name === 'connection.update-secret' && this.#mode === 'running')
      return this.#send({ name: 'connection.update-secret-ok' });
    throw new AmqpError(504, `unexpected method in connection state ${this.#mode}`, specOf(method.name));
  }

  #handshake(method: ReceivedMethod): void {
    if (method.name === 'connection.start-ok') {
      this.#client = clientOf(method.clientProperties);
      this.#mode = 'checking';
      this.#intake.stop('checking');
      const credentials = credentialsOf(method);
      const isWaiting = (): boolean => this.#mode === 'checking';
      const login = credentials
        ? this.#host.login(credentials.user, credentials.password, isWaiting)
        : Promise.resolve(undefined);
      login.then(
        found => this.#loggedIn(found, method.mechanism),
        error => {
          this.#host.warn(`cannot check a password: ${messageOf(error)}`);
          this.#end();
        },
      );
    } else if (method.name === 'connection.tune-ok') {
      checkTuned(method);
      this.#frameMax = method.frameMax;
      this.#parser.frameMax = method.frameMax;
      this.#channels.max = method.channelMax;
      this.#heartbeat.start(method.heartbeat, this.#host.now());
      this.#mode = 'open';
    } else if (method.name === 'connection.open') {
      if (method.virtualHost !== '/')
        throw new AmqpError(530, `vhost ${method.virtualHost} not found`, specOf(method.name));
      if (!this.#login?.rights)
        throw new AmqpError(530, `access to vhost '/' refused for user '${this.user}'`, specOf(method.name));
      this.#host.admit(this.user, 'connection');
      this.#mode = 'running';
      this.#send({ name: 'connection.open-ok' });
    }
  }

  #loggedIn(login: Login | undefined, mechanism: string): void {
    if (this.#mode !== 'checking') return;
    if (!login) {
      if (this.#client.hearsRefusedLogin) this.#sendClose(refusedLogin(mechanism));
      return this.#end();
    }
    this.#login = login;
    this.#mode = 'tune-ok';
    this.#intake.start('checking');
    this.#send({ name: 'connection.tune', ...offered });
    this.#read();
  }

  // --- ends

  #fail(error: unknown, number: number): void {
    if (!(error instanceof AmqpError)) {
      // A bug of ours: it costs this client its connection and nobody else anything.
      this.#host.warn(`a bug: ${error instanceof Error ? error.stack : String(error)}`);
      return this.#fail(new AmqpError(541, messageOf(error), undefined, { cause: error }), 0);
    }
    if (error.scope === 'channel' && this.#channels.has(number)) this.#channels.fail(number, error);
    else if (this.#mode === 'start-ok' || this.#mode === 'tune-ok') {
      // Before the client is known it learns nothing.
      this.#end();
    } else if (this.#mode !== 'closing') this.#close(error);
  }

  #close(error: AmqpError): void {
    this.#channels.flush();
    this.#leave();
    this.#mode = 'closing';
    this.#deadline = this.#host.now() + closeOkMs;
    this.#intake.startAnyway();
    this.#sendClose(error);
  }

  #sendClose({ code: replyCode, text: replyText, classId, methodId }: AmqpError): void {
    this.#send({ name: 'connection.close', replyCode, replyText, classId, methodId });
  }

  /** From outside: an operator, a revoked account, the server's end. */
  close(why: string): void {
    if (this.#mode === 'running') this.#close(new AmqpError(320, why));
    else if (this.#mode !== 'closing') this.#end();
  }

  /** The account's rights were changed; the next operation is judged by the new ones. */
  setRights(rights: Rights): void {
    if (this.#login) this.#login = { user: this.#login.user, rights };
  }

  /** Gives back what it holds. */
  #leave(): void {
    this.#channels.closeAll();
    this.#host.broker.connectionClosed(this);
    this.#host.broker.flush();
  }

  /** Sends what is left, then closes. */
  #end(): void {
    if (this.#mode === 'closed') return;
    this.outbox.flush();
    this.lost();
    this.#wire.end();
  }

  /** Without a word. */
  #cut(): void {
    this.lost();
    this.#wire.destroy();
  }

  /** The socket has gone. */
  lost(): void {
    if (this.#mode === 'closed') return;
    this.#mode = 'closed';
    this.outbox.clear();
    this.#leave();
  }

  // --- alarms and time

  /** It publishes: an alarm concerns it. */
  published(): void {
    if (this.#isPublisher) return;
    this.#isPublisher = true;
    if (this.#host.alarm !== undefined) this.alarmChanged();
  }

  /** Publishers are not read while an alarm lasts (RabbitMQ, "Blocked Connection Notifications"). */
  alarmChanged(): void {
    if (!this.#isPublisher || this.#mode !== 'running') return;
    const { alarm } = this.#host;
    if (alarm !== undefined && !this.isBlocked) {
      if (this.#client.hearsBlocked) this.#send({ name: 'connection.blocked', reason: alarm });
      this.#intake.stop('blocked');
    } else if (alarm === undefined && this.isBlocked) {
      this.#heartbeat.heard(this.#host.now());
      if (this.#client.hearsBlocked) this.#send({ name: 'connection.unblocked' });
      this.#intake.start('blocked');
    }
  }

  /** Called several times a second: heartbeats both ways, and the ends of patience. */
  tick(now: number): void {
    if (this.#mode === 'closed') return;
    if (this.#mode !== 'running') {
      if (now > this.#deadline) this.#cut();
      return;
    }
    if (this.#heartbeat.isDue(now)) this.outbox.push(heartbeatFrame);
    // Whom we do not read we cannot hear.
    if (!this.isBlocked && this.#heartbeat.isOver(now)) this.#cut();
  }
}
