import type { z } from 'zod';
import type { CallStatus } from '../rpc/call-failure.ts';

/** One method of a service: the shape of its request and answer, and where it stands in REST. */
export interface RestMethod {
  readonly summary: string;
  readonly verb: 'get' | 'post';
  readonly path: string;
  /** HTTP status of success; 204 has no body. */
  readonly status: 200 | 201 | 204;
  /** Whether it wants a token, as `Authorization: Bearer`. */
  readonly needsToken: boolean;
  /** Answers many times, as server-sent events, until the asker has enough. */
  readonly isStream?: true;
  /** Without the token. Of `get` the query, and what the path has in it (`:id`). */
  readonly request: z.ZodObject;
  /** Of a body that may be larger than others. */
  readonly bodyLimitBytes?: number;
  readonly response: z.ZodObject;
  readonly failures: readonly CallStatus[];
}
