import type { MethodDefinition } from '@grpc/grpc-js';

/** A part of a file, as JSON. */
export interface RangeRequest {
  readonly file: string;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  readonly frameBytes: number;
}

/** Frames are bytes without any encoding: nothing built on grpc-js can be cheaper. */
export const pullRange: MethodDefinition<RangeRequest, Buffer> = {
  path: '/bench.Raw/Pull',
  originalName: 'pull',
  requestStream: false,
  responseStream: true,
  requestSerialize: request => Buffer.from(JSON.stringify(request)),
  requestDeserialize: bytes => JSON.parse(String(bytes)) as RangeRequest,
  responseSerialize: frame => frame,
  responseDeserialize: frame => frame,
};
