import type { MemberId } from '../../lib/identity/member-id.ts';
import type { ChatLog } from './chat-log.ts';
import type { CheckpointClock } from './checkpoint-clock.ts';
import { Giving } from './giving.ts';
import type { HandOver } from './hand-over.ts';
import type { Intake } from './intake.ts';
import type { ServerEffect, ServerOptions } from './server-events.ts';

export interface ServingPorts {
  readonly self: MemberId;
  readonly log: Pick<ChatLog, 'state' | 'snapshot'>;
  readonly newMigrationId: () => string;
  readonly emit: (effect: ServerEffect) => void;
}

export interface Won {
  readonly epoch: number;
  /** That it followed. */
  readonly expectedEpoch: number;
  readonly intake: Intake;
  readonly checkpoints: CheckpointClock;
  readonly writesCheckpoints: boolean;
}

/** An own entry that is not seen for so many leases is lost. */
const appendLeases = 2;

/** What the active server does, from when its EPOCH was seen to count until it has no say any more. */
export class Serving {
  readonly #ports: ServingPorts;
  readonly #options: ServerOptions;
  readonly #won: Won;
  readonly #giving: Giving;
  /** When an entry of its own was seen last, or the first one after a pause was appended. */
  #appendedAt: number;
  #beatAt: number;
  #isRecorded = false;
  #isOpening = false;

  constructor(ports: ServingPorts, options: ServerOptions, won: Won, now: number) {
    this.#ports = ports;
    this.#options = options;
    this.#won = won;
    this.#appendedAt = now;
    this.#beatAt = now;
    const { self, newMigrationId, emit, log } = ports;
    this.#giving = new Giving({ self, newMigrationId, emit, snapshot: () => log.snapshot() }, options, won.epoch, now);
    won.checkpoints.begin();
    won.intake.begin(won.epoch);
    this.#beat();
    this.#record();
  }

  get successor(): MemberId | undefined {
    return this.#giving.successor;
  }

  /** Appends what may go on now. @returns whether nothing can come any more: all that may be delivered is held */
  serve(now: number): boolean {
    const { intake, checkpoints } = this.#won;
    const before = intake.pending;
    do {
      // So many at most come after a checkpoint that is not seen yet.
      if (intake.pending >= this.#options.checkpoint.entries) break;
      if (!this.#isCheckpointDue(now)) continue;
      // Nothing goes on its way before it: so its state is that of the entry before it.
      if (intake.pending > 0) break;
      const snapshot = this.#ports.log.snapshot();
      checkpoints.written();
      intake.append((epoch, seq) => ({ kind: 'checkpoint', epoch, seq, snapshot }));
    } while (intake.takeNext(now));
    if (before === 0 && intake.pending > 0) this.#appendedAt = now;
    return intake.pending === 0 && intake.held >= this.#options.prefetch;
  }

  /** An entry of its own counts. */
  seen(seq: number, now: number): void {
    this.#appendedAt = now;
    this.#won.intake.seen(seq);
  }

  /** @returns why it is to step down */
  tick(now: number): string | undefined {
    const { leaseMs } = this.#options;
    if (this.#won.intake.pending > 0 && now - this.#appendedAt > appendLeases * leaseMs)
      return 'its entries are not seen';
    if (now - this.#beatAt >= leaseMs / 3) {
      this.#beatAt = now;
      this.#beat();
      if (!this.#isRecorded) this.#record();
    }
    this.#giving.tick(now);
    return undefined;
  }

  /** So many members are there. */
  present(count: number): void {
    const { isOpen, minN } = this.#ports.log.state;
    if (isOpen || this.#isOpening || count < minN) return;
    this.#isOpening = true;
    this.#won.intake.append((epoch, seq) => ({ kind: 'opens', epoch, seq }));
  }

  recorded(epoch: number): void {
    if (epoch >= this.#won.epoch) this.#isRecorded = true;
  }

  picked(latent: MemberId | undefined, why: string, now: number): void {
    this.#giving.picked(latent, why, now);
  }

  migrateNow(now: number): void {
    this.#giving.migrateNow(now);
  }

  /** @returns whether it is to freeze now */
  hear(from: MemberId, message: HandOver, now: number): boolean {
    return this.#giving.hear(from, message, now);
  }

  /** Tells its successor what it has appended last. */
  freeze(): void {
    this.#giving.freeze(this.#ports.log.state.seq + this.#won.intake.pending);
  }

  #isCheckpointDue(now: number): boolean {
    const { writesCheckpoints, checkpoints, intake } = this.#won;
    return writesCheckpoints && checkpoints.isDue(intake.pending, now);
  }

  #beat(): void {
    this.#ports.emit({ kind: 'beat', epoch: this.#won.epoch, logOffset: this.#ports.log.state.offset });
  }

  #record(): void {
    const { epoch, expectedEpoch } = this.#won;
    const { offset: logOffset, migrationId } = this.#ports.log.state;
    this.#ports.emit({ kind: 'record', epoch, expectedEpoch, migrationId, logOffset });
  }
}
