import {
  Client as Channel,
  type ChannelCredentials,
  type ClientOptions,
  connectivityState,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { CallFailure, statusOf } from './call-failure.ts';
import { type CallOptions, type Client, patienceMs, type ServiceDefinition } from './definition.ts';
import { grpcMethod, reasonKey, retryKey } from './grpc-server.ts';

/** One connection (made at the first call, and again when it breaks), for any number of services. */
export interface GrpcConnection {
  /** Methods fail with the `CallFailure` that the other side answered, or UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED of gRPC. */
  client<S extends ServiceDefinition>(definition: S): Client<S>;
  /** Whether there is a connection now; else the next call makes one. */
  isConnected(): boolean;
  close(): void;
}

/**
 * @param address `host:port` or `unix:path`
 * @param options of the channel; `grpc-node.flow_control_window` where much is to be received over a long way
 */
export function openGrpc(
  address: string,
  credentials: ChannelCredentials,
  options: ClientOptions = {},
): GrpcConnection {
  const channel = new Channel(address, credentials, options);
  let isClosed = false;
  // Whoever calls asks for one each time.
  const clients = new Map<ServiceDefinition, unknown>();
  return {
    client<S extends ServiceDefinition>(definition: S): Client<S> {
      const known = clients.get(definition) ?? createClient(channel, definition, () => isClosed);
      clients.set(definition, known);
      return known as Client<S>;
    },
    isConnected: () => channel.getChannel().getConnectivityState(false) === connectivityState.READY,
    close: () => {
      isClosed = true;
      channel.close();
    },
  };
}

function createClient<S extends ServiceDefinition>(
  channel: Channel,
  definition: S,
  isClosed: () => boolean,
): Client<S> {
  const methods = Object.entries(definition.methods).map(([name, method]) => {
    const { path, requestSerialize, responseDeserialize } = grpcMethod(definition, method);
    const unary = (request: unknown, { deadlineMs = patienceMs, signal }: CallOptions = {}): Promise<unknown> =>
      new Promise((resolve, reject) => {
        if (isClosed()) throw closedFailure();
        const options = { deadline: new Date(Date.now() + deadlineMs) };
        const settle = (error: ServiceError | null, answer: unknown): void => {
          signal?.removeEventListener('abort', abandon);
          if (error) reject(failureOf(error));
          else resolve(answer);
        };
        const call = channel.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          new Metadata(),
          options,
          settle,
        );
        const abandon = (): void => call.cancel();
        signal?.addEventListener('abort', abandon);
        if (signal?.aborted) abandon();
      });
    async function* stream(request: unknown, { deadlineMs, signal }: CallOptions = {}): AsyncGenerator<unknown> {
      const options = deadlineMs === undefined ? {} : { deadline: new Date(Date.now() + deadlineMs) };
      if (isClosed()) throw closedFailure();
      const call = channel.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        options,
      );
      // What comes after the last one was asked for would otherwise be thrown by the emitter.
      call.on('error', () => {});
      const abandon = (): void => call.cancel();
      signal?.addEventListener('abort', abandon);
      if (signal?.aborted) abandon();
      try {
        for await (const answer of call) yield answer;
      } catch (error) {
        throw failureOf(error as ServiceError);
      } finally {
        signal?.removeEventListener('abort', abandon);
        call.cancel();
      }
    }
    return [name, method.responseStream ? stream : unary];
  });
  return Object.fromEntries(methods) as Client<S>;
}

/** grpc-js would throw what is no failure of a call. */
function closedFailure(): CallFailure {
  return new CallFailure('UNAVAILABLE', 'CALL_CLOSED', 'the connection was closed');
}

function failureOf(error: ServiceError): CallFailure {
  const [reason] = error.metadata?.get(reasonKey) ?? [];
  const [retry] = error.metadata?.get(retryKey) ?? [];
  return new CallFailure(statusOf(error.code), String(reason ?? 'CALL_GRPC'), error.details || error.message, {
    cause: error,
    retryAfterMs: retry === undefined ? undefined : Number(retry),
  });
}
