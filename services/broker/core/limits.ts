/** More of these than anybody has use for is a mistake, or meant ill: each costs memory that no prefetch bounds. */
export const limits = {
  queues: 100_000,
  exchanges: 100_000,
  /** Of one exchange. */
  bindings: 1_000_000,
  consumersPerChannel: 10_000,
} as const;

/** Milliseconds: ten years, the longest that RabbitMQ lets anything take. */
export const longestMs = 10 * 365 * 86_400_000;
