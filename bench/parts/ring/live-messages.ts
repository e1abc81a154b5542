import type { MemberCredentials } from '../../../services/lib/rpc/member-tls.ts';
import type { Rate } from '../rate.ts';

/** What the bench tells its processes of nodes (live-nodes.ts), and what they answer. */
export type LiveCommand =
  | {
      readonly kind: 'start';
      readonly nodes: readonly LiveNode[];
      readonly isDialled: boolean;
      readonly entry: Entry | undefined;
    }
  | { readonly kind: 'bare'; readonly members: readonly LiveNode[] }
  | { readonly kind: 'whole'; readonly count: number }
  | { readonly kind: 'lookups'; readonly inFlight: number; readonly seconds: number }
  | {
      readonly kind: 'bare calls';
      readonly hops: readonly number[];
      readonly ports: readonly number[];
      readonly inFlight: number;
      readonly seconds: number;
    };

export interface LiveNode {
  readonly credentials: MemberCredentials;
  readonly brokerUrl: string;
}

/** Whom the others enter the ring through. */
export interface Entry {
  readonly memberId: string;
  readonly addresses: readonly string[];
}

/** Lookups, or as many bare calls after each other as one has. */
export interface LiveSample extends Rate {
  /** Of the process that asks, for each; what others on the machine do changes it less than times. */
  readonly cpuMs: number;
  /** How often a lookup had none, one, two … hops. */
  readonly hops: readonly number[];
  readonly failed: number;
}
