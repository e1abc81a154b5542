import { ChatLog, type Read } from '../../../services/chat/core/chat-log.ts';
import type { Snapshot } from '../../../services/chat/core/chat-state.ts';
import { ChatClient } from '../../../services/chat/core/client.ts';
import type { ClientEffect, ClientEvent, OutboxItem } from '../../../services/chat/core/client-events.ts';
import type { Entry, Input, Operation } from '../../../services/chat/core/entry.ts';
import type { HandOver } from '../../../services/chat/core/hand-over.ts';
import { logRule } from '../../../services/chat/core/rule.ts';
import { ChatServer } from '../../../services/chat/core/server.ts';
import type { ServerEffect, ServerEvent } from '../../../services/chat/core/server-events.ts';
import { serverSteps } from '../../../services/chat/core/server-ports.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import { describe, memberOf, nameOf } from './describe.ts';
import type { Connection, Peer } from './model-connection.ts';
import { NamingUpkeep } from './naming-upkeep.ts';
import type { World } from './world.ts';

/** What outlives a crash. */
interface Disk {
  snapshot: Snapshot | undefined;
  readonly outbox: Map<number, OutboxItem>;
  shownSeq: number;
}

const tickMs = 50;
const noProof = { said: new Uint8Array(), publicKey: new Uint8Array(), signature: new Uint8Array() };

/** A member's daemon: reader, server and client over one connection, as the edges run them. */
export class ModelProcess {
  readonly member: MemberId;
  readonly name: string;
  readonly isFounder: boolean;
  readonly disk: Disk = { snapshot: undefined, outbox: new Map(), shownSeq: 0 };
  readonly #world: World;
  isRunning = false;
  isFrozen = false;
  /** Nothing reaches it. */
  isCutOff = false;
  connection: Connection | undefined;
  log!: ChatLog;
  server!: ChatServer;
  client!: ChatClient;
  /** Offset of the last entry read in this life, or that it began from. */
  readTo = -1;
  /** Texts said, in order. */
  saidCount = 0;
  #life = 0;
  /** The server begins with the first connection. */
  #isStarted = false;
  #inbox: (() => void)[] = [];
  /** Appends that the broker has not confirmed, by the connection's number. */
  #unconfirmed = new Map<number, Entry>();
  #openChannel = 0;
  #migrations = 0;
  #unsent = 0;
  #naming!: NamingUpkeep;

  constructor(world: World, place: number, isFounder: boolean) {
    this.#world = world;
    this.member = memberOf(place);
    this.name = nameOf(this.member);
    this.isFounder = isFounder;
  }

  // --- its life

  start(): void {
    const { random, mutation, server, client } = this.#world;
    this.isRunning = true;
    this.isFrozen = false;
    this.#life++;
    this.#unconfirmed.clear();
    this.#openChannel = 0;
    const isAuthentic = (): boolean => true;
    const rule = { ...logRule, ...mutation.rule };
    this.log = new ChatLog(
      { isAuthentic },
      { rule, ...(this.disk.snapshot === undefined ? {} : { from: this.disk.snapshot }) },
    );
    this.readTo = this.log.state.offset;
    const life = this.#life;
    this.server = new ChatServer(
      {
        ...{ self: this.member, log: this.#logNow(), isAuthentic, random },
        newMigrationId: () => `${this.name}.${life}.${++this.#migrations}`,
      },
      { ...server, isFounder: this.isFounder },
      { ...serverSteps, ...mutation.steps },
    );
    this.#naming = new NamingUpkeep(this.#world, this, epoch =>
      this.#receive(() => life === this.#life && this.#toServer({ kind: 'recorded', epoch })),
    );
    this.client = new ChatClient(
      { self: this.member, log: this.#logNow(), isAuthentic, random32: () => Math.floor(random() * 2 ** 32) },
      [...this.disk.outbox.values()],
      client,
    );
    this.#world.say(() => `${this.name} starts`);
    this.#isStarted = false;
    this.#toClient({ kind: 'start', now: this.#now });
    this.#connectLater(1);
    this.#tickLater(life);
  }

  kill(lossAfterMs: number, noticedAfterMs: number): void {
    if (!this.isRunning) return;
    this.#world.say(() => `${this.name} is killed`);
    this.isRunning = false;
    this.isFrozen = false;
    this.#inbox = [];
    this.#life++;
    const { connection } = this;
    this.connection = undefined;
    if (connection === undefined) return;
    connection.abandon(lossAfterMs);
    this.#world.queue.after(noticedAfterMs, () => {
      connection.end(false);
      return false;
    });
  }

  freeze(): void {
    if (!this.isRunning || this.isFrozen) return;
    this.#world.say(() => `${this.name} freezes`);
    this.isFrozen = true;
  }

  thaw(): void {
    if (!this.isFrozen) return;
    this.#world.say(() => `${this.name} goes on`);
    this.isFrozen = false;
    const inbox = this.#inbox;
    this.#inbox = [];
    // Whether the timers or the sockets come first.
    if (this.#isStarted && this.#world.random() < 0.5) this.#toServer({ kind: 'tick', now: this.#now });
    for (const act of inbox) this.#receive(act);
  }

  say(operation: Operation): void {
    if (!this.isRunning || this.isFrozen) return;
    this.#toClient({ kind: 'say', operation, sentAtMs: 0, now: this.#now });
  }

  /** It takes the connection for dead. */
  lose(connection: Connection): void {
    this.#receive(() => {
      if (this.connection !== connection) return;
      this.#world.say(() => `${this.name} has lost its connection`);
      this.connection = undefined;
      connection.drop();
      this.#toClient({ kind: 'disconnected' });
      const channel = this.#openChannel;
      this.#openChannel = 0;
      if (channel > 0) this.#toServer({ kind: 'channel-closed', channel, now: this.#now });
      this.#connectLater(10 + this.#world.random() * 200);
    });
  }

  // --- from other processes

  handOver(from: MemberId, message: HandOver): void {
    this.#receive(() => this.#toServer({ kind: 'hand-over', from, message, now: this.#now }));
  }

  present(count: number): void {
    this.#receive(() => this.#toServer({ kind: 'present', count, now: this.#now }));
  }

  beat(from: MemberId, epoch: number): void {
    this.#receive(() => this.#toServer({ kind: 'beat', from, epoch, now: this.#now }));
  }

  /** In the order of arrival, when it runs, and not in another life. */
  #receive(act: () => void): void {
    if (!this.isRunning) return;
    if (this.isFrozen) {
      this.#inbox.push(act);
      return;
    }
    act();
  }

  /** What comes over one connection, until the next one. */
  #peer(): Peer {
    const life = this.#life;
    let connection: Connection | undefined;
    const heard = (act: () => void): void => {
      if (life !== this.#life) return;
      connection ??= this.connection;
      const over = connection;
      this.#receive(() => {
        if (this.connection === over) act();
      });
    };
    return {
      member: this.member,
      deliver: (channel, tag, from, content) =>
        heard(() => this.#toServer({ kind: 'delivery', channel, tag, from, content, now: this.#now })),
      channelClosed: channel =>
        heard(() => {
          if (this.#openChannel === channel) this.#openChannel = 0;
          this.#toServer({ kind: 'channel-closed', channel, now: this.#now });
        }),
      entry: logged => heard(() => this.#reads(this.log.read(logged))),
      confirmed: publish => heard(() => void this.#unconfirmed.delete(publish)),
      lost: () => {
        if (life === this.#life && connection !== undefined) this.lose(connection);
        else if (life === this.#life && this.connection !== undefined) this.lose(this.connection);
      },
    };
  }

  #connectLater(ms: number): void {
    const life = this.#life;
    this.#world.queue.after(ms, () => {
      if (life !== this.#life || this.connection !== undefined) return false;
      this.#receive(() => this.#connect());
      return false;
    });
  }

  #connect(): void {
    if (this.connection !== undefined) return;
    const connection = this.isCutOff ? undefined : this.#world.broker.connect(this.#peer());
    if (connection === undefined) return this.#connectLater(100 + this.#world.random() * 100);
    this.connection = connection;
    connection.read(Math.max(0, this.log.nextOffset - 1));
    // What was not confirmed goes once more, before all else.
    const again = [...this.#unconfirmed.values()];
    this.#unconfirmed.clear();
    for (const entry of again) this.#unconfirmed.set(connection.append(entry), entry);
    const life = this.#life;
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#toServer({ kind: 'start', now: this.#now });
    }
    if (life === this.#life) this.#toClient({ kind: 'connected', now: this.#now });
  }

  #tickLater(life: number): void {
    this.#world.queue.after(tickMs, () => {
      if (life !== this.#life) return false;
      this.#tickLater(life);
      if (this.isFrozen) return false;
      if (this.#isStarted) this.#toServer({ kind: 'tick', now: this.#now });
      if (life === this.#life) this.#toClient({ kind: 'tick', now: this.#now });
      if (life === this.#life && this.connection?.isCut === false) this.#naming.renew();
      return false;
    });
  }

  #reads(reads: readonly Read[]): void {
    const life = this.#life;
    for (const read of reads) {
      if (read.kind === 'cut') this.#cut(read.fromSeq, read.toSeq);
      else this.#show(read);
      this.#toServer({ kind: 'read', read, now: this.#now });
      if (life !== this.#life) return;
      this.#toClient({ kind: 'read', read, now: this.#now });
      if (life !== this.#life) return;
    }
    this.readTo = this.log.state.offset;
    // Not before all of them are done with: the reader is ahead of them.
    if (reads.length > 0 && this.#world.random() < 0.1) this.disk.snapshot = this.log.snapshot();
  }

  #show(read: Extract<Read, { kind: 'entry' }>): void {
    this.#world.onRead(this, read.logged, read);
    const { meaning } = read;
    if (!('seq' in meaning) || meaning.seq <= this.disk.shownSeq) return;
    this.disk.shownSeq = meaning.seq;
    this.#world.onShown(this, meaning.seq, read.logged);
  }

  #cut(fromSeq: number, toSeq: number): void {
    const from = Math.max(fromSeq, this.disk.shownSeq + 1);
    if (from > toSeq) return;
    this.disk.shownSeq = toSeq;
    this.#world.onCut(this, from, toSeq);
  }

  // --- what its machines want

  #toServer(event: ServerEvent): void {
    const life = this.#life;
    for (const effect of this.server.handle(event)) {
      this.#serverEffect(effect);
      if (life === this.#life && this.isRunning) this.#world.hazard(this, effect);
      if (life !== this.#life || !this.isRunning) return;
    }
  }

  #serverEffect(effect: ServerEffect): void {
    const { world, connection } = { world: this.#world, connection: this.connection };
    switch (effect.kind) {
      case 'append':
        world.say(() => `${this.name} appends ${describe(effect.entry)}`);
        if (connection !== undefined) this.#unconfirmed.set(connection.append(effect.entry), effect.entry);
        // It goes out when there is a connection again; numbers of its own, below all others.
        else this.#unconfirmed.set(--this.#unsent, effect.entry);
        return;
      case 'consume':
        if (connection === undefined) return this.#fails(effect.channel);
        this.#openChannel = effect.channel;
        return connection.consume(effect.channel, world.server.prefetch);
      case 'close':
        if (connection === undefined) return;
        if (world.mutation.cancels) connection.cancel(effect.channel);
        else connection.closeChannel(effect.channel);
        return;
      case 'ack':
        return connection?.ack(effect.channel, effect.tag);
      case 'nudge':
        return void connection?.publish('nudge');
      case 'hand-over':
        world.say(() => `${this.name} to ${nameOf(effect.to)}: ${effect.message.step.kind}`);
        return this.#sendTo(effect.to, other => other.handOver(this.member, effect.message));
      case 'pick':
        return world.naming.call(
          () => world.naming.pick(effect.except),
          latent => this.#receive(() => this.#toServer({ kind: 'picked', latent, now: this.#now })),
        );
      case 'adopt':
        return this.#reads(this.log.adopt(effect.snapshot));
      case 'record':
        return this.#naming.record(effect);
      case 'beat':
        for (const other of world.others())
          if (other !== this) this.#sendTo(other.member, to => to.beat(this.member, effect.epoch));
        return;
      case 'mode':
        return world.say(
          () => `${this.name} is ${effect.mode}: ${effect.why.replaceAll(/[0-9]{64}/g, id => nameOf(id as MemberId))}`,
        );
      case 'purge':
        return world.say(() => `${this.name} forgets ${effect.count} that it held`);
      case 'say':
        world.onSaid(this, effect.line);
        return world.say(
          () => `${this.name} says: ${effect.line.replaceAll(/[0-9]{64}/g, id => nameOf(id as MemberId))}`,
        );
    }
  }

  #toClient(event: ClientEvent): void {
    const life = this.#life;
    for (const effect of this.client.handle(event)) {
      this.#clientEffect(effect);
      if (life === this.#life && this.isRunning) this.#world.hazard(this, effect);
      if (life !== this.#life || !this.isRunning) return;
    }
  }

  #clientEffect(effect: ClientEffect): void {
    switch (effect.kind) {
      case 'store':
        this.disk.outbox.set(effect.item.id, effect.item);
        return;
      case 'publish':
        this.connection?.publish({ ...effect.input, proof: noProof } satisfies Input);
        return;
      case 'written':
      case 'refused':
        this.disk.outbox.delete(effect.id);
        return this.#world.onOutcome(this, effect);
      case 'turned-away':
        throw new Error(`turned away: ${effect.reason}`);
    }
  }

  /** It cannot be opened now. */
  #fails(channel: number): void {
    const life = this.#life;
    this.#world.queue.after(1, () => {
      if (life === this.#life) this.#receive(() => this.#toServer({ kind: 'channel-closed', channel, now: this.#now }));
      return false;
    });
  }

  /** Over the broker, and only useful fresh: lost where either is not connected, sometimes anyhow, sometimes twice. */
  #sendTo(member: MemberId, act: (other: ModelProcess) => void): void {
    const { random, queue, others } = this.#world;
    if (this.connection === undefined || this.connection.isCut) return;
    for (let copies = random() < 0.05 ? 2 : 1; copies > 0; copies--) {
      if (random() < 0.05) continue;
      queue.after(this.#world.broker.weather.delay() * 2, () => {
        const other = others().find(each => each.member === member);
        if (other?.connection !== undefined && !other.connection.isCut) act(other);
        return false;
      });
    }
  }

  /** The reader there is now, whichever it is. */
  #logNow(): Pick<ChatLog, 'state' | 'isLost' | 'snapshot'> {
    return this.log;
  }

  get #now(): number {
    return this.#world.queue.now();
  }
}
