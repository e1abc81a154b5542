import { Failure, messageOf } from '../failure.ts';

/** The gRPC status codes that calls end with (https://grpc.io/docs/guides/status-codes/). */
export const callStatus = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type CallStatus = keyof typeof callStatus;

/** Why a call was not done, alike for whoever answers it and whoever asked: over gRPC, the bus, or REST. */
export class CallFailure extends Failure {
  readonly status: CallStatus;
  /** When asking again may help, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    status: CallStatus,
    code: string,
    message: string,
    { retryAfterMs, cause }: { retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(code, message, { cause });
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** INTERNAL for a number that is none of ours. */
export function statusOf(code: number): CallStatus {
  for (const [name, number] of Object.entries(callStatus)) if (number === code) return name as CallStatus;
  return 'INTERNAL';
}

/** What a caller is told of anything thrown. */
export function asCallFailure(error: unknown, warn: (line: string) => void): CallFailure {
  if (error instanceof CallFailure) return error;
  warn(`a call failed: ${messageOf(error)}`);
  return new CallFailure('INTERNAL', 'CALL_INTERNAL', 'something went wrong here', { cause: error });
}
