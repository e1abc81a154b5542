import type { MemberId } from '../../lib/identity/member-id.ts';
import type { Read } from './chat-log.ts';
import type { ChatState } from './chat-state.ts';
import { CheckpointClock } from './checkpoint-clock.ts';
import type { Logged } from './entry.ts';
import type { HandOver } from './hand-over.ts';
import { InputChannel } from './input-channel.ts';
import { OwnerWatch } from './owner-watch.ts';
import { RateLimit } from './rate.ts';
import type { Meaning } from './rule.ts';
import type { ServerEffect, ServerEvent, ServerMode, ServerOptions } from './server-events.ts';
import { type ServerPorts, type ServerSteps, serverSteps } from './server-ports.ts';
import { Serving } from './serving.ts';
import { Taking } from './taking.ts';

/** An EPOCH of its own that is not seen for so many leases is lost. */
const claimLeases = 2;
/** Before a channel that was lost is opened again. */
const reopenMs = 200;
/** How often it closes its channel to get its deliveries in order, before it lets them go. */
const stuckTimes = 3;

/**
 * The server of a chat in one process: events in, effects out, without time, transport or randomness of its own. Who serves is decided by the log alone; all else here
 * is to be quick. Its modes stand in `server-events.ts`, the ways between them in docs/chat-protocol.md.
 */
export class ChatServer {
  readonly #ports: ServerPorts;
  readonly #options: ServerOptions;
  readonly #steps: ServerSteps;
  readonly #input: InputChannel;
  readonly #owner: OwnerWatch;
  readonly #taking: Taking;
  readonly #checkpoints: CheckpointClock;
  #effects: ServerEffect[] = [];
  #mode: ServerMode = 'latent';
  /** Since when it is in its mode. */
  #since = 0;
  /** Active: its epoch; freezing: the one that it hands over. */
  #serving: Serving | undefined;
  /** That it appended an EPOCH for, or owns; and the one before it. */
  #epoch = 0;
  #expectedEpoch = 0;
  #reopenAt: number | undefined;
  /** How often it has closed its channel because nothing else could come, since something was written last. */
  #stuck = 0;

  constructor(ports: ServerPorts, options: ServerOptions, steps: ServerSteps = serverSteps) {
    this.#ports = ports;
    this.#options = options;
    this.#steps = steps;
    const rate = new RateLimit(options.perSecond, options.burst);
    this.#input = new InputChannel(
      { rate, isAuthentic: ports.isAuthentic, state: () => this.#state },
      this.#emit,
      steps,
    );
    this.#owner = new OwnerWatch(options.leaseMs, ports.random);
    this.#taking = new Taking(this.#emit, options.leaseMs);
    this.#checkpoints = new CheckpointClock(options.checkpoint);
  }

  get mode(): ServerMode {
    return this.#mode;
  }

  handle(event: ServerEvent): ServerEffect[] {
    this.#effects = [];
    this.#look(event);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #look(event: ServerEvent): void {
    switch (event.kind) {
      case 'start':
        return this.#start(event.now);
      case 'read':
        return this.#read(event.read, event.now);
      case 'delivery':
        return this.#deliver(event);
      case 'channel-closed':
        return this.#input.isOf(event) ? this.#channelClosed(event.now) : undefined;
      case 'hand-over':
        return event.from === this.#ports.self ? undefined : this.#handOver(event.from, event.message, event.now);
      case 'picked':
        return this.#serving?.picked(event.latent, event.why ?? 'no latent has caught up', event.now);
      case 'recorded':
        return this.#serving?.recorded(event.epoch);
      case 'beat':
        return event.epoch === this.#state.epoch && event.from === this.#state.owner
          ? this.#owner.seen(event.now)
          : undefined;
      case 'present':
        return this.#mode === 'active' ? this.#serving?.present(event.count) : undefined;
      case 'migrate':
        return this.#serving?.migrateNow(event.now);
      case 'tick':
        return this.#tick(event.now);
    }
  }

  // --- what happens

  #start(now: number): void {
    this.#owner.seen(now);
    if (!this.#options.isFounder || this.#state.epoch > 0 || this.#ports.log.isLost) return;
    // Where somebody has begun already, this EPOCH is void, and it is a latent like any other.
    this.#input.open();
    this.#claim(this.#ports.newMigrationId(), 'founds the chat', now);
  }

  #read(read: Read, now: number): void {
    if (read.kind === 'cut') {
      this.#checkpoints.cut(now);
      this.#owner.seen(now);
      // Whoever went on since has not been seen.
      if (this.#mode !== 'standby') this.#stepDown('the log was cut', now);
      return;
    }
    const { logged, meaning } = read;
    this.#checkpoints.count(logged, meaning, now);
    if (meaning.kind === 'void') return this.#readVoid(logged, meaning, now);
    this.#owner.seen(now);
    if (meaning.kind === 'epoch') this.#readEpoch(meaning, now);
    else if (this.#mode === 'active') this.#readOwn(meaning, now);
    this.#goOn(now);
  }

  #readEpoch({ epoch, owner }: Extract<Meaning, { kind: 'epoch' }>, now: number): void {
    const isOwn = owner === this.#ports.self && this.#mode === 'claiming' && epoch === this.#epoch;
    if (isOwn) return this.#beginServing(now);
    // Somebody serves: it need not come back.
    this.#reopenAt = undefined;
    this.#stepDown(`epoch ${epoch} has begun`, now);
  }

  #readOwn({ kind, seq }: Exclude<Meaning, { kind: 'void' | 'epoch' }>, now: number): void {
    if (kind === 'input' || kind === 'refused') this.#stuck = 0;
    this.#serving?.seen(seq, now);
  }

  #readVoid({ from, entry }: Logged, { why }: Extract<Meaning, { kind: 'void' }>, now: number): void {
    if (from !== this.#ports.self || entry?.epoch !== this.#epoch || why === 'repeat') return;
    if (this.#mode === 'claiming' && entry.kind === 'epoch') this.#stepDown('somebody else was first', now);
    else if (this.#mode === 'active' && entry.kind !== 'epoch') this.#stepDown(`its entry is void: ${why}`, now);
  }

  #deliver(delivery: Extract<ServerEvent, { kind: 'delivery' }>): void {
    if (!this.#input.isOf(delivery) || this.#mode === 'freezing' || this.#mode === 'void') return;
    this.#input.intake.deliver(delivery);
    this.#goOn(delivery.now);
  }

  #channelClosed(now: number): void {
    this.#input.closed();
    if (this.#mode === 'latent' || this.#mode === 'freezing') return;
    const wasToClose = this.#mode === 'void';
    this.#input.purge();
    if (!wasToClose) this.#reopenAt = now + reopenMs;
    else if (this.#stuck > 0) this.#reopenAt = now;
    this.#enter('latent', wasToClose ? 'its channel is closed' : 'its channel was lost', now);
  }

  #handOver(from: MemberId, message: HandOver, now: number): void {
    const { step } = message;
    switch (step.kind) {
      case 'stand-by':
        return this.#askedToStandBy(from, message, now);
      case 'offer':
        if (this.#mode !== 'standby' || !this.#taking.offer(from, message, step.snapshot.offset)) return;
        if (this.#ports.log.isLost) this.#emit({ kind: 'adopt', snapshot: step.snapshot });
        return this.#goOn(now);
      case 'frozen':
        this.#taking.frozen(from, message, step.lastSeq, now);
        return this.#goOn(now);
      case 'standing':
      case 'ready':
      case 'declined':
        if (this.#mode === 'active' && this.#serving?.hear(from, message, now)) this.#freeze(now);
    }
  }

  #askedToStandBy(from: MemberId, message: HandOver, now: number): void {
    const { epoch, owner } = this.#state;
    if (message.epoch < epoch || (message.epoch === epoch && from !== owner)) return;
    // Who says to own an epoch that it has not read of may be anybody.
    const isRead = message.epoch === epoch && !this.#ports.log.isLost;
    if (isRead && this.#mode === 'latent') this.#standBy('was asked to', now);
    if (isRead && this.#mode === 'standby') return this.#taking.standBy(from, message, now);
    const reason = isRead ? `it is ${this.#mode}` : 'it has not read so far';
    this.#emit({ kind: 'hand-over', to: from, message: { ...message, step: { kind: 'declined', reason } } });
  }

  #tick(now: number): void {
    const { leaseMs } = this.#options;
    switch (this.#mode) {
      case 'latent':
        return this.#tickLatent(now);
      case 'standby':
        return this.#tickStandby(now);
      case 'claiming':
        return now - this.#since > claimLeases * leaseMs ? this.#stepDown('its EPOCH is not seen', now) : undefined;
      case 'active': {
        const why = this.#serving?.tick(now);
        return why === undefined ? this.#goOn(now) : this.#stepDown(why, now);
      }
      case 'freezing':
        if (now - this.#since <= leaseMs || this.#input.isOpen) return;
        this.#stepDown('nobody took over', now);
        this.#standBy('nobody took over', now);
        return this.#nudge(now);
      case 'void':
        return;
    }
  }

  #tickLatent(now: number): void {
    if (this.#input.isOpen || this.#ports.log.isLost || this.#state.epoch === 0) return;
    if (this.#reopenAt === undefined ? !this.#owner.isGone(now) : now < this.#reopenAt) return;
    this.#standBy(this.#reopenAt === undefined ? 'nobody serves' : 'comes back', now);
    this.#nudge(now);
  }

  #tickStandby(now: number): void {
    if (this.#taking.isInvited(this.#state)) this.#taking.tick(now);
    else if (now - this.#since > this.#options.leaseMs && this.#owner.isLive(now))
      return this.#stepDown('somebody serves', now);
    if (this.#owner.isNudgeDue(now)) this.#nudge(now);
    this.#goOn(now);
  }

  // --- what comes of it

  /** What may go on now. */
  #goOn(now: number): void {
    if (this.#mode === 'active' && this.#serving?.serve(now)) this.#unblock(now);
    if (this.#mode !== 'standby') return;
    const isDelivered = this.#input.intake.unacked > 0 && !this.#ports.log.isLost && this.#state.epoch > 0;
    if (!isDelivered && !this.#taking.look(this.#state, this.#ports.log.isLost, now)) return;
    const migrationId = this.#taking.migrationId(this.#state) ?? this.#ports.newMigrationId();
    this.#claim(migrationId, isDelivered ? 'something was delivered' : 'the other one has frozen', now);
  }

  /** All that may be delivered is held, so what it waits for cannot come. Closing the channel brings all of it back behind that; if it does not help, their senders say it again. */
  #unblock(now: number): void {
    if (++this.#stuck <= stuckTimes) return this.#stepDown('what it waits for cannot be delivered', now);
    this.#emit({ kind: 'say', line: 'inputs are let go whose predecessors do not come' });
    this.#input.intake.dropHeld();
  }

  #standBy(why: string, now: number): void {
    this.#reopenAt = undefined;
    this.#input.open();
    this.#enter('standby', why, now);
  }

  #nudge(now: number): void {
    this.#owner.nudged(now);
    this.#emit({ kind: 'nudge' });
  }

  #claim(migrationId: string, why: string, now: number): void {
    this.#expectedEpoch = this.#state.epoch;
    this.#epoch = this.#state.epoch + 1;
    this.#enter('claiming', why, now);
    this.#emit({ kind: 'append', entry: { kind: 'epoch', epoch: this.#epoch, migrationId, minN: this.#options.minN } });
  }

  #beginServing(now: number): void {
    this.#enter('active', `owns epoch ${this.#epoch}`, now);
    this.#taking.forget();
    const { self, log, newMigrationId } = this.#ports;
    const won = {
      ...{ epoch: this.#epoch, expectedEpoch: this.#expectedEpoch, intake: this.#input.intake },
      ...{ checkpoints: this.#checkpoints, writesCheckpoints: this.#steps.writesCheckpoints },
    };
    this.#serving = new Serving({ self, log, newMigrationId, emit: this.#emit }, this.#options, won, now);
  }

  #freeze(now: number): void {
    this.#enter('freezing', `hands over to ${this.#serving?.successor}`, now);
    this.#input.close();
    this.#serving?.freeze();
  }

  #stepDown(why: string, now: number): void {
    if (this.#mode === 'void' || this.#mode === 'latent') return;
    this.#input.purge();
    if (!this.#input.isOpen) return this.#enter('latent', why, now);
    // Freezing it has closed it already.
    if (this.#mode !== 'freezing') this.#input.close();
    this.#owner.seen(now);
    this.#enter('void', why, now);
  }

  #enter(mode: ServerMode, why: string, now: number): void {
    if (mode === 'latent' || mode === 'void') {
      this.#serving = undefined;
      this.#taking.forget();
    }
    this.#mode = mode;
    this.#since = now;
    this.#emit({ kind: 'mode', mode, why });
  }

  get #state(): Readonly<ChatState> {
    return this.#ports.log.state;
  }

  readonly #emit = (effect: ServerEffect): void => {
    this.#effects.push(effect);
  };
}
