import { Beat } from '../../../proto/gen/warren/chat/v1/hand_over.ts';
import type { Bus, Consumer, Delivery } from '../../bus/bus.ts';
import type { MemberHost } from '../../bus/hosted.ts';
import { keepConsuming } from '../../bus/keep-consuming.ts';
import { chatLive } from '../../bus/queues.ts';
import type { QueueSpec } from '../../bus/topology.ts';
import { AttemptLimiter } from '../../lib/attempt-limiter.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { brokerAccountOf, type MemberId, memberOfBrokerAccount } from '../../lib/identity/member-id.ts';
import { randomHex } from '../../lib/random.ts';
import type { ChatLog, Read } from '../core/chat-log.ts';
import type { Snapshot } from '../core/chat-state.ts';
import type { Entry } from '../core/entry.ts';
import { ChatServer } from '../core/server.ts';
import type { ServerEffect, ServerEvent, ServerMode, ServerOptions } from '../core/server-events.ts';
import { decodeHandOver, encodeHandOver } from '../hand-over-wire.ts';
import { reading } from '../octets.ts';
import { isAuthentic } from '../signed.ts';
import { decodeInput, encodeEntry } from '../wire.ts';
import { InputChannel } from './input-channel.ts';
import { type KeepRegistered, type NamingClient, NamingEdge, type Standing } from './naming-edge.ts';

export interface ServerEdgeNeeds {
  readonly host: Pick<
    MemberHost,
    'id' | 'bus' | 'openBus' | 'queueType' | 'addresses' | 'now' | 'clock' | 'random' | 'log' | 'warn'
  >;
  readonly chat: string;
  readonly options: ServerOptions;
  readonly log: ChatLog;
  readonly naming: { readonly client: NamingClient; readonly keepRegistered: KeepRegistered };
  /** A state from elsewhere, for a log that is lost. */
  readonly onAdopt: (snapshot: Snapshot) => void;
}

/**
 * The broker leaves the input with one that is frozen until it misses two of these: so much longer than a lease may nobody be served. On
 * connections of its own, since one that stands still for so long by accident loses them.
 */
const heartbeatSeconds = 1;
/** What is told to whoever runs the daemon: so many at once, and then one each few seconds. */
const lines = { burst: 50, refillMs: 3_000, maxKeys: 1 };
/** For handing over, when it is to end. */
const handOverMs = 1_500;

/** What servers of chats say to this member's. */
const handOvers: QueueSpec = {
  name: '',
  exclusive: true,
  arguments: { 'x-max-length': 100 },
  why: 'fresh or nothing; bounded, because all hosts may write to it',
};

/** A member's server of one chat, over the bus: what comes is given to the core's machine as events, what it wants is done. */
export class ServerEdge {
  readonly #needs: ServerEdgeNeeds;
  readonly #server: ChatServer;
  /** What only the server says and takes: with the rights of a host, and a short heartbeat. */
  readonly #bus: Bus;
  readonly #input: InputChannel;
  readonly #naming: NamingEdge;
  readonly #consumers: Consumer[] = [];
  readonly #lines = new AttemptLimiter(lines);
  readonly #onMode = new Set<(mode: ServerMode) => void>();
  #isStarted = false;
  /** The broker has not refused it. */
  #isHost = true;
  #isDraining = false;
  #isClosing = false;

  constructor(needs: ServerEdgeNeeds) {
    const { host, chat, options, log, naming } = needs;
    const { id: self, random } = host;
    this.#needs = needs;
    this.#server = new ChatServer({ self, log, isAuthentic, random, newMigrationId: () => randomHex(16) }, options);
    this.#bus = host.openBus('chat', { heartbeatSeconds });
    this.#input = new InputChannel({
      ...{ bus: this.#bus, chat, kind: host.queueType, prefetch: options.prefetch },
      onDelivery: (channel, tag, delivery) => this.#delivered(channel, tag, delivery),
      onRefused: () => this.#mayNotHost(),
      onClosed: channel => this.#handle({ kind: 'channel-closed', channel, now: this.#now }),
    });
    this.#naming = new NamingEdge({
      ...{ ...naming, chat, self, addresses: () => host.addresses(), standing: () => this.#standing() },
      onPicked: (latent, why) => this.#handle({ kind: 'picked', latent, why, now: this.#now }),
      onRecorded: epoch => this.#handle({ kind: 'recorded', epoch }),
    });
  }

  get mode(): ServerMode {
    return this.#server.mode;
  }

  /** Resolves when it could consume: what it wants first. */
  ready(): Promise<void> {
    return this.#bus.ready();
  }

  /** Before all reads. */
  start(): void {
    const { bus } = this.#needs.host;
    const { chat } = this.#needs;
    this.#isStarted = true;
    this.#handle({ kind: 'start', now: this.#now });
    this.#consumers.push(
      keepConsuming(bus, () =>
        bus.consume(handOvers, delivery => this.#handOver(delivery), {
          noAck: true,
          bindings: () => [{ exchange: 'm', key: `${bus.user}.chat` }],
        }),
      ),
      keepConsuming(bus, () =>
        bus.consume(chatLive, delivery => this.#beat(delivery), {
          noAck: true,
          bindings: () => [{ exchange: 'chat', key: `beat.${chat}` }],
        }),
      ),
    );
  }

  read(read: Read): void {
    this.#handle({ kind: 'read', read, now: this.#now });
  }

  tick(): void {
    this.#handle({ kind: 'tick', now: this.#now });
  }

  /** How many members are there, this one included. */
  present(count: number): void {
    this.#handle({ kind: 'present', count, now: this.#now });
  }

  /** Hands over, if it serves and somebody stands by. */
  async leave(): Promise<void> {
    this.#isDraining = true;
    if (!this.#isStarted || this.mode !== 'active') return;
    this.#handle({ kind: 'migrate', now: this.#now });
    await new Promise<void>(resolve => {
      const look = (mode: ServerMode): void => {
        if (mode === 'active' || mode === 'freezing') return;
        clearTimeout(late);
        this.#onMode.delete(look);
        resolve();
      };
      const late = setTimeout(() => look('latent'), handOverMs);
      this.#onMode.add(look);
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#consumers.map(each => each.close()));
    await this.#bus.close(200);
    await this.#naming.close();
  }

  // --- what comes

  #delivered(channel: number, tag: number, { userId, type, body }: Delivery): void {
    const isNudge = type === 'warren.chat.v1.Nudge';
    const input = type === 'warren.chat.v1.Input' ? decodeInput(body, this.#needs.chat) : undefined;
    const content = isNudge ? 'nudge' : (input ?? 'unreadable');
    this.#handle({ kind: 'delivery', channel, tag, from: memberIn(userId), content, now: this.#now });
  }

  #handOver({ userId, type, body }: Delivery): 'ack' {
    const from = memberIn(userId);
    const message = type === 'warren.chat.v1.HandOver' ? decodeHandOver(body, this.#needs.chat) : undefined;
    // One that is to end takes nothing over, and hears of what it gives.
    const isWelcome = !this.#isDraining || (message?.step.kind !== 'stand-by' && message?.step.kind !== 'offer');
    if (from !== undefined && message !== undefined && isWelcome)
      this.#handle({ kind: 'hand-over', from, message, now: this.#now });
    return 'ack';
  }

  #beat({ userId, type, body }: Delivery): 'ack' {
    const from = memberIn(userId);
    const beat = type === 'warren.chat.v1.Beat' ? reading(() => Beat.decode(body)) : undefined;
    if (from !== undefined && beat !== undefined)
      this.#handle({ kind: 'beat', from, epoch: beat.epoch, now: this.#now });
    return 'ack';
  }

  // --- what the machine wants

  #handle(event: ServerEvent): void {
    if (!this.#isStarted || !this.#isHost || this.#isClosing) return;
    for (const effect of this.#server.handle(event)) this.#act(effect);
  }

  #act(effect: ServerEffect): void {
    const { chat, onAdopt } = this.#needs;
    switch (effect.kind) {
      case 'append':
        return this.#append(effect.entry);
      case 'consume':
        return this.#input.open(effect.channel);
      case 'close':
        return this.#input.close(effect.channel);
      case 'ack':
        return this.#input.ack(effect.channel, effect.tag);
      case 'nudge':
        return void this.#bus.send({ type: 'warren.chat.v1.Nudge', key: `in.${chat}`, body: new Uint8Array() });
      case 'hand-over': {
        const body = encodeHandOver(chat, effect.message);
        return void this.#bus.send({
          type: 'warren.chat.v1.HandOver',
          key: `${brokerAccountOf(effect.to)}.chat`,
          body,
        });
      }
      case 'pick':
        return this.#naming.pick(effect.except);
      case 'adopt':
        return onAdopt(effect.snapshot);
      case 'record':
        return this.#naming.record(effect);
      case 'beat': {
        const body = Beat.encode({ epoch: effect.epoch, logOffset: effect.logOffset }).finish();
        return void this.#bus.send({ type: 'warren.chat.v1.Beat', key: `beat.${chat}`, body });
      }
      case 'mode':
        if (effect.mode === 'active' || effect.mode === 'latent') this.#naming.tell();
        for (const look of [...this.#onMode]) look(effect.mode);
        return this.#say(`${effect.mode}, ${effect.why}`);
      case 'purge':
        return;
      case 'say':
        return this.#say(effect.line);
    }
  }

  /** What strangers do is not to fill a log. */
  #say(line: string): void {
    if (this.#lines.waitMs('', this.#now) > 0) return;
    this.#lines.take('', this.#now);
    this.#needs.host.log(`chat ${this.#needs.chat}: ${line}`);
  }

  #append(entry: Entry): void {
    const { host, chat } = this.#needs;
    const body = encodeEntry(entry, host.now());
    // What is not taken is not seen, and the server steps down.
    this.#bus.publish({ type: 'warren.chat.v1.Entry', key: `log.${chat}`, body }).catch(error => {
      if (error instanceof Failure && error.code === 'BUS_REFUSED') this.#mayNotHost();
      else if (this.#isHost && !this.#isClosing)
        host.warn(`chat ${chat}: the log does not take an entry: ${messageOf(error)}`);
    });
  }

  /** Its account is none of those that may: it reads and speaks, and serves never. */
  #mayNotHost(): void {
    if (!this.#isHost || this.#isClosing) return;
    this.#isHost = false;
    this.#needs.host.log(`chat ${this.#needs.chat}: this member may not serve it (directory.chat_hosts)`);
  }

  #standing(): Standing | undefined {
    const { log, host } = this.#needs;
    const { epoch, migrationId, offset } = log.state;
    if (!this.#isStarted || !this.#isHost || this.#bus.state !== 'up' || log.isLost || epoch === 0) return undefined;
    const common = { addresses: host.addresses(), logOffset: Math.max(0, offset) };
    if (this.mode === 'active') return { ...common, role: 'active', epoch, migrationId };
    return { ...common, role: 'latent', isDraining: this.#isDraining };
  }

  get #now(): number {
    return this.#needs.host.clock();
  }
}

/** Who published it, as the broker has checked it. */
export function memberIn(userId: string | undefined): MemberId | undefined {
  return userId === undefined ? undefined : memberOfBrokerAccount(userId);
}
