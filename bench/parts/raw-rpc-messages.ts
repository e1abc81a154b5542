import type { Role } from '../../services/bus/topology.ts';
import { exchanges } from '../../services/bus/topology.ts';

/** Where the echo listens. */
export const echoKey = 'm.bench.rpc';
export const callerRole: Role = { exchanges: [exchanges.m], queues: [] };

/** What the measuring process is told to do, over its IPC channel, and what it says. */
export interface RpcCommand {
  readonly inFlight: number;
  readonly seconds: number;
}

export interface RpcResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}
