import type { Position } from './frame.ts';

/** Where a record is, and how much of the disk it takes, its frame included. */
export interface RecordRef {
  readonly position: Position;
  readonly bytes: number;
}
