import type { PieceMap, PieceRun } from './piece-map.ts';

/** What a transfer's edge tells its scheduler. */
export type SwarmEvent =
  /** `has` undefined: everything. Again for one that is there: its map anew. */
  | { readonly type: 'joined'; readonly source: string; readonly has: PieceMap | undefined }
  /** What a source says later on. `coming` replaces what it said before. */
  | {
      readonly type: 'holding';
      readonly source: string;
      readonly added: readonly PieceRun[];
      readonly coming: readonly PieceRun[];
      readonly isComplete?: boolean;
    }
  | { readonly type: 'left'; readonly source: string }
  /** 0 bytes: it is our own limit that waits, not the source. */
  | { readonly type: 'bytes'; readonly request: number; readonly bytes: number }
  | { readonly type: 'piece'; readonly request: number; readonly piece: number }
  /** What came is not what the id stands for, or not what was asked. */
  | { readonly type: 'wrong'; readonly request: number; readonly piece: number }
  /** The stream has ended: with all that was asked, or early. */
  | { readonly type: 'ended'; readonly request: number; readonly isFailure: boolean }
  /** Four times a second, while anything is open. */
  | { readonly type: 'tick' }
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'cancel' };

/** What it is to do. */
export type SwarmEffect =
  | { readonly type: 'fetch'; readonly request: number; readonly source: string; readonly run: PieceRun }
  /** The request ends before that piece: what comes from there on is not wanted from this source. */
  | { readonly type: 'trim'; readonly request: number; readonly end: number }
  | { readonly type: 'stop'; readonly request: number }
  | { readonly type: 'ban'; readonly source: string; readonly piece: number }
  /** Passed over until then: it stalled or failed. */
  | { readonly type: 'pass'; readonly source: string; readonly until: number }
  | { readonly type: 'done' };
