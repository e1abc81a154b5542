import type { ServerOptions } from '@grpc/grpc-js';

/** What one connection may ask of a gRPC server of the daemon, members' and owner's alike. */
export const callBounds: ServerOptions = {
  'grpc.max_concurrent_streams': 100,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  'grpc.max_send_message_length': 4 * 1024 * 1024,
  'grpc.max_connection_idle_ms': 5 * 60_000,
  // Whoever vanished without a word is noticed within half a minute.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // Megabytes that wait to be sent on one connection, and what it makes us remember.
  'grpc-node.max_session_memory': 64,
};
