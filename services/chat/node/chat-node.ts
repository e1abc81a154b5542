import { randomInt } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Beat } from '../../../proto/gen/warren/chat/v1/hand_over.ts';
import type { Bus, Consumer, Delivery } from '../../bus/bus.ts';
import type { MemberHost } from '../../bus/hosted.ts';
import { keepConsuming } from '../../bus/keep-consuming.ts';
import { type StreamEntry, tailStream } from '../../bus/stream-tail.ts';
import { chatLive, chatLog, type QueueSpec } from '../../bus/topology.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { brokerAccountOf, type MemberId, memberOfBrokerAccount } from '../../lib/identity/member-id.ts';
import { randomHex } from '../../lib/random.ts';
import type { ChatStore } from '../chat-store.ts';
import { ChatLog, type Read } from '../core/chat-log.ts';
import { ChatClient } from '../core/client.ts';
import type { ClientEffect, ClientEvent } from '../core/client-events.ts';
import type { Entry, Operation } from '../core/entry.ts';
import { ChatServer } from '../core/server.ts';
import type { ServerEffect, ServerEvent, ServerMode, ServerOptions } from '../core/server-events.ts';
import { decodeHandOver, encodeHandOver } from '../hand-over-wire.ts';
import { reading } from '../octets.ts';
import { isAuthentic, signInput } from '../signed.ts';
import { decodeEntry, decodeInput, encodeEntry, encodeInput } from '../wire.ts';
import { InputChannel } from './input-channel.ts';
import { type KeepRegistered, type NamingClient, NamingEdge, type Standing } from './naming-edge.ts';

export interface ChatNodeNeeds {
  readonly host: Pick<
    MemberHost,
    | 'id'
    | 'keys'
    | 'bus'
    | 'openBus'
    | 'queueType'
    | 'addresses'
    | 'isRevoked'
    | 'now'
    | 'clock'
    | 'random'
    | 'log'
    | 'warn'
  >;
  readonly store: ChatStore;
  readonly naming: { readonly client: NamingClient; readonly keepRegistered: KeepRegistered };
  /** Each read of the log, once, in order, before anything is done about it. */
  readonly onRead: (read: Read) => void;
  /** How the log stands is about to be written down: @returns whether all that was read before is kept elsewhere as far as it must be */
  readonly onKeep: () => boolean;
  /** Something this member has said stands in the log, or does not and will not. */
  readonly onOutcome: (effect: Extract<ClientEffect, { kind: 'written' | 'refused' | 'full' }>) => void;
}

export interface ChatNodeOptions {
  readonly chat: string;
  readonly server: ServerOptions;
}

/**
 * The broker leaves the input with one that is frozen until it misses two of these: so much longer than a lease may nobody be served. On
 * connections of its own, since one that stands still for so long by accident loses them.
 */
const heartbeatSeconds = 1;
const tickMs = 50;
/** How often the state is written to the disk, in entries read. */
const snapshotEvery = 2_000;
/** For handing over, when it is to end. */
const handOverMs = 1_500;

/** What servers of chats say to this member's. */
const handOvers: QueueSpec = {
  name: '',
  exclusive: true,
  arguments: { 'x-max-length': 100 },
  why: 'fresh or nothing; bounded, because all hosts may write to it',
};

/**
 * A member's server and client of one chat, over the bus: what comes is given to the machines of the core as events, what they want is done.
 * It begins with the first connection to a broker.
 */
export class ChatNode {
  readonly #needs: ChatNodeNeeds;
  readonly #options: ChatNodeOptions;
  readonly log: ChatLog;
  readonly #server: ChatServer;
  readonly #client: ChatClient;
  readonly #input: InputChannel;
  readonly #naming: NamingEdge;
  readonly #ends: (() => unknown)[] = [];
  readonly #onMode = new Set<(mode: ServerMode) => void>();
  /** Publishes of inputs end with the connection: the client says them again on the next one. */
  #connection = new AbortController();
  /** What only the server says and takes: with the rights of a host, and a short heartbeat. */
  readonly #serverBus: Bus;
  #isOpening = false;
  #isStarted = false;
  /** The broker has not refused it the input. */
  #isHost = true;
  #isDraining = false;
  #isClosing = false;
  #readSince = 0;

  constructor(needs: ChatNodeNeeds, options: ChatNodeOptions) {
    const { host, store, naming } = needs;
    const { id: self, bus, random } = host;
    const { chat, server } = options;
    this.#needs = needs;
    this.#options = options;
    const from = store.snapshot();
    this.log = new ChatLog({ isAuthentic }, from === undefined ? {} : { from });
    this.#server = new ChatServer(
      { self, log: this.log, isAuthentic, random, newMigrationId: () => randomHex(16) },
      server,
    );
    const random32 = (): number => randomInt(2 ** 32);
    this.#client = new ChatClient({ self, log: this.log, isAuthentic, random32 }, store.items());
    this.#serverBus = host.openBus('chat', { heartbeatSeconds });
    this.#ends.push(() => this.#serverBus.close(200));
    this.#input = new InputChannel({
      ...{ bus: this.#serverBus, chat, kind: host.queueType, prefetch: server.prefetch },
      onDelivery: (channel, tag, delivery) => this.#delivered(channel, tag, delivery),
      onRefused: () => this.#mayNotHost(),
      onClosed: channel => this.#toServer({ kind: 'channel-closed', channel, now: this.#now }),
    });
    this.#naming = new NamingEdge({
      ...{ ...naming, chat, self, addresses: () => host.addresses(), standing: () => this.#standing() },
      onPicked: (latent, why) => this.#toServer({ kind: 'picked', latent, why, now: this.#now }),
      onRecorded: epoch => this.#toServer({ kind: 'recorded', epoch }),
    });
    this.#ends.push(
      bus.onState(state => {
        if (state === 'up') this.#connected();
        else if (state !== 'blocked') this.#disconnected();
      }),
    );
    if (bus.state === 'up') this.#connected();
  }

  get mode(): ServerMode {
    return this.#server.mode;
  }

  /** What this member has said that does not stand in the log yet. */
  get onItsWay(): number {
    return this.#client.size;
  }

  get isConnected(): boolean {
    const { state } = this.#needs.host.bus;
    return this.#isStarted && (state === 'up' || state === 'blocked');
  }

  /** @returns the item's id, by which its outcome is told; undefined: too much is on its way */
  say(operation: Operation): number | undefined {
    const before = this.#client.lastId;
    this.#toClient({ kind: 'say', operation, sentAtMs: this.#needs.host.now(), now: this.#now });
    return this.#client.lastId > before ? this.#client.lastId : undefined;
  }

  /** How many members are there, this one included. */
  present(count: number): void {
    if (this.#isStarted) this.#toServer({ kind: 'present', count, now: this.#now });
  }

  /** Hands over, if it serves and somebody stands by, and ends. */
  async close(): Promise<void> {
    this.#isDraining = true;
    if (this.#isStarted && this.mode === 'active') {
      this.#toServer({ kind: 'migrate', now: this.#now });
      await this.#left();
    }
    this.#isClosing = true;
    this.#connection.abort();
    for (const end of this.#ends.splice(0).reverse()) await end();
    await this.#naming.close();
    this.#keep();
  }

  #left(): Promise<void> {
    return new Promise(resolve => {
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

  // --- what comes

  #connected(): void {
    this.#connection = new AbortController();
    // One for each input on its way.
    setMaxListeners(0, this.#connection.signal);
    if (this.#isStarted) return this.#toClient({ kind: 'connected', now: this.#now });
    if (this.#isOpening) return;
    this.#isOpening = true;
    // What the server wants first is to consume: that has to be possible.
    this.#serverBus.ready().then(
      () => this.#follow(),
      () => {
        this.#isOpening = false;
      },
    );
  }

  #follow(): void {
    if (this.#isClosing) return;
    const from = this.log.state.offset < 0 ? 'first' : BigInt(this.log.nextOffset);
    const { bus } = this.#needs.host;
    const tail = tailStream(bus, chatLog(this.#options.chat), entry => this.#tailed(entry), { from });
    this.#ends.push(() => tail.close());
    // Not before there is a log: what is said to a chat that the network does not have is lost.
    void tail.begun.then(() => this.#begin());
  }

  #disconnected(): void {
    this.#connection.abort();
    if (this.#isStarted) this.#toClient({ kind: 'disconnected' });
  }

  #begin(): void {
    if (this.#isStarted || this.#isClosing) return;
    const { bus } = this.#needs.host;
    const { chat } = this.#options;
    this.#isStarted = true;
    this.#toServer({ kind: 'start', now: this.#now });
    this.#toClient({ kind: 'start', now: this.#now });
    if (bus.state === 'up' || bus.state === 'blocked') this.#toClient({ kind: 'connected', now: this.#now });
    const told: Consumer = keepConsuming(bus, () =>
      bus.consume(handOvers, delivery => this.#handOver(delivery), {
        noAck: true,
        bindings: () => [{ exchange: 'm', key: `${bus.user}.chat` }],
      }),
    );
    const beats: Consumer = keepConsuming(bus, () =>
      bus.consume(chatLive, delivery => this.#beat(delivery), {
        noAck: true,
        bindings: () => [{ exchange: 'chat', key: `beat.${chat}` }],
      }),
    );
    const ticks = setInterval(() => {
      this.#toServer({ kind: 'tick', now: this.#now });
      this.#toClient({ kind: 'tick', now: this.#now });
    }, tickMs);
    this.#ends.push(() => Promise.all([told, beats].map(each => each.close())));
    this.#ends.push(() => clearInterval(ticks));
  }

  #tailed({ offset, userId, type, body, isStray }: StreamEntry): void {
    this.#begin();
    const isEntry = isStray !== true && type === 'warren.chat.v1.Entry';
    const decoded = isEntry ? decodeEntry(body, this.#options.chat) : undefined;
    this.#reads(
      this.log.read({
        ...{ offset: Number(offset), size: body.length },
        from: isEntry ? this.#memberIn(userId) : undefined,
        entry: decoded?.entry,
        atMs: decoded?.atMs ?? 0,
      }),
    );
  }

  #reads(reads: readonly Read[]): void {
    for (const read of reads) {
      this.#needs.onRead(read);
      this.#toServer({ kind: 'read', read, now: this.#now });
      this.#toClient({ kind: 'read', read, now: this.#now });
      this.#readSince++;
      if (read.kind === 'cut' || this.#readSince >= snapshotEvery) this.#keep();
    }
  }

  #keep(): void {
    this.#readSince = 0;
    try {
      if (this.log.state.epoch > 0 && this.#needs.onKeep()) this.#needs.store.keepSnapshot(this.log.snapshot());
    } catch (error) {
      this.#needs.host.warn(`chat: cannot keep how it stands: ${messageOf(error)}`);
    }
  }

  #delivered(channel: number, tag: number, { userId, type, body }: Delivery): void {
    const { chat } = this.#options;
    const isNudge = type === 'warren.chat.v1.Nudge';
    const input = type === 'warren.chat.v1.Input' ? decodeInput(body, chat) : undefined;
    const content = isNudge ? 'nudge' : (input ?? 'unreadable');
    this.#toServer({ kind: 'delivery', channel, tag, from: this.#memberIn(userId), content, now: this.#now });
  }

  #handOver({ userId, type, body }: Delivery): 'ack' {
    const from = this.#memberIn(userId);
    const message = type === 'warren.chat.v1.HandOver' ? decodeHandOver(body, this.#options.chat) : undefined;
    if (from !== undefined && message !== undefined && !this.#isDraining)
      this.#toServer({ kind: 'hand-over', from, message, now: this.#now });
    return 'ack';
  }

  #beat({ userId, type, body }: Delivery): 'ack' {
    const from = this.#memberIn(userId);
    const beat = type === 'warren.chat.v1.Beat' ? reading(() => Beat.decode(body)) : undefined;
    if (from !== undefined && beat !== undefined)
      this.#toServer({ kind: 'beat', from, epoch: beat.epoch, now: this.#now });
    return 'ack';
  }

  #memberIn(userId: string | undefined): MemberId | undefined {
    return userId === undefined ? undefined : memberOfBrokerAccount(userId);
  }

  // --- what the machines want

  /** Its account is none of those that may: it reads and speaks, and serves never. */
  #mayNotHost(): void {
    if (!this.#isHost) return;
    this.#isHost = false;
    this.#needs.host.log(`chat ${this.#options.chat}: this member may not serve it (directory.chat_hosts)`);
  }

  #toServer(event: ServerEvent): void {
    if (!this.#isStarted || !this.#isHost) return;
    for (const effect of this.#server.handle(event)) this.#serverEffect(effect);
  }

  #serverEffect(effect: ServerEffect): void {
    const { host } = this.#needs;
    const bus = this.#serverBus;
    const { chat } = this.#options;
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
        return void bus.send({ type: 'warren.chat.v1.Nudge', key: `in.${chat}`, body: new Uint8Array() });
      case 'hand-over': {
        const body = encodeHandOver(chat, effect.message);
        return void bus.send({ type: 'warren.chat.v1.HandOver', key: `${brokerAccountOf(effect.to)}.chat`, body });
      }
      case 'pick':
        return this.#naming.pick(effect.except);
      case 'adopt':
        return this.#reads(this.log.adopt(effect.snapshot));
      case 'record':
        return this.#naming.record(effect);
      case 'beat': {
        const body = Beat.encode({ epoch: effect.epoch, logOffset: effect.logOffset }).finish();
        return void bus.send({ type: 'warren.chat.v1.Beat', key: `beat.${chat}`, body });
      }
      case 'mode':
        if (effect.mode === 'active' || effect.mode === 'latent') this.#naming.tell();
        for (const look of [...this.#onMode]) look(effect.mode);
        return host.log(`chat ${chat}: ${effect.mode}, ${effect.why}`);
      case 'purge':
        return;
      case 'say':
        return host.log(`chat ${chat}: ${effect.line}`);
    }
  }

  #append(entry: Entry): void {
    const { now, warn } = this.#needs.host;
    const { chat } = this.#options;
    const body = encodeEntry(entry, now());
    // What is not taken is not seen, and the server steps down.
    this.#serverBus.publish({ type: 'warren.chat.v1.Entry', key: `log.${chat}`, body }).catch(error => {
      if (error instanceof Failure && error.code === 'BUS_REFUSED') this.#mayNotHost();
      else if (this.#isHost && !this.#isClosing)
        warn(`chat ${chat}: the log does not take an entry: ${messageOf(error)}`);
    });
  }

  #toClient(event: ClientEvent): void {
    for (const effect of this.#client.handle(event)) this.#clientEffect(effect);
  }

  #clientEffect(effect: ClientEffect): void {
    const { host, store, onOutcome } = this.#needs;
    const { chat } = this.#options;
    switch (effect.kind) {
      case 'store':
        return store.put(effect.item);
      case 'publish': {
        const body = encodeInput(signInput(host.keys, chat, effect.input).proof);
        // Lost or refused, it is said again later.
        return void host.bus
          .publish({ type: 'warren.chat.v1.Input', key: `in.${chat}`, body }, this.#connection.signal)
          .catch(() => {});
      }
      case 'written':
      case 'refused':
        store.remove(effect.id);
        return onOutcome(effect);
      case 'full':
        return onOutcome(effect);
    }
  }

  #standing(): Standing | undefined {
    const { epoch, migrationId, offset } = this.log.state;
    if (!this.isConnected || !this.#isHost || this.log.isLost || epoch === 0) return undefined;
    const common = { addresses: this.#needs.host.addresses(), logOffset: Math.max(0, offset) };
    if (this.mode === 'active') return { ...common, role: 'active', epoch, migrationId };
    return { ...common, role: 'latent', isDraining: this.#isDraining };
  }

  get #now(): number {
    return this.#needs.host.clock();
  }
}
