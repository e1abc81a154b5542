import type { Snapshot } from './chat-state.ts';

/**
 * Between the active server and the one that it has chosen to follow it (proto/warren/chat/v1/hand_over.proto). All of it is to make a hand-over short: lost,
 * doubled or late it changes nothing of who serves.
 */
export interface HandOver {
  /** Of the active one. */
  readonly epoch: number;
  readonly migrationId: string;
  readonly step: HandOverStep;
}

export type HandOverStep =
  | { readonly kind: 'stand-by' }
  | { readonly kind: 'standing' }
  | { readonly kind: 'offer'; readonly snapshot: Snapshot }
  | { readonly kind: 'ready' }
  | { readonly kind: 'declined'; readonly reason: string }
  | { readonly kind: 'frozen'; readonly lastSeq: number };
