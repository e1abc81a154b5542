import type { MemberId } from '../../lib/identity/member-id.ts';
import type { ChatLog, Read } from './chat-log.ts';
import type { ChatState } from './chat-state.ts';
import { CheckpointClock } from './checkpoint-clock.ts';
import type { Logged } from './entry.ts';
import { Giving } from './giving.ts';
import type { HandOver } from './hand-over.ts';
import { Intake, type IntakeSteps, intakeSteps } from './intake.ts';
import { RateLimit } from './rate.ts';
import type { IsAuthentic, Meaning } from './rule.ts';
import type { ServerEffect, ServerEvent, ServerMode, ServerOptions } from './server-events.ts';
import { Taking } from './taking.ts';

export interface ServerPorts {
  readonly self: MemberId;
  /** The process's reader of the log, which the server looks at and does not move. */
  readonly log: Pick<ChatLog, 'state' | 'isLost' | 'snapshot'>;
  readonly isAuthentic: IsAuthentic;
  /** In [0, 1). */
  readonly random: () => number;
  /** Unique: letters, digits, `_`, `.`, `-`, at most 64. */
  readonly newMigrationId: () => string;
}

/** How it decides, apart so that it can be seen what comes of other answers. */
export interface ServerSteps extends IntakeSteps {
  readonly writesCheckpoints: boolean;
}

export const serverSteps: ServerSteps = { ...intakeSteps, writesCheckpoints: true };

/** An own entry that is not seen for so many leases is lost: it steps down. */
const appendLeases = 2;
/** Before a channel that was lost is opened again. */
const reopenMs = 200;
/** How often it closes its channel to get its deliveries in order, before it lets them go. */
const stuckTimes = 3;
/** Latents whose lease on the active one has ended stand up one after the other, within this time. */
const spreadMs = 500;

/**
 * The server of a chat in one process: events in, effects out, without time, transport or randomness of its own. Who serves is decided by the log alone; all else here
 * is to be quick. Its modes stand in `server-events.ts`, the ways between them in docs/chat-protocol.md.
 */
export class ChatServer {
  readonly #ports: ServerPorts;
  readonly #options: ServerOptions;
  readonly #steps: ServerSteps;
  readonly #taking: Taking;
  readonly #rate: RateLimit;
  readonly #checkpoints: CheckpointClock;
  #effects: ServerEffect[] = [];
  #mode: ServerMode = 'latent';
  #intake: Intake;
  #giving: Giving | undefined;
  /** Counts them. */
  #channel = 0;
  #isOpen = false;
  /** That it appended an EPOCH for, or owns. */
  #epoch = 0;
  #claimedAt = 0;
  #standingSince = 0;
  #frozenAt = 0;
  #appendedAt = 0;
  #ownerSeenAt = 0;
  #patienceMs = 0;
  #nudgedAt = Number.NEGATIVE_INFINITY;
  #beatAt = Number.NEGATIVE_INFINITY;
  #recordedEpoch = 0;
  #expectedEpoch = 0;
  #reopenAt: number | undefined;
  /** How often it has closed its channel because nothing else could come, since something was written last. */
  #stuck = 0;
  #isOpening = false;

  constructor(ports: ServerPorts, options: ServerOptions, steps: ServerSteps = serverSteps) {
    this.#ports = ports;
    this.#options = options;
    this.#steps = steps;
    this.#rate = new RateLimit(options.perSecond, options.burst);
    this.#checkpoints = new CheckpointClock(options.checkpoint);
    this.#taking = new Taking(this.#emit, options.leaseMs);
    this.#intake = this.#newIntake();
    this.#drawPatience();
  }

  get mode(): ServerMode {
    return this.#mode;
  }

  /** Deliveries that it holds. */
  get unacked(): number {
    return this.#intake.unacked;
  }

  handle(event: ServerEvent): ServerEffect[] {
    this.#effects = [];
    switch (event.kind) {
      case 'start':
        this.#start(event.now);
        break;
      case 'read':
        this.#read(event.read, event.now);
        break;
      case 'delivery':
        this.#deliver(event);
        break;
      case 'channel-closed':
        this.#channelClosed(event.channel, event.now);
        break;
      case 'hand-over':
        this.#handOver(event.from, event.message, event.now);
        break;
      case 'picked':
        this.#giving?.picked(event.latent, event.why ?? 'no latent has caught up', event.now);
        break;
      case 'recorded':
        this.#recordedEpoch = Math.max(this.#recordedEpoch, event.epoch);
        break;
      case 'beat':
        if (event.epoch >= this.#state.epoch && event.from !== this.#ports.self) this.#ownerSeen(event.now);
        break;
      case 'present':
        this.#present(event.count);
        break;
      case 'migrate':
        this.#giving?.migrateNow(event.now);
        break;
      case 'tick':
        this.#tick(event.now);
        break;
    }
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  // --- what happens

  #start(now: number): void {
    this.#ownerSeenAt = now;
    if (!this.#options.isFounder || this.#state.epoch > 0 || this.#ports.log.isLost) return;
    // Where somebody has begun already, this EPOCH is void, and it is a latent like any other.
    this.#consume(now);
    this.#claim(this.#ports.newMigrationId(), 'founds the chat', now);
  }

  #read(read: Read, now: number): void {
    if (read.kind === 'cut') {
      this.#checkpoints.cut(now);
      this.#ownerSeen(now);
      // Whoever went on since has not been seen.
      if (this.#mode !== 'latent' && this.#mode !== 'standby') this.#stepDown('the log was cut', now);
      return;
    }
    const { logged, meaning } = read;
    this.#checkpoints.count(logged, meaning, now);
    if (meaning.kind === 'void') return this.#readVoid(logged, meaning, now);
    this.#ownerSeen(now);
    if (meaning.kind === 'epoch') this.#readEpoch(meaning, now);
    else if (this.#mode === 'active') this.#readOwn(meaning.seq, meaning.kind, now);
    this.#lookAround(now);
  }

  #readEpoch({ epoch, owner }: Extract<Meaning, { kind: 'epoch' }>, now: number): void {
    const isOwn = owner === this.#ports.self && this.#mode === 'claiming' && epoch === this.#epoch;
    if (isOwn) return this.#beginServing(now);
    switch (this.#mode) {
      case 'latent':
      case 'void':
        return;
      case 'freezing':
        return this.#endFreezing(`epoch ${epoch} has begun`);
      case 'standby':
        if (!this.#taking.isInvited(this.#state)) this.#stepDown(`epoch ${epoch} has begun`, now);
        return;
      case 'claiming':
      case 'active':
        return this.#stepDown(`epoch ${epoch} is another's`, now);
    }
  }

  #readOwn(seq: number, kind: Meaning['kind'], now: number): void {
    this.#appendedAt = now;
    if (kind === 'input' || kind === 'refused') this.#stuck = 0;
    this.#intake.seen(seq);
  }

  #readVoid({ from, entry }: Logged, { why }: Extract<Meaning, { kind: 'void' }>, now: number): void {
    if (from !== this.#ports.self || entry?.epoch !== this.#epoch || why === 'repeat') return;
    if (this.#mode === 'claiming' && entry.kind === 'epoch') this.#stepDown('somebody else was first', now);
    else if (this.#mode === 'active' && entry.kind !== 'epoch') this.#stepDown(`its entry is void: ${why}`, now);
  }

  #deliver({ channel, tag, from, content, now }: Extract<ServerEvent, { kind: 'delivery' }>): void {
    if (channel !== this.#channel || !this.#isOpen) return;
    if (this.#mode === 'freezing' || this.#mode === 'void') return;
    this.#intake.deliver({ tag, from, content });
    if (this.#mode === 'active') this.#serve(now);
    else if (this.#mode === 'standby') this.#claimDelivered(now);
  }

  #channelClosed(channel: number, now: number): void {
    if (channel !== this.#channel || !this.#isOpen) return;
    this.#isOpen = false;
    switch (this.#mode) {
      case 'latent':
      case 'freezing':
        return;
      case 'void':
        this.#intake = this.#newIntake();
        if (this.#stuck > 0) this.#reopenAt ??= now;
        return this.#enter('latent', 'its channel is closed');
      case 'standby':
      case 'claiming':
      case 'active':
        this.#purge();
        this.#reopenAt = now + reopenMs;
        return this.#enter('latent', 'its channel was lost');
    }
  }

  #handOver(from: MemberId, message: HandOver, now: number): void {
    const { epoch, step } = message;
    if (from === this.#ports.self) return;
    switch (step.kind) {
      case 'stand-by': {
        const isOwner = epoch > this.#state.epoch || (epoch === this.#state.epoch && from === this.#state.owner);
        if (!isOwner) return;
        this.#ownerSeen(now);
        if (this.#mode !== 'latent' && this.#mode !== 'standby') {
          const step = { kind: 'declined', reason: `it is ${this.#mode}` } as const;
          return this.#emit({ kind: 'hand-over', to: from, message: { ...message, step } });
        }
        if (this.#mode === 'latent') this.#standBy('was asked to', now);
        return this.#taking.standBy(from, message, now);
      }
      case 'offer':
        if (this.#mode !== 'standby' || !this.#taking.offer(from, message, step.snapshot.offset)) return;
        if (this.#ports.log.isLost) this.#emit({ kind: 'adopt', snapshot: step.snapshot });
        return this.#lookAround(now);
      case 'frozen':
        this.#taking.frozen(from, message, step.lastSeq, now);
        return this.#lookAround(now);
      case 'standing':
      case 'ready':
      case 'declined':
        if (this.#mode === 'active' && this.#giving?.hear(from, message, now)) this.#freeze(now);
    }
  }

  #present(count: number): void {
    const { isOpen, minN } = this.#state;
    if (this.#mode !== 'active' || isOpen || this.#isOpening || count < minN) return;
    this.#isOpening = true;
    this.#intake.append((epoch, seq) => ({ kind: 'opens', epoch, seq }));
  }

  #tick(now: number): void {
    const { leaseMs } = this.#options;
    switch (this.#mode) {
      case 'latent':
        this.#tickLatent(now);
        break;
      case 'standby':
        this.#tickStandby(now);
        break;
      case 'claiming':
        if (now - this.#claimedAt > appendLeases * leaseMs) this.#stepDown('its EPOCH is not seen', now);
        break;
      case 'active':
        this.#tickActive(now);
        break;
      case 'freezing':
        if (now - this.#frozenAt > leaseMs && !this.#isOpen) {
          this.#purge();
          this.#enter('latent', 'nobody took over');
          this.#standBy('nobody took over', now);
          this.#nudge(now);
        }
        break;
      case 'void':
        break;
    }
  }

  #tickLatent(now: number): void {
    const { epoch } = this.#state;
    if (this.#isOpen || this.#ports.log.isLost || epoch === 0) return;
    if (this.#reopenAt !== undefined) {
      if (now < this.#reopenAt) return;
      this.#standBy('comes back', now);
      if (!this.#taking.isInvited(this.#state)) this.#nudge(now);
    } else if (now - this.#ownerSeenAt > this.#options.leaseMs + this.#patienceMs) {
      this.#drawPatience();
      this.#standBy('nobody serves', now);
      this.#nudge(now);
    }
  }

  #tickStandby(now: number): void {
    const { leaseMs } = this.#options;
    if (this.#taking.isInvited(this.#state)) this.#taking.tick(now);
    else if (now - this.#standingSince > leaseMs && now - this.#ownerSeenAt < leaseMs / 2)
      return this.#stepDown('somebody serves', now);
    if (now - this.#ownerSeenAt > leaseMs && now - this.#nudgedAt > leaseMs) this.#nudge(now);
    this.#lookAround(now);
  }

  #tickActive(now: number): void {
    const { leaseMs } = this.#options;
    if (this.#intake.pending > 0 && now - this.#appendedAt > appendLeases * leaseMs)
      return this.#stepDown('its entries are not seen', now);
    if (now - this.#beatAt >= leaseMs / 3) {
      this.#beatAt = now;
      this.#emit({ kind: 'beat', epoch: this.#epoch, logOffset: this.#state.offset });
      if (this.#recordedEpoch < this.#epoch) this.#record();
    }
    this.#giving?.tick(now);
    this.#serve(now);
  }

  // --- serving

  #serve(now: number): void {
    if (this.#mode !== 'active') return;
    const before = this.#intake.pending;
    do {
      // So many at most come after a checkpoint that is not seen yet.
      if (this.#intake.pending >= this.#options.checkpoint.entries) break;
      if (!this.#isCheckpointDue(now)) continue;
      // Nothing goes on its way before it: so its state is that of the entry before it.
      if (this.#intake.pending > 0) break;
      const snapshot = this.#ports.log.snapshot();
      this.#checkpoints.written();
      this.#intake.append((epoch, seq) => ({ kind: 'checkpoint', epoch, seq, snapshot }));
    } while (this.#intake.takeNext(now));
    if (before === 0 && this.#intake.pending > 0) this.#appendedAt = now;
    if (this.#intake.pending === 0 && this.#intake.held >= this.#options.prefetch) this.#unblock(now);
  }

  #isCheckpointDue(now: number): boolean {
    return this.#steps.writesCheckpoints && this.#checkpoints.isDue(this.#intake.pending, now);
  }

  /** All that may be delivered is held, so what it waits for cannot come. Closing the channel brings all of it back behind that; if it does not help, their senders say it again. */
  #unblock(now: number): void {
    if (++this.#stuck > stuckTimes) {
      this.#emit({ kind: 'say', line: 'inputs are let go whose predecessors do not come' });
      return this.#intake.dropHeld();
    }
    this.#stepDown('what it waits for cannot be delivered', now);
  }

  /** After each entry read: what may go on now. */
  #lookAround(now: number): void {
    if (this.#mode === 'active') return this.#serve(now);
    if (this.#mode !== 'standby') return;
    if (this.#intake.unacked > 0) this.#claimDelivered(now);
    else if (this.#taking.look(this.#state, this.#ports.log.isLost, now))
      this.#claim(
        this.#taking.migrationId(this.#state) ?? this.#ports.newMigrationId(),
        'the other one has frozen',
        now,
      );
  }

  #beginServing(now: number): void {
    this.#enter('active', `owns epoch ${this.#epoch}`);
    this.#taking.forget();
    this.#isOpening = false;
    this.#checkpoints.begin();
    this.#giving = new Giving(
      {
        ...{ self: this.#ports.self, newMigrationId: this.#ports.newMigrationId, emit: this.#emit },
        snapshot: () => this.#ports.log.snapshot(),
      },
      this.#options,
      this.#epoch,
      now,
    );
    this.#intake.begin(this.#epoch);
    this.#beatAt = now;
    this.#emit({ kind: 'beat', epoch: this.#epoch, logOffset: this.#state.offset });
    this.#record();
    this.#serve(now);
  }

  #record(): void {
    const { offset: logOffset, migrationId } = this.#state;
    const expectedEpoch = this.#expectedEpoch;
    this.#emit({ kind: 'record', epoch: this.#epoch, expectedEpoch, migrationId, logOffset });
  }

  // --- from one mode to another

  #consume(now: number): void {
    this.#channel++;
    this.#isOpen = true;
    this.#standingSince = now;
    this.#reopenAt = undefined;
    this.#intake = this.#newIntake();
    this.#emit({ kind: 'consume', channel: this.#channel });
  }

  #standBy(why: string, now: number): void {
    this.#consume(now);
    this.#enter('standby', why);
  }

  #nudge(now: number): void {
    this.#nudgedAt = now;
    this.#emit({ kind: 'nudge' });
  }

  #claimDelivered(now: number): void {
    if (this.#ports.log.isLost || this.#state.epoch === 0) return;
    const migrationId = this.#taking.migrationId(this.#state) ?? this.#ports.newMigrationId();
    this.#claim(migrationId, 'something was delivered', now);
  }

  #claim(migrationId: string, why: string, now: number): void {
    this.#expectedEpoch = this.#state.epoch;
    this.#epoch = this.#state.epoch + 1;
    this.#claimedAt = now;
    this.#enter('claiming', why);
    this.#emit({ kind: 'append', entry: { kind: 'epoch', epoch: this.#epoch, migrationId, minN: this.#options.minN } });
  }

  #freeze(now: number): void {
    this.#frozenAt = now;
    this.#enter('freezing', `hands over to ${this.#giving?.successor}`);
    this.#emit({ kind: 'close', channel: this.#channel });
    this.#giving?.freeze(this.#state.seq + this.#intake.pending);
  }

  #endFreezing(why: string): void {
    this.#purge();
    if (this.#isOpen) this.#enter('void', why);
    else this.#enter('latent', why);
  }

  #stepDown(why: string, now: number): void {
    if (this.#mode === 'void' || this.#mode === 'latent') return;
    this.#purge();
    if (!this.#isOpen) return this.#enter('latent', why);
    const wasFreezing = this.#mode === 'freezing';
    this.#enter('void', why);
    this.#ownerSeen(now);
    if (!wasFreezing) this.#emit({ kind: 'close', channel: this.#channel });
  }

  #enter(mode: ServerMode, why: string): void {
    if (this.#mode === 'active' && mode !== 'active' && mode !== 'freezing') this.#giving = undefined;
    if (mode === 'latent' || mode === 'void') {
      this.#giving = undefined;
      this.#taking.forget();
    }
    this.#mode = mode;
    this.#emit({ kind: 'mode', mode, why });
  }

  /** Whatever it holds is in the queue again, or in the log. */
  #purge(): void {
    const { unacked } = this.#intake;
    this.#intake = this.#newIntake();
    if (unacked > 0) this.#emit({ kind: 'purge', count: unacked });
  }

  // --- what it knows

  get #state(): Readonly<ChatState> {
    return this.#ports.log.state;
  }

  #ownerSeen(now: number): void {
    this.#ownerSeenAt = now;
  }

  #drawPatience(): void {
    this.#patienceMs = spreadMs * this.#ports.random();
  }

  #newIntake(): Intake {
    const channel = this.#channel;
    const { isAuthentic } = this.#ports;
    return new Intake(
      {
        ...{ isAuthentic, rate: this.#rate, state: () => this.#state },
        append: entry => this.#emit({ kind: 'append', entry }),
        ack: tag => this.#emit({ kind: 'ack', channel, tag }),
        say: line => this.#emit({ kind: 'say', line }),
      },
      this.#steps,
    );
  }

  readonly #emit = (effect: ServerEffect): void => {
    this.#effects.push(effect);
  };
}
