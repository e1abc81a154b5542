import type { Platform } from './share-path.ts';

/** What the hashing thread is started with. */
export interface HashSettings {
  /** The share, absolute, without symbolic links. */
  readonly root: string;
  /** Of the index, which it only reads. */
  readonly indexDir: string;
  /** Absolute paths below the share that are not shared. */
  readonly exclude: readonly string[];
  readonly platform: Platform;
  /** A file that was changed less long ago is looked at again before it is hashed: somebody may be writing it. */
  readonly settleMs: number;
}

export type ToHasher =
  | { readonly type: 'scan'; readonly folder: string }
  /** As many results have been taken in. */
  | { readonly type: 'taken'; readonly results: number };

export type HashResult =
  | {
      readonly type: 'hashed';
      readonly path: string;
      readonly length: number;
      readonly stamp: string;
      readonly modifiedMs: number;
      readonly leaves: Uint8Array;
    }
  | {
      readonly type: 'refused';
      readonly path: string;
      readonly reason: string;
      readonly stamp: string;
      readonly modifiedMs: number;
    }
  | { readonly type: 'gone'; readonly path: string }
  /** Leaves of a large file so far. */
  | { readonly type: 'progress'; readonly path: string; readonly stamp: string; readonly leaves: Uint8Array };

export type FromHasher =
  /** `left`: files that are still to be hashed. */
  | { readonly type: 'results'; readonly results: readonly HashResult[]; readonly left: number }
  /** A folder has been looked through. Of one that could not be: why. */
  | {
      readonly type: 'scanned';
      readonly folder: string;
      /** So many requests are answered by this. */
      readonly asked: number;
      readonly folders: readonly string[];
      readonly failure: string | undefined;
    }
  /** Nothing to do; `waiting` files are looked at again soon. */
  | { readonly type: 'idle'; readonly waiting: number };
