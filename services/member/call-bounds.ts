import type { ServerOptions } from '@grpc/grpc-js';

/** What one connection may ask of a gRPC server of the daemon, members' and owner's alike. */
const boundsOfOne: ServerOptions = {
  'grpc.max_concurrent_streams': 100,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  'grpc.max_send_message_length': 4 * 1024 * 1024,
  'grpc.max_connection_idle_ms': 5 * 60_000,
  // Megabytes that wait to be sent on one connection, and what it makes us remember.
  'grpc-node.max_session_memory': 64,
};

/** Of members, over the network: whoever vanished without a word is noticed within half a minute. */
export const callBounds: ServerOptions = {
  ...boundsOfOne,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/**
 * Of the owner, on this machine: the system tells when a program has gone, and one that is only slow (stopped in the shell, or on a machine
 * with too much to do) must not be cut off in the middle of a call.
 */
export const ownerCallBounds: ServerOptions = boundsOfOne;
