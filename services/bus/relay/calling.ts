import type { RelayEnd } from '../../../proto/gen/warren/bus/v1/relay.ts';
import { type CreditWindow, ReceiveCredit } from '../../lib/credit.ts';
import { CallFailure, statusOf } from '../../lib/rpc/call-failure.ts';
import { creditOf, dataBytes, type Frame, type FrameKind } from './frame.ts';

/** 8 MiB on their way at 100 ms from end to end are 80 MiB/s. */
const window: CreditWindow = { firstBytes: 1024 * 1024, mostBytes: 8 * 1024 * 1024 };
/** As gRPC's. */
const answerLimit = 4 * 1024 * 1024;
/** Parts of one answer: those that we send are a quarter of that, of `dataBytes` each. */
const piecesLimit = 128;

/** @returns whether it went; false ends the channel */
export type SendFrame = (stream: number, kind: FrameKind, data?: Uint8Array) => boolean;

interface Open {
  readonly credit: ReceiveCredit;
  /** Whole answers that nobody has taken yet, with the credit that they still hold. */
  readonly answers: { bytes: Buffer; held: number }[];
  /** Of an answer that is not whole. */
  pieces: Buffer[];
  size: number;
  ended: 'fine' | CallFailure | undefined;
  wake: () => void;
}

/** The calling side of an open channel: any number of calls at once, each with a stream of answers. Core: what comes and goes is given. */
export class RelayCalling {
  readonly #send: SendFrame;
  readonly #streams = new Map<number, Open>();
  #last = 0;
  #ended: CallFailure | undefined;

  constructor(send: SendFrame) {
    this.#send = send;
  }

  /** Calls whose end has not come. */
  get active(): number {
    return this.#streams.size;
  }

  /**
   * The encoded answers of one call. Leaving the loop cancels it.
   * @param deadlineMs for the other side, which ends it then; 0: none
   * @throws CallFailure
   */
  async *call(method: string, request: Uint8Array, deadlineMs: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
    if (this.#ended) throw this.#ended;
    if (request.length > dataBytes)
      throw new CallFailure(
        'INVALID_ARGUMENT',
        'RELAY_REQUEST',
        `a request over the broker has at most ${dataBytes} bytes`,
      );
    const stream = ++this.#last;
    const credit = new ReceiveCredit(window);
    const open: Open = { credit, answers: [], pieces: [], size: 0, ended: undefined, wake: () => {} };
    this.#streams.set(stream, open);
    const abandon = (): void => this.#settle(stream, new CallFailure('CANCELLED', 'CALL_ABANDONED', 'given up'), true);
    signal?.addEventListener('abort', abandon);
    try {
      if (signal?.aborted) abandon();
      else {
        const call = { method, deadlineMs, credit: BigInt(credit.until) };
        this.#put(stream, { $case: 'call', value: call }, request);
      }
      for (;;) {
        const answer = open.answers.shift();
        if (answer !== undefined) {
          yield answer.bytes;
          this.#consume(stream, open, answer.held);
        } else if (open.ended === 'fine') return;
        else if (open.ended !== undefined) throw open.ended;
        else
          await new Promise<void>(resolve => {
            open.wake = resolve;
          });
      }
    } finally {
      signal?.removeEventListener('abort', abandon);
      abandon();
    }
  }

  /** @throws Error when the other side does what it may not: the channel is to end then */
  receive({ stream, kind, data }: Frame): void {
    const open = this.#streams.get(stream);
    // What was on its way when it was cancelled.
    if (open === undefined) return;
    if (kind.$case === 'end') return this.#settle(stream, endOf(kind.value), false);
    if (kind.$case !== 'data') throw new RangeError(`a frame of kind ${kind.$case} for the caller`);
    const cost = creditOf(data);
    if (!open.credit.receive(cost)) throw new RangeError('more data than was asked for');
    open.size += data.length;
    open.pieces.push(data);
    if (open.size > answerLimit || open.pieces.length > piecesLimit) throw new RangeError('an answer over the limit');
    if (kind.value.more) return this.#consume(stream, open, cost);
    const bytes = open.pieces.length === 1 ? data : Buffer.concat(open.pieces);
    open.pieces = [];
    open.size = 0;
    open.answers.push({ bytes, held: cost });
    open.wake();
  }

  /** All calls fail, and those that come. */
  end(reason: CallFailure): void {
    this.#ended ??= reason;
    for (const stream of [...this.#streams.keys()]) this.#settle(stream, reason, false);
  }

  #consume(stream: number, open: Open, credit: number): void {
    const until = open.credit.consume(credit);
    if (until !== undefined && open.ended === undefined)
      this.#put(stream, { $case: 'credit', value: { until: BigInt(until) } });
  }

  #settle(stream: number, how: 'fine' | CallFailure, tell: boolean): void {
    const open = this.#streams.get(stream);
    if (open === undefined) return;
    this.#streams.delete(stream);
    open.ended = how;
    // Whoever gave up takes nothing more.
    if (tell) open.answers.length = 0;
    open.wake();
    if (tell) this.#put(stream, { $case: 'cancel', value: {} });
  }

  #put(stream: number, kind: FrameKind, data?: Uint8Array): void {
    if (this.#ended || this.#send(stream, kind, data)) return;
    this.end(new CallFailure('UNAVAILABLE', 'RELAY_LOST', 'the broker takes nothing at the moment'));
  }
}

function endOf({ code, reason, detail, retryAfterMs }: RelayEnd): 'fine' | CallFailure {
  if (code === 0) return 'fine';
  return new CallFailure(statusOf(code), reason, detail, { retryAfterMs: retryAfterMs || undefined });
}
