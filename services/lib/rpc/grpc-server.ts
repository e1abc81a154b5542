import type {
  MethodDefinition as GrpcMethod,
  ServiceDefinition as GrpcService,
  Server,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import { certificateFacts } from '../identity/certificate.ts';
import type { MemberId } from '../identity/member-id.ts';
import { largePassed } from '../large-messages.ts';
import { asCallFailure, CallFailure, callStatus } from './call-failure.ts';
import type { Caller, MethodDefinition, Served, ServiceDefinition } from './definition.ts';

type UnaryCall = ServerUnaryCall<unknown, unknown>;
type StreamCall = ServerWritableStream<unknown, unknown>;

export interface GrpcServing {
  /** Asked on each call, after TLS has checked whose certificate it is; throws a `CallFailure` for who may not. */
  readonly admit?: (memberId: MemberId | undefined) => void;
  readonly warn: (line: string) => void;
  /** Who takes nothing of a stream for so long has it ended, so that it holds nothing for ever; in milliseconds. 0: never. */
  readonly stalledMs?: number;
}

/** Serves the same handlers as over the bus, and those that stream. */
export function addService(
  server: Server,
  { definition, handlers }: Served,
  { admit, warn, stalledMs = 0 }: GrpcServing,
): void {
  const callerOf = (call: UnaryCall | StreamCall, signal: AbortSignal): Caller => {
    const memberId = memberOf(call);
    admit?.(memberId);
    return { address: call.getPeer(), ...(memberId === undefined ? {} : { memberId }), signal };
  };
  const implementation = Object.fromEntries(
    Object.entries(definition.methods).map(([key, method]) => {
      const handler = handlers[key];
      if (handler === undefined) throw new TypeError(`${definition.fullName}/${method.name} has no handler`);
      const unary = async (call: UnaryCall, answer: sendUnaryData<unknown>): Promise<void> => {
        const abort = abortWith(call);
        try {
          answer(null, await (handler(call.request as never, callerOf(call, abort)) as Promise<unknown>));
        } catch (error) {
          answer(statusOf(error, warn));
        }
      };
      const stream = async (call: StreamCall): Promise<void> => {
        const abort = abortWith(call);
        try {
          const answers = handler(call.request as never, callerOf(call, abort)) as AsyncIterable<unknown>;
          for await (const answer of answers) {
            if (!abort.aborted) await written(call, answer, abort, stalledMs);
            // Given up, it may not be copied yet: the next one is not to be asked for.
            if (abort.aborted) return;
          }
          call.end();
        } catch (error) {
          if (!abort.aborted) call.emit('error', statusOf(error, warn));
        }
      };
      return [key, method.responseStream ? stream : unary];
    }),
  );
  server.addService(grpcService(definition), implementation);
}

/** The service as grpc-js wants it. */
function grpcService(definition: ServiceDefinition): GrpcService {
  return Object.fromEntries(
    Object.entries(definition.methods).map(([key, method]) => [key, grpcMethod(definition, method)]),
  );
}

export function grpcMethod({ fullName }: ServiceDefinition, method: MethodDefinition): GrpcMethod<unknown, unknown> {
  const { name, requestType, responseType, requestStream, responseStream } = method;
  return {
    path: `/${fullName}/${name}`,
    originalName: name,
    requestStream,
    responseStream,
    requestSerialize: message => asBuffer(requestType.encode(message as never).finish()),
    requestDeserialize: bytes => requestType.decode(bytes),
    responseSerialize: message => {
      const bytes = asBuffer(responseType.encode(message as never).finish());
      largePassed(bytes.length, collectBytes);
      return bytes;
    },
    responseDeserialize: bytes => {
      largePassed(bytes.length, collectBytes);
      return responseType.decode(bytes);
    },
  };
}

/** Between two collections: messages of up to a quarter MiB are on their way in and out all the time. */
const collectBytes = 4 * 2 ** 20;

/** Without a copy. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Who is at the other end of a connection, which stays the same: asking TLS for the certificate, and reading it, takes a good part of a small call. */
const members = new WeakMap<object, MemberId>();

/** The member at the other end, from the certificate that TLS has verified. */
function memberOf(call: UnaryCall | StreamCall): MemberId | undefined {
  const session = sessionOf(call);
  const there = session && members.get(session);
  if (there !== undefined) return there;
  const member = verifiedMemberOf(call);
  if (session && member !== undefined) members.set(session, member);
  return member;
}

/** The HTTP/2 session that a call came over: grpc-js knows it and does not say. Undefined where it keeps it elsewhere. */
function sessionOf(call: UnaryCall | StreamCall): object | undefined {
  let found: unknown = call;
  for (const name of ['call', 'stream', 'session']) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = Reflect.get(found, name);
  }
  return typeof found === 'object' && found !== null ? found : undefined;
}

function verifiedMemberOf(call: UnaryCall | StreamCall): MemberId | undefined {
  const certificate = call.getAuthContext()?.sslPeerCertificate;
  if (certificate === undefined || certificate.raw === undefined) return undefined;
  try {
    return certificateFacts(certificate.raw).id;
  } catch (cause) {
    throw new CallFailure('UNAUTHENTICATED', 'CALL_CERTIFICATE', "the caller's certificate is no member's", { cause });
  }
}

function abortWith(call: UnaryCall | StreamCall): AbortSignal {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort());
  if (call.cancelled) controller.abort();
  return controller.signal;
}

/**
 * One answer at a time: when the next one is asked for, this one has been copied, and its memory may be used again; and what waits here
 * waits in few large buffers, which V8 would have to collect.
 * @throws CallFailure DEADLINE_EXCEEDED when the other side takes nothing for `stalledMs`
 */
async function written(call: StreamCall, answer: unknown, abort: AbortSignal, stalledMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const go = (): void => {
      clearTimeout(stalled);
      abort.removeEventListener('abort', go);
      resolve();
    };
    const stalled =
      stalledMs === 0
        ? undefined
        : setTimeout(() => {
            reject(
              new CallFailure('DEADLINE_EXCEEDED', 'CALL_STALLED', 'nothing of the stream was taken for too long'),
            );
            go();
          }, stalledMs);
    abort.addEventListener('abort', go);
    call.write(answer, go);
  });
}

function statusOf(error: unknown, warn: (line: string) => void): { code: number; details: string; metadata: Metadata } {
  const { status, code, message, retryAfterMs } = asCallFailure(error, warn);
  const metadata = new Metadata();
  metadata.set(reasonKey, code);
  if (retryAfterMs !== undefined) metadata.set(retryKey, String(Math.ceil(retryAfterMs)));
  // grpc-js escapes it, and throws on half a character.
  return { code: callStatus[status], details: message.toWellFormed(), metadata };
}

/** What failed, as a stable word; when asking again may help, in milliseconds. In the trailers. */
export const reasonKey = 'warren-reason';
export const retryKey = 'warren-retry-after-ms';
