import { Answer, Call } from '../../proto/gen/warren/bus/v1/rpc.ts';
import { messageOf } from '../lib/failure.ts';
import type { Bus, Consumer, Delivery } from './bus.ts';
import { CallFailure, callStatus, statusOf } from './call-failure.ts';
import { isReplyKeyOf } from './own-keys.ts';
import type { QueueSpec } from './topology.ts';

interface Codec {
  // Of one message type, which only the types that are derived below know.
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

/** A proto service as ts-proto describes it (`…ServiceDefinition`). */
export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<
    Record<string, { readonly name: string; readonly requestType: Codec; readonly responseType: Codec }>
  >;
}

type MessageOf<C> = C extends { decode(bytes: Uint8Array): infer T } ? T : never;
type Methods<S extends ServiceDefinition> = S['methods'];
export type RequestOf<S extends ServiceDefinition, M extends keyof Methods<S>> = MessageOf<
  Methods<S>[M]['requestType']
>;
export type ResponseOf<S extends ServiceDefinition, M extends keyof Methods<S>> = MessageOf<
  Methods<S>[M]['responseType']
>;

/** Who calls, and how long it waits; the same whatever the call came over. */
export interface Caller {
  /** Where it comes from, for limits: its broker account, or its network address. */
  readonly address: string;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** A service's methods. They reject with a `CallFailure`; anything else is our fault, and the caller is told no more. */
export type Handlers<S extends ServiceDefinition> = {
  readonly [M in keyof Methods<S>]: (request: RequestOf<S, M>, caller: Caller) => Promise<ResponseOf<S, M>>;
};

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export type Client<S extends ServiceDefinition> = {
  readonly [M in keyof Methods<S>]: (request: RequestOf<S, M>, options?: CallOptions) => Promise<ResponseOf<S, M>>;
};

/** For callers who did not say. */
const patienceMs = 10_000;
const longestMs = 60_000;

/**
 * Answers the calls that come to a queue, `atOnce` at a time. A call is acked once it is answered: if we die before, the next
 * one to serve the queue does it (again), as long as its caller waits. So what changes something must bear being done twice. An
 * answer that cannot be sent is not kept: its caller hears of its deadline, and asks again.
 */
export function serveCalls<S extends ServiceDefinition>(
  bus: Bus,
  queue: QueueSpec,
  service: S,
  handlers: Handlers<S>,
  { atOnce, warn }: { atOnce: number; warn: (line: string) => void },
): Promise<Consumer> {
  const byName = new Map(
    Object.entries(service.methods).map(([key, method]) => [`${service.fullName}/${method.name}`, key]),
  );

  const act = async (delivery: Delivery, userId: string): Promise<Answer> => {
    const call = decoded(Call, delivery.body);
    const key = byName.get(call.method);
    const method = key === undefined ? undefined : service.methods[key];
    const handler = key === undefined ? undefined : handlers[key];
    if (method === undefined || handler === undefined)
      throw new CallFailure(
        'UNIMPLEMENTED',
        'CALL_METHOD',
        `there is no method ${JSON.stringify(call.method.slice(0, 100))}`,
      );
    const request = decoded(method.requestType, call.body) as RequestOf<S, string>;
    const signal = AbortSignal.timeout(Math.min(call.deadlineMs || patienceMs, longestMs));
    const response = await handler(request, { address: `bus:${userId}`, signal });
    return Answer.create({ body: Buffer.from(method.responseType.encode(response as never).finish()) });
  };

  return bus.consume(
    queue,
    async delivery => {
      const { type, replyTo, correlationId, userId } = delivery;
      // Who is not named by the broker could be anybody; and only to where the caller itself waits for answers: in our name nothing
      // else is to be reached.
      if (type !== 'warren.bus.v1.Call' || userId === undefined || replyTo === undefined || correlationId === undefined)
        return 'dead';
      if (!isReplyKeyOf(userId, replyTo)) return 'dead';
      const answer = await act(delivery, userId).catch(error => answerOf(error, warn));
      bus.send({
        type: 'warren.bus.v1.Answer',
        key: replyTo,
        correlationId,
        body: Answer.encode(answer).finish(),
        ...(delivery.traceparent === undefined ? {} : { traceparent: delivery.traceparent }),
      });
      return 'ack';
    },
    { prefetch: atOnce },
  );
}

function decoded<T>(codec: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T {
  try {
    return codec.decode(bytes);
  } catch (cause) {
    throw new CallFailure('INVALID_ARGUMENT', 'CALL_BYTES', 'the call cannot be decoded', { cause });
  }
}

function answerOf(error: unknown, warn: (line: string) => void): Answer {
  const { status, code, message, retryAfterMs } = asCallFailure(error, warn);
  return Answer.create({
    code: callStatus[status],
    reason: code,
    detail: message,
    retryAfterMs: Math.ceil(retryAfterMs ?? 0),
  });
}

/** What a caller is told of anything thrown. */
export function asCallFailure(error: unknown, warn: (line: string) => void): CallFailure {
  if (error instanceof CallFailure) return error;
  warn(`a call failed: ${messageOf(error)}`);
  return new CallFailure('INTERNAL', 'CALL_INTERNAL', 'something went wrong here', { cause: error });
}

/**
 * A service's methods as they are called over the bus. They reject with the `CallFailure` that the service answered, or with
 * what `Bus.request` rejects with: BUS_DEADLINE, BUS_LOST, BUS_NO_RECEIVER, BUS_ABANDONED.
 * @param key where the service is called, on `m`
 * @param from the broker account that serves it: nobody else's answers count
 */
export function createClient<S extends ServiceDefinition>(
  bus: Bus,
  key: string,
  service: S,
  { from }: { from?: string } = {},
): Client<S> {
  const methods = Object.entries(service.methods).map(([name, method]) => {
    const { requestType, responseType } = method;
    const call = async (request: unknown, { deadlineMs = patienceMs, signal }: CallOptions = {}): Promise<unknown> => {
      const body = Call.encode({
        method: `${service.fullName}/${method.name}`,
        body: Buffer.from(requestType.encode(request as never).finish()),
        deadlineMs,
      }).finish();
      const reply = await bus.request(
        { type: 'warren.bus.v1.Call', key, body },
        { deadlineMs, ...(signal === undefined ? {} : { signal }), ...(from === undefined ? {} : { from }) },
      );
      const answer = Answer.decode(reply.body);
      if (answer.code === 0) return responseType.decode(answer.body);
      throw new CallFailure(statusOf(answer.code), answer.reason, answer.detail, {
        retryAfterMs: answer.retryAfterMs || undefined,
      });
    };
    return [name, call];
  });
  return Object.fromEntries(methods) as Client<S>;
}
