import { Answer, Call } from '../../proto/gen/warren/bus/v1/rpc.ts';
import { type MemberId, memberOfBrokerAccount } from '../lib/identity/member-id.ts';
import { asCallFailure, CallFailure, callStatus, statusOf } from '../lib/rpc/call-failure.ts';
import {
  type CallOptions,
  type MethodDefinition,
  patienceMs,
  type Served,
  type ServiceDefinition,
  type UnaryClient,
} from '../lib/rpc/definition.ts';
import type { Bus, Consumer, Delivery } from './bus.ts';
import { isReplyKeyOf } from './own-keys.ts';
import type { Binding, QueueSpec } from './topology.ts';

const longestMs = 60_000;

/** Where and how calls are served. */
export interface ServeOptions {
  /** More wait in the queue. */
  readonly atOnce: number;
  /** Made on each session, for a queue named by the server. */
  readonly bindings?: readonly Binding[];
  /** Asked on each call; throws a `CallFailure` for who may not. */
  readonly admit?: (memberId: MemberId | undefined) => void;
  readonly warn: (line: string) => void;
}

/**
 * Answers the calls that come to a queue. A call is acked once it is answered: if we die before, the next one to serve the queue
 * does it (again), as long as its caller waits. So what changes something must bear being done twice. An answer that cannot be sent
 * is not kept: its caller hears of its deadline, and asks again.
 */
export function serveCalls(
  bus: Bus,
  queue: QueueSpec,
  services: readonly Served[],
  { atOnce, bindings, admit, warn }: ServeOptions,
): Promise<Consumer> {
  const byName = new Map<string, { method: MethodDefinition; handler: Served['handlers'][string] | undefined }>(
    services.flatMap(({ definition: { fullName, methods }, handlers }) =>
      Object.entries(methods)
        .filter(([, method]) => !method.responseStream)
        .map(([key, method]) => [`${fullName}/${method.name}`, { method, handler: handlers[key] }] as const),
    ),
  );

  const act = async (delivery: Delivery, userId: string): Promise<Answer> => {
    const call = decoded(Call, delivery.body);
    const { method, handler } = byName.get(call.method) ?? {};
    if (method === undefined || handler === undefined)
      throw new CallFailure(
        'UNIMPLEMENTED',
        'CALL_METHOD',
        `there is no method ${JSON.stringify(call.method.slice(0, 100))}`,
      );
    const request = decoded(method.requestType, call.body);
    const signal = AbortSignal.timeout(Math.min(call.deadlineMs || patienceMs, longestMs));
    const memberId = memberOfBrokerAccount(userId);
    admit?.(memberId);
    const caller = { address: `bus:${userId}`, ...(memberId === undefined ? {} : { memberId }), signal };
    const response = await (handler(request as never, caller) as Promise<unknown>).catch(cause => {
      if (cause instanceof CallFailure || !signal.aborted) throw cause;
      throw new CallFailure('DEADLINE_EXCEEDED', 'CALL_DEADLINE', 'not done within the time given', { cause });
    });
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
    { prefetch: atOnce, ...(bindings === undefined ? {} : { bindings: () => bindings }) },
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
): UnaryClient<S> {
  const unary = Object.entries(service.methods).filter(([, method]) => !method.responseStream);
  const methods = unary.map(([name, method]) => {
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
  return Object.fromEntries(methods) as UnaryClient<S>;
}
