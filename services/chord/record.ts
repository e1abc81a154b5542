import type { Identifier } from './identifier.ts';
export interface RingRecord {
  readonly key: Identifier;
  readonly kind: 'value' | 'provider';
}
export type Slot = string;
export interface Digest {
  readonly slot: Slot;
}
export interface StoreReply {
  readonly status: 'stored';
}
