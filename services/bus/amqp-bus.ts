import { IllegalOperationError, type Message, type Options } from 'amqplib';
import { backoffMs } from '../lib/backoff.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { largePassed } from '../lib/large-messages.ts';
import { randomHex, randomId } from '../lib/random.ts';
import { newTraceparent } from '../lib/trace.ts';
import type {
  Bus,
  BusOptions,
  BusState,
  ConsumeOptions,
  Consumer,
  Delivery,
  Outgoing,
  RequestOptions,
  Verdict,
} from './bus.ts';
import { BusConsumer } from './consumer.ts';
import { Outbox, type Pending } from './outbox.ts';
import { Requests } from './requests.ts';
import { declare, openChannel, openSession, type Session, userOf } from './session.ts';
import { messages, type QueueSpec } from './topology.ts';

const reconnectBounds = { firstMs: 100, maxMs: 2_000 };
/** RabbitMQ 4.x refuses larger messages, and closes the channel with all that is on it. */
const messageLimit = 16 * 1024 * 1024;
/** What may wait in this process for a broker that reads slowly; past it `send` says no. */
const backlogLimit = 64 * 1024 * 1024;
const refusalLimit = 3;
/** How long something that somebody deleted, or that expired, may be missing while who declares it is connected. */
const redeclareMs = 5_000;
/** Failures that trying again does not heal. */
const fatalCodes = new Set(['BUS_LOGIN', 'BUS_RIGHTS', 'BUS_TOPOLOGY']);

/** Connects in the background and stays connected until closed. */
export function createBus(options: BusOptions, log: (line: string) => void = () => {}): Bus {
  return new AmqpBus(options, log);
}

/**
 * Modes: `connecting` (entered at the start and when a session is lost; tries the URLs in turn, with backoff) → `up`
 * (both connections open, topology declared, every consumer running) ⇄ `blocked` (the broker said so) → `connecting`, or
 * `closed`. A session is never repaired: whatever breaks one of its connections ends both.
 */
class AmqpBus implements Bus {
  readonly #options: BusOptions;
  readonly #log: (line: string) => void;
  readonly #consumers = new Set<BusConsumer>();
  readonly #listeners = new Set<(state: BusState, reason: string) => void>();
  readonly #outbox = new Outbox();
  readonly #requests: Requests;
  readonly #wake = new AbortController();
  #state: BusState = 'connecting';
  #reason = 'not connected yet';
  #fatal: Failure | undefined;
  #session: Session | undefined;
  #user: string;
  #urlIndex = 0;
  /** Bytes written since the socket last took all, or undefined while it takes all. */
  #backlog: number | undefined;
  #everUp = false;
  #redeclaring: NodeJS.Timeout | undefined;

  constructor(options: BusOptions, log: (line: string) => void) {
    const first = options.urls[0];
    if (first === undefined) throw new Failure('BUS_URL', 'no broker URL given');
    this.#options = options;
    this.#log = log;
    this.#user = userOf(first);
    this.#requests = new Requests(this);
    void this.#run();
  }

  get state(): BusState {
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  get user(): string {
    return this.#user;
  }

  onState(listener: (state: BusState, reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #enter(state: BusState, reason: string): void {
    this.#reason = reason;
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state, reason);
  }

  ready(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (this.#state === 'connecting' && !this.#fatal && !signal?.aborted) return;
        off();
        signal?.removeEventListener('abort', settle);
        if (this.#state === 'up' || this.#state === 'blocked') resolve();
        else reject(this.#fatal ?? new Failure('BUS_LOST', `not connected to a broker: ${this.#reason}`));
      };
      const off = this.onState(settle);
      signal?.addEventListener('abort', settle);
      settle();
    });
  }

  async #run(): Promise<void> {
    for (let attempt = 0; this.#state !== 'closed'; ) {
      const lost = Promise.withResolvers<Failure>();
      try {
        await this.#open(lost.resolve);
        attempt = 0;
        this.#end(await lost.promise);
        if (this.#isClosed()) return;
      } catch (error) {
        const failure =
          error instanceof Failure ? error : new Failure('BUS_UNREACHABLE', messageOf(error), { cause: error });
        this.#end(undefined);
        if (this.#isClosed()) return;
        // A login refused at the first start is a mistake to be told; later it may be a broker being restored.
        if (fatalCodes.has(failure.code) && !this.#everUp) this.#fatal = failure;
        if (this.#reason !== failure.message) this.#log(failure.message);
        this.#reason = failure.message;
        this.#urlIndex++;
        for (const listener of [...this.#listeners]) listener(this.#state, failure.message);
        // Another node of a cluster is tried at once; only a full round of failures makes us wait.
        if (++attempt % this.#options.urls.length !== 0) continue;
      }
      await this.#pause(backoffMs(Math.floor(attempt / this.#options.urls.length), reconnectBounds, Math.random));
    }
  }

  async #open(onLost: (reason: Failure) => void): Promise<void> {
    const url = this.#options.urls[this.#urlIndex % this.#options.urls.length] ?? '';
    this.#user = userOf(url);
    const session = await openSession(url, this.#options.name, this.#options.role, {
      lost: onLost,
      blocked: reason => this.#enter('blocked', `the broker takes no messages: ${reason}`),
      unblocked: () => this.#becomeUp(),
    });
    this.#session = session;
    if (this.#isClosed()) return onLost(new Failure('BUS_CLOSED', 'closed'));
    session.plain.on('return', (message: Message) => this.#requests.returned(String(message.properties.correlationId)));
    // It comes before the confirm.
    session.confirmed.on('return', (message: Message) => this.#outbox.returned(String(message.properties.messageId)));
    session.plain.on('drain', () => {
      this.#backlog = undefined;
    });
    for (const consumer of this.#consumers) await consumer.begin(session);
    if (!session.isOpen()) return;
    this.#fatal = undefined;
    this.#everUp = true;
    // Before anybody hears that it is up and publishes more: what was said first goes first.
    this.#resend(session);
    this.#becomeUp();
    this.#keepDeclared(session);
  }

  /** What others only expect must be there again without anybody's doing. */
  #keepDeclared(session: Session): void {
    const { role } = this.#options;
    if (role.exchanges.length + role.queues.length === 0) return;
    const own = { exchanges: role.exchanges, queues: role.queues };
    const again = async (): Promise<void> => {
      let said = '';
      while (session === this.#session && session.isOpen()) {
        await new Promise(resolve => {
          this.#redeclaring = setTimeout(resolve, redeclareMs);
        });
        if (session !== this.#session || !session.isOpen()) return;
        try {
          await declare(session.consuming, own);
        } catch (error) {
          if (said !== messageOf(error)) this.#log(`cannot declare again: ${messageOf(error)}`);
          said = messageOf(error);
        }
      }
    };
    void again();
  }

  #becomeUp(): void {
    this.#enter('up', 'connected');
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** The session is over: what stands on it is told, what was not confirmed waits for the next. */
  #end(reason: Failure | undefined): void {
    const session = this.#session;
    this.#session = undefined;
    clearTimeout(this.#redeclaring);
    this.#backlog = undefined;
    void session?.close();
    if (reason?.code === 'BUS_REFUSED') {
      // Somebody in the outbox is at fault. Alone on its way, it is known; else it will be, one at a time.
      const first = this.#outbox.first();
      if (this.#outbox.oneByOne && first) this.#fail(first, reason);
      this.#outbox.suspect();
    }
    if (!reason || this.#isClosed()) return;
    this.#log(reason.message);
    this.#enter('connecting', reason.message);
    this.#requests.fail(reason);
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(done, ms);
      const signal = this.#wake.signal;
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      if (signal.aborted) done();
      else signal.addEventListener('abort', done);
    });
  }

  send(message: Outgoing, mandatory = false): boolean {
    const session = this.#session;
    // Already while consumers are being attached: their handlers answer what has come.
    if (!session?.isOpen() || this.#state === 'blocked') return false;
    if (this.#backlog !== undefined && this.#backlog > backlogLimit) return false;
    const content = asBuffer(message.body);
    largePassed(content.length);
    try {
      const taken = session.plain.publish(
        messages[message.type].exchange,
        message.key,
        content,
        this.#properties(message, message.messageId ?? randomId(), mandatory),
      );
      if (!taken) this.#backlog = (this.#backlog ?? 0) + content.length;
      return true;
    } catch (error) {
      // The channel has just gone; the session's end is on its way to us.
      if (error instanceof IllegalOperationError) return false;
      throw new Failure('BUS_MESSAGE', `cannot encode a ${message.type}: ${messageOf(error)}`, { cause: error });
    }
  }

  publish(message: Outgoing, signal?: AbortSignal): Promise<void> {
    if (message.body.byteLength > messageLimit) {
      return Promise.reject(
        new Failure('BUS_TOO_LARGE', `message of ${message.body.byteLength} bytes: at most ${messageLimit} go`),
      );
    }
    if (this.#state === 'closed') return Promise.reject(new Failure('BUS_CLOSED', 'the bus is closed'));
    return new Promise((resolve, reject) => {
      const messageId = message.messageId ?? randomId();
      const pending: Pending = { message: { ...message, messageId }, refusals: 0, resolve, reject };
      if (signal) {
        const abandon = (): void => {
          if (this.#outbox.remove(messageId))
            reject(new Failure('BUS_ABANDONED', 'gave up before the broker confirmed'));
        };
        if (signal.aborted) return reject(new Failure('BUS_ABANDONED', 'gave up before sending'));
        signal.addEventListener('abort', abandon, { once: true });
        const off = (): void => signal.removeEventListener('abort', abandon);
        pending.resolve = () => {
          off();
          resolve();
        };
        pending.reject = reason => {
          off();
          reject(reason);
        };
      }
      const wait = this.#outbox.oneByOne;
      this.#outbox.add(pending);
      const session = this.#session;
      if (session && !wait && (this.#state === 'up' || this.#state === 'blocked')) this.#put(session, pending);
    });
  }

  #resend(session: Session): void {
    const first = this.#outbox.first();
    if (this.#outbox.oneByOne && first) this.#put(session, first);
    else for (const pending of this.#outbox.all()) this.#put(session, pending);
  }

  #put(session: Session, pending: Pending): void {
    const { message } = pending;
    pending.isReturned = false;
    largePassed(message.body.byteLength);
    const onConfirm = (error: unknown): void => {
      if (session !== this.#session) return; // Lost with the session: the next one sends it again.
      if (error) this.#nacked(session, pending);
      else {
        const wasOneByOne = this.#outbox.oneByOne;
        if (this.#outbox.remove(message.messageId)) {
          if (pending.isReturned !== true) pending.resolve();
          else pending.reject(new Failure('BUS_NO_RECEIVER', `nobody receives ${message.key}`));
        }
        if (wasOneByOne) this.#resend(session);
      }
    };
    try {
      session.confirmed.publish(
        messages[message.type].exchange,
        message.key,
        asBuffer(message.body),
        this.#properties(message, message.messageId, message.mustRoute === true),
        onConfirm,
      );
    } catch (error) {
      // Gone: it stays in the outbox for the next session.
      if (error instanceof IllegalOperationError) return;
      this.#fail(pending, new Failure('BUS_MESSAGE', messageOf(error), { cause: error }));
    }
  }

  #nacked(session: Session, pending: Pending): void {
    if (!session.isOpen()) return;
    if (++pending.refusals >= refusalLimit) {
      this.#fail(pending, new Failure('BUS_NACK', `the broker could not take a ${pending.message.type}`));
      return;
    }
    void this.#pause(backoffMs(pending.refusals, reconnectBounds, Math.random)).then(() => {
      if (session === this.#session) this.#put(session, pending);
    });
  }

  #fail(pending: Pending, reason: Failure): void {
    if (!this.#outbox.remove(pending.message.messageId)) return;
    pending.reject(new Failure('BUS_REFUSED', `${pending.message.type} refused: ${reason.message}`, { cause: reason }));
  }

  #properties(message: Outgoing, messageId: string, mandatory: boolean): Options.Publish {
    const options: Options.Publish = {
      persistent: messages[message.type].persistent,
      messageId,
      type: message.type,
      appId: 'warren',
      userId: this.#user,
      timestamp: Math.floor(Date.now() / 1000),
      headers: { traceparent: message.traceparent ?? newTraceparent(randomHex) },
    };
    if (message.correlationId !== undefined) options.correlationId = message.correlationId;
    if (message.replyTo !== undefined) options.replyTo = message.replyTo;
    if (message.expirationMs !== undefined) options.expiration = String(Math.max(0, Math.round(message.expirationMs)));
    if (mandatory) options.mandatory = true;
    return options;
  }

  async consume(
    queue: QueueSpec,
    handler: (delivery: Delivery) => Verdict | Promise<Verdict>,
    options: ConsumeOptions,
  ): Promise<Consumer> {
    const consumer = new BusConsumer(queue, handler, options, this.#options.role, this.#log, gone =>
      this.#consumers.delete(gone),
    );
    this.#consumers.add(consumer);
    const session = this.#session;
    try {
      if (session && (this.#state === 'up' || this.#state === 'blocked')) await consumer.attach(session);
      // While connecting, the session being opened, or the next one, attaches it.
      else if (options.onEnd === undefined) await this.ready();
      else throw new Failure('BUS_LOST', `not connected to a broker: ${this.#reason}`);
    } catch (error) {
      if (session?.isOpen() || !session || options.onEnd !== undefined) {
        this.#consumers.delete(consumer);
        throw error;
      }
      await this.ready();
    }
    return consumer;
  }

  request(message: Outgoing, options: RequestOptions): Promise<Delivery> {
    return this.#requests.request(message, options, out => this.send(out, true));
  }

  async depth(queueName: string): Promise<{ messages: number; consumers: number }> {
    const session = this.#session;
    if (!session?.isOpen()) throw new Failure('BUS_LOST', `not connected to a broker: ${this.#reason}`);
    const channel = await openChannel(session.consuming);
    try {
      const { messageCount, consumerCount } = await channel.checkQueue(queueName);
      await channel.close();
      return { messages: messageCount, consumers: consumerCount };
    } catch (error) {
      throw new Failure('BUS_NO_QUEUE', `queue ${queueName}: ${messageOf(error)}`, { cause: error });
    }
  }

  async close(drainMs = 2_000): Promise<void> {
    if (this.#state === 'closed') return;
    const deadline = this.#pause(drainMs);
    const drained = Promise.all([...this.#consumers].map(consumer => consumer.close()))
      .then(() => this.#requests.close())
      .then(() => this.#outboxEmpty());
    await Promise.race([drained, deadline]);
    const reason = new Failure('BUS_CLOSED', 'the bus is closed');
    for (const pending of this.#outbox.all()) this.#fail(pending, reason);
    this.#requests.fail(reason);
    this.#enter('closed', 'closed');
    this.#wake.abort();
    clearTimeout(this.#redeclaring);
    await this.#session?.close();
    this.#session = undefined;
  }

  /** Resolves when nothing waits for a confirm, or at once when there is no broker that could confirm. */
  async #outboxEmpty(): Promise<void> {
    if (this.#state !== 'up') return;
    await Promise.allSettled(
      this.#outbox.all().map(
        pending =>
          new Promise<void>(resolve => {
            const { resolve: confirmed, reject } = pending;
            pending.resolve = () => {
              confirmed();
              resolve();
            };
            pending.reject = reason => {
              reject(reason);
              resolve();
            };
          }),
      ),
    );
  }
}

/** amqplib takes Buffers only; this is a view, not a copy. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
