import type { MemberId } from '../../lib/identity/member-id.ts';
import type { Snapshot } from './chat-state.ts';
import type { HandOver, HandOverStep } from './hand-over.ts';
import type { ServerEffect, ServerOptions } from './server-events.ts';

interface Chosen {
  readonly member: MemberId;
  readonly migrationId: string;
  /** `asked` to stand by; `standing` by; `offered` to take over. */
  stage: 'asked' | 'standing' | 'offered';
  stageAt: number;
  heardAt: number;
}

export interface GivingPorts {
  readonly self: MemberId;
  readonly newMigrationId: () => string;
  readonly snapshot: () => Snapshot;
  readonly emit: (effect: ServerEffect) => void;
}

/**
 * The active server's side of a hand-over, for one epoch. It has naming choose a latent at once, which then stands by, so that a crash is taken over as fast as a
 * migration; and when it is time, offers it to take over. Whoever declines, or is not heard for a lease, is given up, and another one chosen.
 */
export class Giving {
  readonly #ports: GivingPorts;
  readonly #options: Pick<ServerOptions, 'leaseMs' | 'migrateEveryMs'>;
  readonly #epoch: number;
  #chosen: Chosen | undefined;
  /** Since when naming is asked. */
  #askedAt: number | undefined;
  #askAt: number;
  #migrateAt: number;
  #given: readonly MemberId[] = [];
  #lastWhy = '';

  constructor(
    ports: GivingPorts,
    options: Pick<ServerOptions, 'leaseMs' | 'migrateEveryMs'>,
    epoch: number,
    now: number,
  ) {
    this.#ports = ports;
    this.#options = options;
    this.#epoch = epoch;
    this.#askAt = now;
    this.#migrateAt = options.migrateEveryMs === 0 ? Number.POSITIVE_INFINITY : now + options.migrateEveryMs;
  }

  get migrationId(): string {
    return this.#chosen?.migrationId ?? '';
  }

  get successor(): MemberId | undefined {
    return this.#chosen?.member;
  }

  migrateNow(now: number): void {
    this.#migrateAt = now;
  }

  tick(now: number): void {
    const { leaseMs, migrateEveryMs } = this.#options;
    const chosen = this.#chosen;
    if (chosen !== undefined && now - Math.max(chosen.heardAt, chosen.stageAt) > leaseMs)
      this.#giveUp(`${chosen.member} does not answer`, now);
    if (this.#askedAt !== undefined && now - this.#askedAt > leaseMs) {
      this.#askedAt = undefined;
      this.#askAt = now;
      this.#lastWhy = 'naming does not answer';
    }
    if (this.#chosen === undefined && this.#askedAt === undefined && now >= this.#askAt) {
      this.#askedAt = now;
      this.#ports.emit({ kind: 'pick', except: [this.#ports.self, ...this.#given] });
    }
    if (now < this.#migrateAt) return;
    if (this.#chosen?.stage === 'standing') return this.#offer(this.#chosen, now);
    // It may come to something yet.
    if (this.#chosen !== undefined || (this.#askedAt !== undefined && this.#lastWhy === '')) return;
    const why = this.#lastWhy === '' ? 'nobody stands by' : this.#lastWhy;
    this.#ports.emit({ kind: 'say', line: `no migration: ${why}` });
    this.#migrateAt = now + (migrateEveryMs === 0 ? Number.POSITIVE_INFINITY : migrateEveryMs);
  }

  picked(latent: MemberId | undefined, why: string, now: number): void {
    if (this.#askedAt === undefined || this.#chosen !== undefined) return;
    this.#askedAt = undefined;
    this.#given = [];
    if (latent === undefined || latent === this.#ports.self) {
      this.#lastWhy = why;
      this.#askAt = now + this.#options.leaseMs / 3;
      return;
    }
    const migrationId = this.#ports.newMigrationId();
    this.#chosen = { member: latent, migrationId, stage: 'asked', stageAt: now, heardAt: now };
    this.#send(this.#chosen, { kind: 'stand-by' });
  }

  /** @returns whether it is to freeze now */
  hear(from: MemberId, { epoch, migrationId, step }: HandOver, now: number): boolean {
    const chosen = this.#chosen;
    if (chosen?.member !== from || chosen.migrationId !== migrationId || epoch !== this.#epoch) return false;
    chosen.heardAt = now;
    switch (step.kind) {
      case 'standing':
        if (chosen.stage === 'asked') {
          chosen.stage = 'standing';
          chosen.stageAt = now;
        }
        return false;
      case 'ready':
        return chosen.stage === 'offered';
      case 'declined':
        this.#giveUp(`${from} declines: ${step.reason}`, now);
        return false;
      default:
        return false;
    }
  }

  freeze(lastSeq: number): void {
    if (this.#chosen !== undefined) this.#send(this.#chosen, { kind: 'frozen', lastSeq });
  }

  #offer(chosen: Chosen, now: number): void {
    chosen.stage = 'offered';
    chosen.stageAt = now;
    chosen.heardAt = now;
    this.#send(chosen, { kind: 'offer', snapshot: this.#ports.snapshot() });
  }

  #giveUp(why: string, now: number): void {
    const chosen = this.#chosen;
    if (chosen === undefined) return;
    this.#given = [chosen.member];
    this.#chosen = undefined;
    this.#askAt = now;
    this.#lastWhy = why;
    if (chosen.stage === 'offered') {
      this.#ports.emit({ kind: 'say', line: `no migration: ${why}` });
      this.#migrateAt = now + this.#options.leaseMs;
    }
  }

  #send({ member, migrationId }: Chosen, step: HandOverStep): void {
    this.#ports.emit({ kind: 'hand-over', to: member, message: { epoch: this.#epoch, migrationId, step } });
  }
}
