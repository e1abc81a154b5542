import { decodeMethod, type ReceivedMethod } from '../../../services/broker/amqp/decode-method.ts';
import { methodFrame } from '../../../services/broker/amqp/encode-method.ts';
import { frameType } from '../../../services/broker/amqp/frame.ts';
import { FrameParser } from '../../../services/broker/amqp/frame-parser.ts';
import type { ClientMethod } from '../../../services/broker/amqp/method-spec.ts';
import type { Broker } from '../../../services/broker/core/broker.ts';
import { Rights } from '../../../services/broker/core/permissions.ts';
import { Connection } from '../../../services/broker/server/connection.ts';
import type { ConnectionHost, Login } from '../../../services/broker/server/connection-host.ts';
import { DirectReplies } from '../../../services/broker/server/direct-replies.ts';
import type { Wire } from '../../../services/broker/server/wire.ts';
import { type TestClock, testBroker } from '../core/fixtures.ts';

/** A socket that takes what it is given, or lets it wait. */
export class TestWire implements Wire {
  readonly remote = '127.0.0.1:1';
  waitingBytes = 0;
  /** Whether the client reads. */
  takes = true;
  isPaused = false;
  isEnded = false;
  isDestroyed = false;
  readonly #parser = new FrameParser(131_072);
  readonly methods: ReceivedMethod[] = [];
  heartbeats = 0;
  deliveries = 0;
  /** Channel and tag of whatever was delivered, in order. */
  readonly tags: { readonly channel: number; readonly tag: number }[] = [];
  /** Channels that the broker closed. */
  readonly closed: number[] = [];

  write(buffers: readonly Buffer[]): void {
    for (const buffer of buffers) {
      if (!this.takes) this.waitingBytes += buffer.length;
      if (buffer.toString('latin1', 0, 4) === 'AMQP') continue;
      this.#parser.push(buffer);
      while (this.#parser.next()) this.#note();
    }
  }

  #note(): void {
    const { type, channel, bytes, start, end } = this.#parser;
    if (type === frameType.heartbeat) this.heartbeats++;
    if (type !== frameType.method) return;
    const method = decodeMethod(bytes, start, end);
    if (method.name === 'basic.deliver' || method.name === 'basic.get-ok')
      this.tags.push({ channel, tag: method.deliveryTag });
    if (method.name === 'channel.close') this.closed.push(channel);
    if (method.name === 'basic.deliver') this.deliveries++;
    else this.methods.push(method);
  }

  /** Names of the methods that came since it was asked last, deliveries left out. */
  said(): string[] {
    return this.methods.splice(0).map(({ name }) => name);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.isEnded = true;
  }

  destroy(): void {
    this.isDestroyed = true;
  }
}

export class TestServer implements ConnectionHost {
  readonly broker: Broker;
  readonly clock: TestClock;
  readonly replies = new DirectReplies(() => this.randomName());
  readonly version = '0.0.0';
  readonly warnings: string[] = [];
  alarm: string | undefined;
  /** What a login is answered with, when the test says so. */
  admit: ConnectionHost['admit'] = () => {};
  login: ConnectionHost['login'] = async user => loginOf(user);
  readonly #dirty = new Set<{ flush(): void }>();
  #names = 0;

  constructor() {
    const { broker, clock } = testBroker();
    this.broker = broker;
    this.clock = clock;
  }

  randomName(): string {
    return `name${++this.#names}`;
  }

  dirty(connection: { flush(): void }): void {
    this.#dirty.add(connection);
  }

  now(): number {
    return this.clock.now();
  }

  warn(line: string): void {
    this.warnings.push(line);
  }

  /** The end of a turn. */
  flush(): void {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const connection of dirty) connection.flush();
  }
}

export function loginOf(user: string): Login {
  return { user, rights: new Rights(user, { configure: '.*', write: '.*', read: '.*' }, []) };
}

export const header = Buffer.from('AMQP\0\0\x09\x01', 'latin1');

/** A connection as its client drives it. */
export class TestClient {
  readonly wire = new TestWire();
  readonly connection: Connection;
  readonly #server: TestServer;

  constructor(server: TestServer) {
    this.#server = server;
    this.connection = new Connection(server, this.wire);
  }

  bytes(bytes: Buffer): void {
    this.connection.receive(bytes);
    this.#server.flush();
  }

  send(method: ClientMethod, channel = 0): void {
    this.bytes(methodFrame(channel, method));
  }

  startOk(): void {
    this.bytes(header);
    this.send({
      name: 'connection.start-ok',
      clientProperties: { capabilities: { 'connection.blocked': true, consumer_cancel_notify: true } },
      mechanism: 'PLAIN',
      response: Buffer.from('\0ann\0secret'),
      locale: 'en_US',
    });
  }

  async open({ heartbeat = 0 } = {}): Promise<void> {
    this.startOk();
    // The password is checked.
    await Promise.resolve();
    await Promise.resolve();
    this.send({ name: 'connection.tune-ok', channelMax: 100, frameMax: 131_072, heartbeat });
    this.send({ name: 'connection.open', virtualHost: '/' });
    this.send({ name: 'channel.open' }, 1);
    this.wire.said();
  }
}

export async function openClient(server: TestServer, tune?: { heartbeat?: number }): Promise<TestClient> {
  const client = new TestClient(server);
  await client.open(tune);
  return client;
}
