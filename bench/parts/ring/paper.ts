/**
 * Figures of Stoica et al., "Chord: A Scalable Peer-to-peer Lookup Protocol for Internet Applications", IEEE/ACM Transactions on Networking 11(1),
 * 2003. *Sure* ones were recalled from it and reproduced by an independent simulation; the others only recalled.
 */

/** Sure. Without successor lists, the hop to the owner counted: ½·log₂N + 0.8. */
export const pathLengths: ReadonlyMap<number, number> = new Map([
  [64, 3.76],
  [256, 4.84],
  [1024, 5.82],
  [4096, 6.86],
]);

/** Sure. 1,000 nodes, lists of 20, no repair: share that died at once → mean path length, timeouts per lookup. */
export const afterFailures: readonly { dead: number; path: number; timeouts: number }[] = [
  { dead: 0, path: 3.84, timeouts: 0 },
  { dead: 0.1, path: 4.03, timeouts: 0.6 },
  { dead: 0.2, path: 4.22, timeouts: 1.17 },
  { dead: 0.3, path: 4.44, timeouts: 2.02 },
  { dead: 0.4, path: 4.69, timeouts: 3.23 },
  { dead: 0.5, path: 5.09, timeouts: 5.1 },
];

/** Sure. 10⁴ nodes: virtual nodes each → 1st and 99th percentile of keys per node, as a share of the mean (between these two). */
export const keysPerNode: ReadonlyMap<number, { p1: string; p99: string }> = new Map([
  [1, { p1: '0', p99: '4.6–4.8' }],
  [20, { p1: '0.5', p99: '1.6' }],
]);

/** Recalled, not checked. 1,000 nodes, stabilizing every 30 s: joins and departures a second → path, timeouts, failed of 10,000 lookups. */
export const duringChurn: readonly { rate: number; path: number; timeouts: number; failed: number }[] = [
  { rate: 0.05, path: 3.9, timeouts: 0.05, failed: 0 },
  { rate: 0.1, path: 3.83, timeouts: 0.11, failed: 0 },
  { rate: 0.15, path: 3.84, timeouts: 0.16, failed: 2 },
  { rate: 0.2, path: 3.81, timeouts: 0.23, failed: 5 },
  { rate: 0.25, path: 3.83, timeouts: 0.3, failed: 6 },
  { rate: 0.3, path: 3.91, timeouts: 0.34, failed: 8 },
  { rate: 0.35, path: 3.94, timeouts: 0.42, failed: 16 },
  { rate: 0.4, path: 4.06, timeouts: 0.46, failed: 15 },
];
