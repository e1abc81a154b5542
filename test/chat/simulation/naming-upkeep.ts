import type { ServerEffect } from '../../../services/chat/core/server-events.ts';
import type { ModelProcess } from './model-process.ts';
import type { World } from './world.ts';

type RecordEffect = Extract<ServerEffect, { kind: 'record' }>;

/** One life's word to naming: the record when it is won, its lease, its place among the latents. */
export class NamingUpkeep {
  readonly #world: World;
  readonly #process: ModelProcess;
  readonly #recorded: (epoch: number) => void;
  #record: RecordEffect | undefined;
  #nextAt = 0;
  #isKnown = false;

  constructor(world: World, process: ModelProcess, recorded: (epoch: number) => void) {
    this.#world = world;
    this.#process = process;
    this.#recorded = recorded;
  }

  record(effect: RecordEffect): void {
    this.#record = effect;
    this.#write();
  }

  renew(): void {
    const { naming, queue } = this.#world;
    if (queue.now() < this.#nextAt) return;
    this.#nextAt = queue.now() + naming.leaseMs / 3;
    if (this.#process.server.mode === 'active') this.#renewHeld();
    else this.#renewLatent();
  }

  #write(): void {
    const record = this.#record;
    if (record === undefined || this.#process.server.mode !== 'active') return;
    const { epoch, expectedEpoch, migrationId, logOffset } = record;
    const { naming } = this.#world;
    const held = { memberId: this.#process.member, addresses: [], epoch, migrationId, logOffset };
    naming.call(() => naming.record(held, expectedEpoch), this.#recorded);
  }

  #renewHeld(): void {
    const { naming } = this.#world;
    const { member: memberId, log } = this.#process;
    const { epoch, offset: logOffset } = log.state;
    naming.call(
      () => naming.apply({ kind: 'renew', memberId, epoch, logOffset, isDraining: false }).refusal,
      refusal => {
        // It has lost what it knew.
        if (refusal === 'unknown') this.#write();
      },
    );
  }

  #renewLatent(): void {
    const { naming } = this.#world;
    const { member: memberId, log } = this.#process;
    const server = { memberId, addresses: [], logOffset: Math.max(0, log.state.offset), isDraining: false };
    const event = this.#isKnown
      ? ({ kind: 'renew', epoch: 0, ...server } as const)
      : ({ kind: 'latent', server } as const);
    naming.call(
      () => naming.apply(event).refusal,
      refusal => {
        this.#isKnown = refusal === undefined;
      },
    );
  }
}
