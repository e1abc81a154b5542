export interface SchedulerOptions {
  /** Requests that one source has at a time, each on a connection of its own. */
  readonly lanes: number;
  /** Pieces of one request at most. */
  readonly mostPieces: number;
  /** No byte for so long: passed over. */
  readonly stallMs: number;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
  /** How long a seed is left to others who need it more, for what can be had elsewhere. */
  readonly courtesyMs: number;
}

export const schedulerDefaults: SchedulerOptions = {
  lanes: 3,
  mostPieces: 64,
  stallMs: 5_000,
  backoff: { firstMs: 1_000, maxMs: 60_000 },
  courtesyMs: 1_500,
};
