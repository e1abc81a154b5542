import type { RelayCall } from '../../../proto/gen/warren/bus/v1/relay.ts';
import { SendCredit } from '../../lib/credit.ts';
import type { MemberId } from '../../lib/identity/member-id.ts';
import { asCallFailure, CallFailure, callStatus } from '../../lib/rpc/call-failure.ts';
import type { MethodDefinition, Served } from '../../lib/rpc/definition.ts';
import type { SendFrame } from './calling.ts';
import { creditOf, dataBytes, type Frame } from './frame.ts';

/** More at once of one channel are refused. */
const streamLimit = 64;
/** A timer holds no more: 24 days. */
const longestMs = 2 ** 31 - 1;

export interface RelayMethod {
  readonly method: MethodDefinition;
  readonly handler: Served['handlers'][string];
}

export function relayMethods(services: readonly Served[]): ReadonlyMap<string, RelayMethod> {
  return new Map(
    services.flatMap(({ definition: { fullName, methods }, handlers }) =>
      Object.entries(methods).flatMap(([key, method]) => {
        const handler = handlers[key];
        return handler === undefined ? [] : [[`${fullName}/${method.name}`, { method, handler }] as const];
      }),
    ),
  );
}

interface Running {
  readonly credit: SendCredit;
  readonly abort: AbortController;
  wake: () => void;
}

/** The serving side of an open channel: runs the handlers that gRPC runs, and sends no more than the caller has asked for. */
export class RelayServing {
  readonly #caller: MemberId;
  readonly #methods: ReadonlyMap<string, RelayMethod>;
  readonly #send: SendFrame;
  readonly #warn: (line: string) => void;
  readonly #running = new Map<number, Running>();
  /** Handlers that have not returned: those of cancelled calls, too, which may take no notice. */
  #atWork = 0;
  #last = 0;

  constructor(
    caller: MemberId,
    methods: ReadonlyMap<string, RelayMethod>,
    send: SendFrame,
    warn: (line: string) => void,
  ) {
    this.#caller = caller;
    this.#methods = methods;
    this.#send = send;
    this.#warn = warn;
  }

  get active(): number {
    return this.#running.size;
  }

  /** @throws Error when the caller does what it may not: the channel is to end then */
  receive({ stream, kind, data }: Frame): void {
    switch (kind.$case) {
      case 'call':
        if (stream <= this.#last) throw new RangeError('a stream opened twice');
        this.#last = stream;
        void this.#run(stream, kind.value, data);
        return;
      case 'credit': {
        const running = this.#running.get(stream);
        if (running?.credit.extend(Number(kind.value.until))) running.wake();
        return;
      }
      case 'cancel':
        this.#stop(stream);
        return;
      case 'alive':
        this.#send(0, kind);
        return;
      default:
        throw new RangeError(`a frame of kind ${kind.$case} for the server`);
    }
  }

  /** Nobody waits any more. */
  end(): void {
    for (const stream of [...this.#running.keys()]) this.#stop(stream);
  }

  #stop(stream: number): void {
    const running = this.#running.get(stream);
    this.#running.delete(stream);
    running?.abort.abort();
    running?.wake();
  }

  async #run(stream: number, { method: name, deadlineMs, credit }: RelayCall, request: Buffer): Promise<void> {
    const running: Running = { credit: new SendCredit(Number(credit)), abort: new AbortController(), wake: () => {} };
    const { signal } = running.abort;
    let timer: NodeJS.Timeout | undefined;
    this.#atWork++;
    try {
      if (this.#atWork > streamLimit)
        throw new CallFailure('RESOURCE_EXHAUSTED', 'RELAY_STREAMS', `at most ${streamLimit} calls at once`);
      this.#running.set(stream, running);
      const found = this.#methods.get(name);
      if (found === undefined)
        throw new CallFailure(
          'UNIMPLEMENTED',
          'CALL_METHOD',
          `there is no method ${JSON.stringify(name.slice(0, 100))}`,
        );
      if (deadlineMs > 0)
        timer = setTimeout(
          () => {
            running.abort.abort(
              new CallFailure('DEADLINE_EXCEEDED', 'CALL_DEADLINE', 'not done within the time given'),
            );
            running.wake();
          },
          Math.min(deadlineMs, longestMs),
        );
      const { method, handler } = found;
      const caller = { address: `relay:${this.#caller}`, memberId: this.#caller, signal };
      const outcome = handler(decoded(method, request) as never, caller);
      if (Symbol.asyncIterator in outcome) {
        for await (const answer of outcome) {
          await this.#answer(stream, running, method.responseType.encode(answer as never).finish());
          if (!this.#running.has(stream)) return;
        }
      } else await this.#answer(stream, running, method.responseType.encode((await outcome) as never).finish());
      this.#finish(stream, { code: 0, detail: '', reason: '', retryAfterMs: 0 });
    } catch (error) {
      if (signal.aborted && !(signal.reason instanceof CallFailure)) return;
      const why = signal.reason instanceof CallFailure ? signal.reason : error;
      const { status, code, message, retryAfterMs = 0 } = asCallFailure(why, this.#warn);
      this.#finish(stream, {
        code: callStatus[status],
        detail: message,
        reason: code,
        retryAfterMs: Math.ceil(retryAfterMs),
      });
    } finally {
      this.#atWork--;
      clearTimeout(timer);
      if (this.#running.get(stream) === running) this.#running.delete(stream);
    }
  }

  /** In parts, each when there is room for it. */
  async #answer(stream: number, running: Running, bytes: Uint8Array): Promise<void> {
    let at = 0;
    do {
      const part = bytes.subarray(at, at + dataBytes);
      const cost = creditOf(part);
      while (running.credit.room < cost) {
        await new Promise<void>(resolve => {
          running.wake = resolve;
          if (running.abort.signal.aborted) resolve();
        });
        running.abort.signal.throwIfAborted();
      }
      running.abort.signal.throwIfAborted();
      at += part.length;
      running.credit.sent(cost);
      this.#send(stream, { $case: 'data', value: { more: at < bytes.length } }, part);
    } while (at < bytes.length);
  }

  #finish(stream: number, value: { code: number; detail: string; reason: string; retryAfterMs: number }): void {
    this.#running.delete(stream);
    this.#send(stream, { $case: 'end', value });
  }
}

function decoded(method: MethodDefinition, bytes: Buffer): unknown {
  try {
    return method.requestType.decode(bytes);
  } catch (cause) {
    throw new CallFailure('INVALID_ARGUMENT', 'CALL_BYTES', 'the call cannot be decoded', { cause });
  }
}
