import type { Transfer } from '../../proto/gen/warren/peer/v1/peer.ts';
import { TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';

/** A transfer as its owner sees and steers it: a download of a file or folder, or a file that another member is to take. */
export interface OwnTransfer {
  readonly id: string;
  /** Never rejects. */
  readonly done: Promise<Transfer>;
  view(): Transfer;
  /** Takes the rate anew. @param now milliseconds, monotonic */
  measure(now: number): void;
  pause(): void;
  resume(): void;
  /** For good. */
  cancel(): Promise<void>;
  /** The daemon ends: what there is stays. */
  close(): Promise<void>;
}

export function isOver({ state }: Pick<Transfer, 'state'>): boolean {
  return (
    state === TransferPhase.TRANSFER_PHASE_DONE ||
    state === TransferPhase.TRANSFER_PHASE_FAILED ||
    state === TransferPhase.TRANSFER_PHASE_CANCELLED
  );
}
