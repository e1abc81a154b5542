import type { MemberId } from '../../lib/identity/member-id.ts';
import type { ChatState } from './chat-state.ts';
import type { HandOver, HandOverStep } from './hand-over.ts';
import type { ServerEffect } from './server-events.ts';

interface Invitation {
  readonly by: MemberId;
  readonly epoch: number;
  readonly migrationId: string;
  saidAt: number;
  /** Of the snapshot offered: read up to there, it is ready. */
  offset: number | undefined;
  isReady: boolean;
  frozen: { readonly lastSeq: number; readonly at: number } | undefined;
}

/** How long it reads on for what the frozen one appended last, before it goes ahead: then it is written once more. */
const patienceMs = 300;

/**
 * The other side of a hand-over: a latent that the active server has chosen. It stands by, says when it has read up to the snapshot it was offered, and is to claim once
 * the other one has frozen.
 */
export class Taking {
  readonly #emit: (effect: ServerEffect) => void;
  readonly #leaseMs: number;
  #invitation: Invitation | undefined;

  constructor(emit: (effect: ServerEffect) => void, leaseMs: number) {
    this.#emit = emit;
    this.#leaseMs = leaseMs;
  }

  /** Whether the owner of the current epoch has asked it to stand by. */
  isInvited({ epoch, owner }: Readonly<ChatState>): boolean {
    return this.#invitation?.epoch === epoch && this.#invitation.by === owner;
  }

  /** Of the hand-over under way in that epoch. */
  migrationId(state: Readonly<ChatState>): string | undefined {
    return this.isInvited(state) ? this.#invitation?.migrationId : undefined;
  }

  standBy(by: MemberId, { epoch, migrationId }: HandOver, now: number): void {
    if (this.#invitation?.migrationId !== migrationId)
      this.#invitation = {
        ...{ by, epoch, migrationId, saidAt: now },
        ...{ offset: undefined, isReady: false, frozen: undefined },
      };
    this.#send(this.#invitation, { kind: 'standing' });
  }

  /** @returns whether it was for this one */
  offer(from: MemberId, { migrationId }: HandOver, offset: number): boolean {
    const invitation = this.#invitation;
    if (invitation?.by !== from || invitation.migrationId !== migrationId) return false;
    invitation.offset = offset;
    invitation.isReady = false;
    return true;
  }

  frozen(from: MemberId, { migrationId }: HandOver, lastSeq: number, now: number): void {
    const invitation = this.#invitation;
    if (invitation?.by === from && invitation.migrationId === migrationId) invitation.frozen ??= { lastSeq, at: now };
  }

  /** @returns whether it is to claim the next epoch */
  look(state: Readonly<ChatState>, isLost: boolean, now: number): boolean {
    const invitation = this.#invitation;
    if (invitation === undefined || isLost || !this.isInvited(state)) return false;
    const { offset, frozen } = invitation;
    if (offset !== undefined && !invitation.isReady && state.offset >= offset) {
      invitation.isReady = true;
      this.#send(invitation, { kind: 'ready' });
    }
    return frozen !== undefined && (state.seq >= frozen.lastSeq || now - frozen.at > patienceMs);
  }

  tick(now: number): void {
    const invitation = this.#invitation;
    if (invitation === undefined || now - invitation.saidAt < this.#leaseMs / 3) return;
    invitation.saidAt = now;
    this.#send(invitation, { kind: 'standing' });
  }

  forget(): void {
    this.#invitation = undefined;
  }

  #send({ by, epoch, migrationId }: Invitation, step: HandOverStep): void {
    this.#emit({ kind: 'hand-over', to: by, message: { epoch, migrationId, step } });
  }
}
